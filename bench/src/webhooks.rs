//! Deliveries of Stripe: how fast they are answered at a steady rate, and how many are made durable in a second. The
//! accounts that buy here are the paid ones of the other measurements.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::report::{Bar, Report};
use crate::stats;
use crate::world::World;

/// Accounts that buy at the steady rate: they are paid afterwards.
pub const PAID_ACCOUNTS: usize = 1_000;
const STEADY_PER_SECOND: u32 = 300;
const STEADY_CONNECTIONS: usize = 16;
/// Accounts that buy back to back.
pub const BURST: usize = 3_000;
const BURST_CONNECTIONS: usize = 64;
const APPLIED_LIMIT: Duration = Duration::from_secs(60);

/// The `n`th paid account.
pub fn paid_account(n: usize) -> String {
    format!("reader-{n}")
}

/// The `n`th account that bought back to back: paid as well, and asked for by no other measurement.
pub fn burst_account(n: usize) -> String {
    format!("burst-{n}")
}

/// Delivers to the public listener at `target`, as Stripe does.
pub async fn measure(world: &World, target: SocketAddr, report: &mut Report) -> Result<()> {
    let steady = deliveries(world, (0..PAID_ACCOUNTS).map(paid_account))?;
    let answers = deliver(target, steady, STEADY_CONNECTIONS, Some(Duration::from_secs(1) / STEADY_PER_SECOND)).await?;
    let (p50, p99) = (stats::quantile(&answers.latencies_ms, 0.5), stats::quantile(&answers.latencies_ms, 0.99));
    report.row(format!("webhook answer at {STEADY_PER_SECOND}/s, p50"), format!("{p50:.1} ms"), Bar::None);
    report.row(
        format!("webhook answer at {STEADY_PER_SECOND}/s, p99"),
        format!("{p99:.1} ms"),
        Bar::at_most(p99, 50.0, "ms"),
    );

    let burst = deliveries(world, (0..BURST).map(burst_account))?;
    let answers = deliver(target, burst, BURST_CONNECTIONS, None).await?;
    let rate = BURST as f64 / answers.elapsed.as_secs_f64();
    report.row("webhooks made durable, back to back", format!("{rate:.0}/s"), Bar::at_least(rate, 1_500.0, "/s"));
    applied(world).await
}

/// Waits until every event has had its effects, so that the next measurement begins with nothing to do.
pub async fn applied(world: &World) -> Result<()> {
    let deadline = Instant::now() + APPLIED_LIMIT;
    while world.servers.query("select count(*) from webhook_events where state <> 'applied'").await? != "0" {
        ensure!(Instant::now() < deadline, "some webhooks are not applied after {APPLIED_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn deliveries(world: &World, accounts: impl Iterator<Item = String>) -> Result<Arc<[Vec<u8>]>> {
    accounts.map(|account| world.secrets.subscribed(&account)).collect()
}

struct Answers {
    elapsed: Duration,
    /// Ascending.
    latencies_ms: Vec<f64>,
}

/// Sends every delivery once; with a `pace`, each at its own moment, and its latency counts from that moment: what waits
/// behind a slow answer is slow as well.
async fn deliver(
    target: SocketAddr,
    deliveries: Arc<[Vec<u8>]>,
    connections: usize,
    pace: Option<Duration>,
) -> Result<Answers> {
    let start = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (deliveries, next) = (Arc::clone(&deliveries), Arc::clone(&next));
        senders.spawn(async move {
            let mut connection = Connection::new(target);
            let mut latencies = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(delivery) = deliveries.get(index) else { return anyhow::Ok(latencies) };
                let due = match pace {
                    Some(pace) => start + pace * u32::try_from(index)?,
                    None => Instant::now(),
                };
                tokio::time::sleep_until(due.into()).await;
                let answer = connection.exchange(delivery).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1e3);
                let body = String::from_utf8_lossy(answer.body);
                ensure!(answer.status == 200, "a webhook was answered {}: {body}", answer.status);
            }
        });
    }
    let mut latencies_ms = Vec::new();
    while let Some(sender) = senders.join_next().await {
        latencies_ms.extend(sender??);
    }
    Ok(Answers { elapsed: start.elapsed(), latencies_ms: stats::sorted(latencies_ms) })
}
