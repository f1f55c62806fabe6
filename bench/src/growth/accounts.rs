//! A proxy with a thousand accounts in its memory and one with a million: instructions and CPU time of a request, memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{filled, tell};
use crate::callgrind::Profile;
use crate::cpu;
use crate::load::{Until, lap};
use crate::metrics::Metrics;
use crate::process::Cpus;
use crate::report::{Bar, Report};
use crate::stats::median;
use crate::world::{Run, Tollgate, World};

const FEW: usize = 1_000;
/// The memory has room for all, and callgrind makes no answer from below late.
const ROOM: &str = "[cache]\ncapacity = 1_100_000\nredis_deadline = \"5s\"\nbilling_deadline = \"5s\"\n";
/// From here on only the records take more: fewer tokens and header values than these are remembered.
const MANY: usize = 100_000;
const L1_MIB_MAX: f64 = 250.0;
const WARM: u64 = 3_000;
const REQUESTS: u64 = 4_000;
const CONNECTIONS: usize = 8;
const LAPS: usize = 5;
const LAP: Duration = Duration::from_secs(2);

pub async fn measure(world: &World, profiles: &Path, many: usize, report: &mut Report) -> Result<()> {
    filled::seed(world, many).await?;
    at_speed(world, many, report).await?;
    let few = count(world, profiles, FEW).await?;
    report.row(format!("instructions a request with {FEW} accounts in memory"), format!("{few:.0}"), Bar::None);
    let most = count(world, profiles, many).await?;
    report.row(format!("instructions a request with {many} accounts in memory"), format!("{most:.0}"), Bar::None);
    tell(report, &format!("instructions a request, {many} accounts in memory against {FEW}"), few, most);
    Ok(())
}

/// Memory, and CPU time with the caches of the machine as they are.
async fn at_speed(world: &World, many: usize, report: &mut Report) -> Result<()> {
    let (small, large) = (filled(world, "proxy-few", FEW).await?, filled(world, "proxy-many", many.min(MANY)).await?);
    let before = cpu::resident_mib(large.process.id())?;
    filled::fill(world, &large, many).await?;
    let resident = cpu::resident_mib(large.process.id())?;
    report.row(format!("memory (RSS) of a proxy with {many} accounts"), format!("{resident:.0} MiB"), Bar::None);
    if many > MANY {
        let records = (resident - before) * many as f64 / (many - MANY) as f64;
        let bar = Bar::at_most(records, L1_MIB_MAX * many as f64 / 1e6, "MiB");
        let what = format!("of which the records of {many} accounts, as {} more have shown", many - MANY);
        report.row(what, format!("{records:.0} MiB"), bar);
    }
    let loads = [
        filled::load(&small, filled::sample(world, FEW)?, CONNECTIONS),
        filled::load(&large, filled::sample(world, many)?, CONNECTIONS),
    ];
    // The sample is in memory: whatever had been pushed out of it would be read again here.
    let below = Metrics::read(large.admin).await?.lookups("redis");
    let mut ratios = Vec::new();
    for turn in 0..=LAPS {
        let mut cpu_us = [0.0; 2];
        for ((load, proxy), cpu_us) in loads.iter().zip([&small, &large]).zip(&mut cpu_us) {
            let before = cpu::used(proxy.process.id())?;
            let lap = lap(load, Until::Elapsed(LAP)).await?;
            *cpu_us = (cpu::used(proxy.process.id())? - before).as_secs_f64() * 1e6 / lap.requests as f64;
        }
        // The first is for warming up.
        if turn > 0 {
            ratios.push(cpu_us[1] / cpu_us[0]);
        }
    }
    let read = Metrics::read(large.admin).await?.lookups("redis") - below;
    ensure!(read < 50.0, "{read} of the accounts that were asked for were not in memory");
    let ratio = median(ratios);
    report.row(
        format!("CPU a request, {many} accounts in memory against {FEW}, 1 000 of them asking"),
        format!("{ratio:.3}"),
        Bar::None,
    );
    small.process.stop().await?;
    large.process.stop().await
}

async fn filled(world: &World, name: &'static str, accounts: usize) -> Result<Tollgate> {
    let proxy = world.tollgate(Run { extra: ROOM, ..Run::of(name, "proxy") }).await?;
    filled::fill(world, &proxy, accounts).await?;
    Ok(proxy)
}

/// Fills the memory without counting, which takes long enough, then counts.
async fn count(world: &World, profiles: &Path, accounts: usize) -> Result<f64> {
    let mut profile = Profile::new(profiles, &format!("accounts-{accounts}"))?;
    let by = profile.command_off();
    let run = Run { cpus: Cpus::Any, by: &by, extra: ROOM, ..Run::of("proxy-grown", "proxy") };
    let proxy = world.tollgate(run).await?;
    filled::fill(world, &proxy, accounts).await?;
    profile.switch_on(&proxy.process).await?;
    let load = filled::load(&proxy, filled::sample(world, accounts)?, CONNECTIONS);
    let count = profile.count(&proxy.process, &load, WARM, REQUESTS).await?;
    proxy.process.stop().await?;
    Ok(count.per_request)
}
