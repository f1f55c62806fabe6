//! One lap through one contender: what it used, and what its clients saw.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::contender::{Running, Who};
use super::stage::Stage;
use crate::cpu;
use crate::load::{Load, Until, lap};
use crate::stats;

const CONNECTIONS: usize = 64;
const WARM: Duration = Duration::from_millis(1_500);
/// Short, so that two that follow one another meet the same machine.
pub const LAP: Duration = Duration::from_millis(750);
/// Fewer where each request goes down to Postgres: what waits for longer than billing may take would be answered 503.
const COLD_CONNECTIONS: usize = 16;
/// One connection, one request at a time.
const LOW: Duration = Duration::from_millis(1_500);

/// What one lap showed.
#[derive(Clone, Copy)]
pub struct Shown {
    /// Of all processes of the contender together.
    pub cpu_us: f64,
    pub per_second: f64,
    /// p50, p95, p99.
    pub latency_ms: [f64; 3],
    /// Share of a CPU that the contender used, with the servers.
    pub used: f64,
    /// Share of the other CPU that the driver and the site used.
    pub driver: f64,
}

/// Lets a contender fill what it remembers.
pub async fn warm(who: Who, running: &Running, stage: &Stage<'_>) -> Result<()> {
    lap(&load(who, running, stage, CONNECTIONS), Until::Elapsed(WARM)).await?;
    Ok(())
}

/// Many connections, back to back.
pub async fn high(who: Who, running: &Running, stage: &Stage<'_>) -> Result<Shown> {
    one(&load(who, running, stage, CONNECTIONS), Until::Elapsed(LAP), running).await
}

/// One connection: p50 and p99 in microseconds.
pub async fn low(who: Who, running: &Running, stage: &Stage<'_>) -> Result<[f64; 2]> {
    let low = lap(&load(who, running, stage, 1), Until::Elapsed(LOW)).await?;
    Ok([0.5, 0.99].map(|q| stats::quantile(&low.latencies_us, q)))
}

/// Each account once.
pub async fn cold(running: &Running, stage: &Stage<'_>) -> Result<Shown> {
    warm(Who::Cold, running, stage).await?;
    let requests = Arc::clone(&stage.cold);
    let count = Until::Count(requests.len() as u64);
    let load = Load { target: running.target, requests, connections: COLD_CONNECTIONS, expected: 200 };
    one(&load, count, running).await
}

/// Of its own processes: servers that it shares are not counted.
pub fn resident_mib(running: &Running) -> Result<f64> {
    let trees = running.own.iter().map(|process| cpu::tree(process.id())).collect::<Result<Vec<_>>>()?;
    trees.into_iter().flatten().map(cpu::resident_mib).sum()
}

fn load(who: Who, running: &Running, stage: &Stage<'_>, connections: usize) -> Load {
    Load { target: running.target, requests: who.requests(stage), connections, expected: 200 }
}

/// Everything that works for the contender.
fn pids(running: &Running) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for root in running.own.iter().map(crate::process::Process::id).chain(running.shared.iter().copied()) {
        pids.extend(cpu::tree(root)?);
    }
    Ok(pids)
}

async fn one(load: &Load, until: Until, running: &Running) -> Result<Shown> {
    let (pids, driver) = (pids(running)?, i32::try_from(std::process::id())?);
    let before = (cpu::used_by(&pids), cpu::used(driver)?);
    let lap = lap(load, until).await?;
    let used = cpu::used_since(&pids, &before.0).as_secs_f64();
    let own = cpu::used(driver)?.saturating_sub(before.1).as_secs_f64();
    let elapsed = lap.elapsed.as_secs_f64();
    Ok(Shown {
        cpu_us: used * 1e6 / lap.requests as f64,
        per_second: lap.per_second(),
        latency_ms: [0.5, 0.95, 0.99].map(|q| lap.latency_ms(q)),
        used: used / elapsed,
        driver: own / elapsed,
    })
}
