//! What gating costs in CPU time and throughput: laps of the same load, in turn through the bare Pingora and Tollgate, each
//! alone on the first CPU; the driver and the upstream are on the second.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::cpu;
use crate::load::{Load, Until, lap};
use crate::process::{Cpus, last_cpu, pin_driver};
use crate::report::{Bar, Report};
use crate::stats::median;
use crate::webhooks::{PAID_ACCOUNTS, paid_account};
use crate::world::{Run, Tollgate, World};

const CONNECTIONS: usize = 64;
/// Pairs of laps, one through each proxy, that count.
const PAIRS: usize = 7;
/// Pairs that are run at most to find as many undisturbed ones.
const PAIRS_MAX: usize = 21;
/// CPUs that others may use during an undisturbed lap.
const FOREIGN_MAX: f64 = 0.1;
const LAP: Duration = Duration::from_secs(4);
const WARM: Duration = Duration::from_secs(2);

/// What one lap through one proxy showed.
struct Shown {
    cpu_us: f64,
    per_second: f64,
    /// p50, p95, p99.
    latency_ms: [f64; 3],
    /// Share of a CPU that the proxy used.
    proxy: f64,
    /// Share of a CPU that the driver used, with the upstream in it.
    driver: f64,
    /// CPUs used by others than the proxy and the driver, or stolen by the host.
    foreign: f64,
}

/// Runs the laps.
pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    let bare = world.bare("same", Cpus::Measured, &[]).await?;
    let run = Run { cpus: Cpus::Measured, ..Run::of("proxy-lapped", "proxy") };
    let tollgate = world.tollgate(run).await?;
    world.check_gate(tollgate.public, &paid_account(0)).await?;
    let requests: Arc<[Vec<u8>]> = world.requests((0..PAID_ACCOUNTS).map(paid_account))?.into();

    pin_driver(Cpus::Others)?;
    let contenders = [&bare, &tollgate];
    for contender in contenders {
        lap(&load(contender, &requests), Until::Elapsed(WARM)).await?;
    }
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS_MAX && pairs.iter().filter(|pair| foreign(pair) <= FOREIGN_MAX).count() < PAIRS {
        // Who goes first changes, so that a drift favours nobody.
        let turned = pairs.len() % 2 == 1;
        let [first, second] = if turned { [contenders[1], contenders[0]] } else { contenders };
        let pair = [one(first, &requests).await?, one(second, &requests).await?];
        let [first, second] = pair;
        pairs.push(if turned { [second, first] } else { [first, second] });
    }
    pin_driver(Cpus::Any)?;
    tell(report, pairs);
    let resident = cpu::resident_mib(tollgate.process.id())?;
    let rest = cpu::resident_mib(bare.process.id())?;
    let what = format!("memory (RSS) with {PAID_ACCOUNTS} accounts; bare Pingora {rest:.0} MiB");
    report.row(what, format!("{resident:.0} MiB"), Bar::at_most(resident, 60.0, "MiB"));
    bare.process.stop().await?;
    tollgate.process.stop().await
}

fn load(contender: &Tollgate, requests: &Arc<[Vec<u8>]>) -> Load {
    Load { target: contender.public, requests: Arc::clone(requests), connections: CONNECTIONS, expected: 200 }
}

/// CPUs that others used during a pair of laps.
fn foreign([bare, tollgate]: &[Shown; 2]) -> f64 {
    bare.foreign.max(tollgate.foreign)
}

async fn one(contender: &Tollgate, requests: &Arc<[Vec<u8>]>) -> Result<Shown> {
    let (proxy, driver) = (contender.process.id(), i32::try_from(std::process::id())?);
    let before = (cpu::used(proxy)?, cpu::used(driver)?, cpu::machine()?);
    let lap = lap(&load(contender, requests), Until::Elapsed(LAP)).await?;
    let used = (cpu::used(proxy)? - before.0).as_secs_f64();
    let own = (cpu::used(driver)? - before.1).as_secs_f64();
    let machine = cpu::machine()?;
    let (busy, stolen) = ((machine.0 - before.2.0).as_secs_f64(), (machine.1 - before.2.1).as_secs_f64());
    let elapsed = lap.elapsed.as_secs_f64();
    Ok(Shown {
        cpu_us: used * 1e6 / lap.requests as f64,
        per_second: lap.per_second(),
        latency_ms: [0.5, 0.95, 0.99].map(|q| lap.latency_ms(q)),
        proxy: used / elapsed,
        driver: own / elapsed,
        foreign: ((busy - used - own).max(0.0) + stolen) / elapsed,
    })
}

/// The undisturbed pairs; where there are too few, the least disturbed ones.
fn tell(report: &mut Report, mut pairs: Vec<[Shown; 2]>) {
    let run = pairs.len();
    pairs.sort_by(|a, b| foreign(a).total_cmp(&foreign(b)));
    pairs.truncate(PAIRS);
    let middle = |which: usize, of: &dyn Fn(&Shown) -> f64| median(pairs.iter().map(|pair| of(&pair[which])));
    let (limit, gated) = (middle(0, &|lap| lap.cpu_us), middle(1, &|lap| lap.cpu_us));
    report.row("CPU a request: bare Pingora", format!("{limit:.1} µs"), Bar::None);
    report.row("CPU a request: Tollgate", format!("{gated:.1} µs"), Bar::None);
    let ratio = gated / limit;
    report.row("CPU a request: ratio", format!("{ratio:.3}"), Bar::None);
    let (limit, gated) = (middle(0, &|lap| lap.per_second), middle(1, &|lap| lap.per_second));
    report.row("requests/s on one CPU: bare Pingora", format!("{limit:.0}"), Bar::None);
    report.row("requests/s on one CPU: Tollgate", format!("{gated:.0}"), Bar::None);
    let ratio = gated / limit;
    report.row("requests/s: ratio", format!("{ratio:.3}"), Bar::at_least(ratio, 0.95, "×"));
    for (which, name) in ["bare Pingora", "Tollgate"].into_iter().enumerate() {
        let [p50, p95, p99] = [0, 1, 2].map(|index| middle(which, &|lap| lap.latency_ms[index]));
        let bar = if name == "Tollgate" { Bar::at_most(p95, 10.0, "ms (p95)") } else { Bar::None };
        let what = format!("latency p50 / p95 / p99, {CONNECTIONS} connections: {name}");
        report.row(what, format!("{p50:.2} / {p95:.2} / {p99:.2} ms"), bar);
    }
    report.note(format!(
        "medians of {} interleaved pairs of laps of {} s, the least disturbed of {run}; {PAID_ACCOUNTS} accounts' tokens in \
         turn; the proxy used {:.0} % of its CPU, the driver {:.0} % of the other, everyone else up to {:.0} % of a CPU",
        pairs.len(),
        LAP.as_secs(),
        middle(1, &|lap| lap.proxy) * 100.0,
        middle(1, &|lap| lap.driver) * 100.0,
        pairs.iter().map(foreign).fold(0.0, f64::max) * 100.0
    ));
    if last_cpu() == 0 {
        report.note("this machine has one CPU: the driver and the upstream compete with the proxy".to_owned());
    }
}
