//! Tollgate beside what a site would put in its place, on one machine, with one site, under one load.
//!
//! All that gates (proxy, service, billing, Redis, Postgres) is on the first CPU; the driver and the site are on the second.
//! In each round each contender is started, warmed up, measured alone, and stopped. In the first it must also show that it
//! gates.

mod checks;
mod contender;
mod lap;
mod nginx;
mod others;
mod stage;
mod tell;

use std::path::Path;

use anyhow::{Context, Result};

use self::contender::{ALL, Missing, Who};
use self::lap::Shown;
use self::stage::Stage;
use self::tell::Laps;
use crate::process::{Cpus, output, pin_driver};
use crate::report::{Report, progress};
use crate::world::World;

/// Measures all that are installed. `billing` is the process that Tollgate's proxies ask; packages go below `out`.
pub async fn measure(world: &World, billing: i32, (out, rounds): (&Path, usize), report: &mut Report) -> Result<()> {
    let stage = Stage::set(world, billing, out).await?;
    pin_driver(Cpus::Others)?;
    let mut laps: Laps = ALL.iter().map(|(who, _)| (*who, Vec::new())).collect();
    for round in 0..rounds {
        // Another one begins in each round, so that a drift favours nobody.
        let first = round * ALL.len() / rounds;
        for index in (first..ALL.len()).chain(0..first) {
            let Some((who, shown)) = laps.get_mut(index) else { continue };
            let left_out = round > 0 && shown.iter().all(Option::is_none);
            shown.push(if left_out { None } else { one(&stage, (*who, round), report).await });
        }
    }
    pin_driver(Cpus::Any)?;
    stage.pin(Cpus::Any)?;
    tell::tell(&laps, report);
    note(&stage, &laps, report).await;
    Ok(())
}

/// One contender in one round; none when it is not installed, or does not do what it must.
async fn one(stage: &Stage<'_>, (who, round): (Who, usize), report: &mut Report) -> Option<Shown> {
    let name = ALL.iter().find(|(known, _)| *known == who).map_or("?", |(_, name)| name);
    match run(stage, who, round).await {
        Ok(shown) => {
            progress(&format!(
                "  {}: {name}: {:.1} µs a request, {:.0}/s, driver {:.0} %, others {:.0} %",
                round + 1,
                shown.cpu_us,
                shown.per_second,
                shown.driver * 100.0,
                shown.foreign * 100.0
            ));
            Some(shown)
        }
        Err(error) => {
            progress(&format!("  {}: left out: {name}: {error:#}", round + 1));
            if round == 0 {
                let why = error.downcast_ref::<Missing>().map_or_else(|| "it failed".to_owned(), ToString::to_string);
                report.note(format!("left out: {name}: {why}"));
            }
            None
        }
    }
}

async fn run(stage: &Stage<'_>, who: Who, round: usize) -> Result<Shown> {
    let running = who.start(stage).await?;
    if round == 0 {
        checks::check(who, &running, stage).await.context("it does not do what it must")?;
    }
    let shown = lap::measure(who, &running, stage).await?;
    running.stop().await?;
    Ok(shown)
}

async fn note(stage: &Stage<'_>, laps: &Laps, report: &mut Report) {
    let rounds = laps.first().map_or(0, |(_, rounds)| rounds.len());
    report.note(format!(
        "peers: medians of {rounds} rounds; CPU of all processes that serve a request, user and system; RSS without the servers \
         that all share; ≥ where the driver was busier than the contender; each gate first answered 401 to no, forged, \
         meddled, expired and unsigned tokens, 402 or 403 to a free account, and overwrote the client's own identity headers"
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
