//! `make soak`: minutes of everything at once. Readers, strangers, free users, buyers and WebSockets on two proxies, webhooks,
//! reloads of the configuration, and Redis that restarts empty. Afterwards memory and open files must be where they were,
//! and no answer may have been anything but what it must be.

mod traffic;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;

use self::traffic::{Tally, Traffic};
use self::watch::Watch;
use crate::metrics::Metrics;
use crate::report::{Bar, Report, progress};
use crate::sockets;
use crate::webhooks;
use crate::world::{Run, Tollgate, World};

const SAMPLE_EVERY: Duration = Duration::from_secs(2);
const RELOAD_EVERY: Duration = Duration::from_secs(10);
const RESTART_EVERY: Duration = Duration::from_secs(30);
/// How long Redis is away each time.
const AWAY: Duration = Duration::from_secs(2);
const TOLD_EVERY: Duration = Duration::from_secs(60);
const FILES: u64 = 4_096;
/// What a reload changes, there and back.
const RELOADED: [&str; 2] = ["max_staleness = \"5s\"", "max_staleness = \"4s\""];

/// What happened beside the traffic.
#[derive(Default)]
struct Done {
    reloads: usize,
    restarts: usize,
}

/// Runs for `length`. The purchases go to `billing` through the proxies.
///
/// # Errors
/// When something grew, or an answer was wrong.
pub async fn measure(world: &mut World, billing: &Tollgate, length: Duration, report: &mut Report) -> Result<()> {
    sockets::allow_files(FILES);
    let extra = format!("[cache]\n{}\n", RELOADED[0]);
    let run = |name| Run { extra: &extra, ..Run::of(name, "proxy") };
    let proxies = [world.tollgate(run("proxy-soaked-1")).await?, world.tollgate(run("proxy-soaked-2")).await?];
    let tally = Arc::new(Tally::new());
    let traffic = Traffic::start(world, [proxies[0].public, proxies[1].public], &tally)?;
    let mut watch = Watch::over(
        [("billing", billing), ("proxy 1", &proxies[0]), ("proxy 2", &proxies[1])]
            .map(|(name, one)| (name, one.process.id())),
    );
    let done = soak(world, &proxies, length, (&mut watch, &tally)).await?;
    traffic.end().await;
    // Whatever was acknowledged has had its effects.
    webhooks::applied(world).await?;
    for proxy in &proxies {
        let metrics = Metrics::read(proxy.admin).await?;
        let [applied, refused] = ["applied", "refused"].map(|word| metrics.sum("tollgate_config_reloads_total{", word));
        // The last one may be under way.
        let asked = done.reloads as f64;
        let is_well = refused == 0.0 && applied + 1.0 >= asked;
        ensure!(is_well, "{applied} of {asked} reloads were applied, {refused} refused");
    }
    ensure!(done.restarts > 0, "Redis was never restarted: the soak was too short");
    for proxy in proxies {
        proxy.process.stop().await?;
    }
    tell(report, (&watch, &tally, &done), length)
}

async fn soak(
    world: &mut World,
    proxies: &[Tollgate; 2],
    length: Duration,
    (watch, tally): (&mut Watch, &Tally),
) -> Result<Done> {
    let (began, mut done) = (Instant::now(), Done::default());
    // A short run has restarts as well.
    let restart_every = RESTART_EVERY.min(length / 4);
    let (mut reload, mut restart, mut told) = (began + RELOAD_EVERY, began + restart_every, began + TOLD_EVERY);
    while began.elapsed() < length {
        tokio::time::sleep(SAMPLE_EVERY).await;
        watch.sample()?;
        let now = Instant::now();
        if now > reload {
            reload = now + RELOAD_EVERY;
            done.reloads += 1;
            for proxy in proxies {
                change(&proxy.config, done.reloads)?;
                proxy.process.signal(Signal::HUP)?;
            }
        }
        if now > restart {
            restart = now + restart_every;
            done.restarts += 1;
            world.servers.restart_redis(AWAY).await?;
        }
        if now > told {
            told = now + TOLD_EVERY;
            progress(&format!("  {} s: {}", began.elapsed().as_secs(), tally.line()));
        }
    }
    Ok(done)
}

/// Another configuration, in place all at once.
fn change(config: &Path, turn: usize) -> Result<()> {
    let (old, new) = (RELOADED[(turn + 1) % 2], RELOADED[turn % 2]);
    let text = std::fs::read_to_string(config)?;
    ensure!(text.contains(old), "the configuration is not what it was");
    let beside = config.with_extension("new");
    std::fs::write(&beside, text.replace(old, new))?;
    Ok(std::fs::rename(beside, config)?)
}

fn tell(report: &mut Report, (watch, tally, done): (&Watch, &Tally, &Done), length: Duration) -> Result<()> {
    let what = format!("soak of {} s: {}", length.as_secs(), tally.line());
    report.row(what, format!("{} reloads, {} restarts of Redis", done.reloads, done.restarts), Bar::None);
    let (errors, complaints) = (tally.errors(), watch.complaints());
    report.row("soak: wrong answers", errors.len().to_string(), Bar::at_most(errors.len() as f64, 0.0, ""));
    for line in watch.lines() {
        report.row(format!("soak: {}", line.what), line.value, Bar::at_most(line.growth, line.limit, line.unit));
    }
    if errors.is_empty() && complaints.is_empty() {
        return Ok(());
    }
    bail!("the soak failed:\n  {}", errors.into_iter().chain(complaints).collect::<Vec<_>>().join("\n  "))
}
