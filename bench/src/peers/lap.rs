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
const LAP: Duration = Duration::from_secs(3);
/// Fewer where each request goes down to Postgres: what waits for longer than billing may take would be answered 503.
const COLD_CONNECTIONS: usize = 16;
/// One connection, one request at a time.
const LOW: Duration = Duration::from_millis(1_500);
/// Laps that are run at most to find an undisturbed one.
const TRIES: usize = 3;
/// CPUs that others may use during an undisturbed lap.
const FOREIGN_MAX: f64 = 0.15;

/// What one lap showed.
#[derive(Clone)]
pub struct Shown {
    /// Of all processes of the contender together.
    pub cpu_us: f64,
    pub per_second: f64,
    /// p50, p95, p99 with 64 connections.
    pub high_ms: [f64; 3],
    /// p50, p99 with one connection.
    pub low_us: [f64; 2],
    /// Of its own processes: servers that it shares are not counted.
    pub resident_mib: f64,
    /// Share of a CPU that the contender used, with the servers.
    pub used: f64,
    /// Share of the other CPU that the driver and the site used.
    pub driver: f64,
    /// CPUs used by anybody else.
    pub foreign: f64,
}

/// Warms a contender up and measures it.
pub async fn measure(who: Who, running: &Running, stage: &Stage<'_>) -> Result<Shown> {
    let load = |connections, requests| Load { target: running.target, requests, connections, expected: 200 };
    let warm = load(CONNECTIONS, who.requests(stage));
    lap(&warm, Until::Elapsed(WARM)).await?;
    let pids = pids(running)?;
    let mut best: Option<Shown> = None;
    for _ in 0..TRIES {
        let shown = if who == Who::Cold {
            let cold = load(COLD_CONNECTIONS, Arc::clone(&stage.cold));
            one(&cold, Until::Count(stage.cold.len() as u64), &pids).await?
        } else {
            one(&warm, Until::Elapsed(LAP), &pids).await?
        };
        if best.as_ref().is_none_or(|best| shown.foreign < best.foreign) {
            best = Some(shown);
        }
        // Once asked for, an account is not cold any more.
        if who == Who::Cold || best.as_ref().is_some_and(|best| best.foreign <= FOREIGN_MAX) {
            break;
        }
    }
    let Some(mut shown) = best else { anyhow::bail!("no lap was run") };
    if who != Who::Cold {
        let low = lap(&load(1, who.requests(stage)), Until::Elapsed(LOW)).await?;
        shown.low_us = [0.5, 0.99].map(|q| stats::quantile(&low.latencies_us, q));
    }
    for process in &running.own {
        for pid in cpu::tree(process.id())? {
            shown.resident_mib += cpu::resident_mib(pid)?;
        }
    }
    Ok(shown)
}

/// Everything that works for the contender.
fn pids(running: &Running) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for root in running.own.iter().map(crate::process::Process::id).chain(running.shared.iter().copied()) {
        pids.extend(cpu::tree(root)?);
    }
    Ok(pids)
}

async fn one(load: &Load, until: Until, pids: &[i32]) -> Result<Shown> {
    let driver = i32::try_from(std::process::id())?;
    let before = (cpu::used_by(pids)?, cpu::used(driver)?, cpu::machine()?);
    let lap = lap(load, until).await?;
    let used = cpu::used_by(pids)?.saturating_sub(before.0).as_secs_f64();
    let own = cpu::used(driver)?.saturating_sub(before.1).as_secs_f64();
    let machine = cpu::machine()?;
    let (busy, stolen) = ((machine.0 - before.2.0).as_secs_f64(), (machine.1 - before.2.1).as_secs_f64());
    let elapsed = lap.elapsed.as_secs_f64();
    Ok(Shown {
        cpu_us: used * 1e6 / lap.requests as f64,
        per_second: lap.per_second(),
        high_ms: [0.5, 0.95, 0.99].map(|q| lap.latency_ms(q)),
        low_us: [0.0; 2],
        resident_mib: 0.0,
        used: used / elapsed,
        driver: own / elapsed,
        foreign: ((busy - used - own).max(0.0) + stolen) / elapsed,
    })
}
