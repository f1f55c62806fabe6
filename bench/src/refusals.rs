//! What a refusal costs beside a pass, in CPU time of the proxy, at real speed: a proxy that callgrind slows down is asked as
//! often by the clock, so questions that are bound to the clock would be counted far too often.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::load::{Load, Until, lap};
use crate::process::{Cpus, pin_driver};
use crate::report::{Bar, Report};
use crate::stats::median;
use crate::webhooks::{PAID_ACCOUNTS, paid_account};
use crate::world::{PAID_PAGE, PATIENT, Run, World};
use crate::{cpu, http};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 15;
const LAP: Duration = Duration::from_millis(750);
const FREE_ACCOUNTS: usize = 1_000;

/// Laps of refusals, each beside one of passes that are asked for as often: a proxy that has little to do takes more time for
/// each request, whatever its answer.
pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    let proxy =
        world.tollgate(Run { cpus: Cpus::Measured, extra: PATIENT, ..Run::of("proxy-refusing", "proxy") }).await?;
    let free = |count: usize| (0..count).map(|n| unpaid(world, n)).collect::<Result<Arc<[_]>>>();
    let passes: Arc<[_]> = world.requests((0..PAID_ACCOUNTS).map(paid_account))?.into();
    let kinds = [
        ("not signed in (401)", 401, Arc::from([http::get(PAID_PAGE, None)])),
        ("one account that has not paid (402)", 402, free(1)?),
        ("1 000 accounts that have not paid (402)", 402, free(FREE_ACCOUNTS)?),
    ];
    let load = |requests: &Arc<[_]>, expected| Load {
        target: proxy.public,
        requests: Arc::clone(requests),
        connections: CONNECTIONS,
        expected,
    };
    pin_driver(Cpus::Others)?;
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        // What it does when nobody asks is no part of what a request costs.
        let before = cpu::used(proxy.process.id())?;
        tokio::time::sleep(LAP).await;
        let idle = (cpu::used(proxy.process.id())? - before).as_secs_f64() / LAP.as_secs_f64();
        let cost = async |load: Load, until| {
            let before = cpu::used(proxy.process.id())?;
            let lap = lap(&load, until).await?;
            let used = (cpu::used(proxy.process.id())? - before).as_secs_f64();
            let cpu_us = (used - idle * lap.elapsed.as_secs_f64()) * 1e6 / lap.requests as f64;
            anyhow::Ok((cpu_us, lap))
        };
        let mut ratios = [0.0; 3];
        for ((_, expected, requests), ratio) in kinds.iter().zip(&mut ratios) {
            let (refusal, refused) = cost(load(requests, *expected), Until::Elapsed(LAP)).await?;
            let every = Duration::from_secs_f64(CONNECTIONS as f64 / refused.per_second());
            let (pass, _) = cost(load(&passes, 200), Until::Paced(LAP, every)).await?;
            *ratio = refusal / pass;
        }
        rounds.push(ratios);
    }
    pin_driver(Cpus::Any)?;
    // The first round was for warming up.
    let rounds = rounds.get(1..).unwrap_or_default();
    for (kind, (what, ..)) in kinds.iter().enumerate() {
        let ratio = median(rounds.iter().map(|ratios| ratios[kind]));
        let what = format!("CPU of a refusal against a pass: {what}");
        report.row(what, format!("{ratio:.2}"), Bar::at_most(ratio, 1.0, "×"));
    }
    report.note(
        "refusals: each beside passes that are asked for as often, without what the proxy takes when nobody asks"
            .to_owned(),
    );
    proxy.process.stop().await
}

fn unpaid(world: &World, n: usize) -> Result<Vec<u8>> {
    Ok(http::get(PAID_PAGE, Some(&world.secrets.token(&format!("unpaid-{n}"))?)))
}
