//! Tollgate beside what a site would put in its place, on one machine, with one site, under one load.
//!
//! All that gates (proxy, service, billing, Redis, Postgres) is on the first CPU; the driver and the site are on the second.
//! All contenders run at once, and only one is asked. Each first shows that it gates; then short laps through it and through
//! Tollgate follow one another, so that both meet the same machine: its speed changes from minute to minute.

mod checks;
mod contender;
mod lap;
mod nginx;
mod others;
mod stage;
mod tell;

use std::path::Path;

use anyhow::{Context, Result};

use self::contender::{ALL, Missing, Running, Who};
use self::stage::Stage;
use self::tell::{Known, TOLLGATE};
use crate::process::{Cpus, output, pin_driver};
use crate::report::{Report, progress};
use crate::world::World;

/// Pairs of laps with each contender in one round.
const PAIRS_A_ROUND: usize = 4;

/// Measures all that are installed. `billing` is the process that Tollgate's proxies ask; packages go below `out`.
pub async fn measure(world: &World, billing: i32, (out, rounds): (&Path, usize), report: &mut Report) -> Result<()> {
    let stage = Stage::set(world, billing, out).await?;
    pin_driver(Cpus::Others)?;
    let mut known = cold(&stage, rounds).await?;
    let mut field = field(&stage, report).await;
    let tollgate = field.iter().position(|(known, _)| known.who == TOLLGATE).context("Tollgate does not run")?;
    let tollgate = field.remove(tollgate);
    for round in 0..rounds * PAIRS_A_ROUND {
        progress(&format!("  laps {} of {}", round + 1, rounds * PAIRS_A_ROUND));
        for (known, running) in &mut field {
            let contenders = [(&tollgate.0, &tollgate.1), (&*known, &*running)];
            // Who goes first changes, so that a drift favours nobody.
            let first = round % 2;
            let one = lap::high(contenders[first].0.who, contenders[first].1, &stage).await?;
            let other = lap::high(contenders[1 - first].0.who, contenders[1 - first].1, &stage).await?;
            known.pairs.push(if first == 0 { [one, other] } else { [other, one] });
        }
    }
    field.push(tollgate);
    for (known, running) in &mut field {
        for _ in 0..rounds {
            known.low_us.push(lap::low(known.who, running, &stage).await?);
        }
        known.resident_mib = lap::resident_mib(running)?;
    }
    for (done, running) in field {
        running.stop().await?;
        known.push(done);
    }
    pin_driver(Cpus::Any)?;
    stage.pin(Cpus::Any)?;
    tell::tell(&known, report);
    note(&stage, rounds, report).await;
    Ok(())
}

/// Starts all that can be asked again and again, and warms them up. What is not installed, or does not do what it must, is
/// left out.
async fn field(stage: &Stage<'_>, report: &mut Report) -> Vec<(Known, Running)> {
    let mut field = Vec::new();
    for (who, name) in ALL.into_iter().filter(|(who, _)| *who != Who::Cold) {
        progress(&format!("  {name}"));
        match start(stage, who).await {
            Ok(running) => field.push((Known::new(who), running)),
            Err(error) => {
                progress(&format!("  left out: {name}: {error:#}"));
                let why = error.downcast_ref::<Missing>().map_or_else(|| "it failed".to_owned(), ToString::to_string);
                report.note(format!("left out: {name}: {why}"));
            }
        }
    }
    field
}

async fn start(stage: &Stage<'_>, who: Who) -> Result<Running> {
    let running = who.start(stage).await?;
    checks::check(who, &running, stage).await.context("it does not do what it must")?;
    lap::warm(who, &running, stage).await?;
    Ok(running)
}

/// Laps in which each account is asked for once: each needs a new process.
async fn cold(stage: &Stage<'_>, rounds: usize) -> Result<Vec<Known>> {
    let mut known = Known::new(Who::Cold);
    for _ in 0..rounds {
        let running = Who::Cold.start(stage).await?;
        checks::check(Who::Cold, &running, stage).await.context("it does not do what it must")?;
        known.alone.push(lap::cold(&running, stage).await?);
        known.resident_mib = lap::resident_mib(&running)?;
        running.stop().await?;
    }
    Ok(vec![known])
}

async fn note(stage: &Stage<'_>, rounds: usize, report: &mut Report) {
    report.note(format!(
        "peers: medians of {} laps of {} ms, each beside one of Tollgate; a ratio is the median over such pairs; CPU of all processes that serve a request, user and system; RSS without the servers \
         that all share; ≥ where the driver was busier than the contender; each gate first answered 401 to no, forged, \
         meddled, expired and unsigned tokens, 402 or 403 to a free account, and overwrote the client's own identity headers",
        rounds * PAIRS_A_ROUND,
        lap::LAP.as_millis()
    ));
    let mut versions = Vec::new();
    for (program, argument) in
        [("nginx", "-v"), ("haproxy", "-v"), ("caddy", "version"), ("envoy", "--version"), ("traefik", "version")]
    {
        let Ok(path) = stage.program(program) else { continue };
        // nginx says it as an error.
        let both = format!("{} {argument} 2>&1", path.display());
        let Ok(text) = output("sh", &["-c", &both]).await else { continue };
        versions.extend(version(&text).map(|version| format!("{program} {version}")));
    }
    report.note(format!("peers' versions: {}", versions.join(", ")));
}

/// The first word that has a number with dots in it.
fn version(text: &str) -> Option<&str> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter == '/');
    words.filter(|word| word.contains('.')).find_map(|word| {
        let word = word.trim_start_matches('v');
        word.starts_with(|letter: char| letter.is_ascii_digit()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_print() {
        assert_eq!(version("nginx version: nginx/1.22.1"), Some("1.22.1"));
        assert_eq!(version("HAProxy version 2.6.12-1 2023/12/16 - https://haproxy.org/"), Some("2.6.12-1"));
        assert_eq!(version("v2.11.7 h1:abc="), Some("2.11.7"));
        assert_eq!(version("none"), None);
    }
}
