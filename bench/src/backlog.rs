//! A hundred thousand events wait, as after an outage: how fast they are worked off, and whether a new one has to wait.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::http::{self, Connection};
use crate::report::{Bar, Report};
use crate::stats;
use crate::world::{PAID_PAGE, World};

const EVENTS: usize = 100_000;
const DRAINED_LIMIT: Duration = Duration::from_secs(600);
/// Purchases while the backlog is worked off: one each second.
const PURCHASES: usize = 20;
const LET_THROUGH_LIMIT: Duration = Duration::from_secs(30);

/// Ten events for each of many customers, as they would have been received; the shape is that of the other measurements.
const FILL: &str = r#"
insert into webhook_events (provider, event_id, type, api_version, livemode, received_at, state, attempts, next_attempt_at, body)
select 'stripe', 'evt_backlog_' || n, 'customer.subscription.updated', '2025-03-31.basil', false, now(), 'pending', 0, now(),
    convert_to(json_build_object(
        'id', 'evt_backlog_' || n, 'object', 'event', 'type', 'customer.subscription.updated',
        'created', extract(epoch from now())::bigint + n / 10000, 'livemode', false,
        'data', json_build_object('object', json_build_object(
            'id', 'sub_backlog_' || n % 10000, 'object', 'subscription', 'customer', 'cus_backlog_' || n % 10000,
            'status', case when n / 10000 % 2 = 0 then 'active' else 'past_due' end,
            'created', extract(epoch from now())::bigint, 'start_date', extract(epoch from now())::bigint,
            'metadata', json_build_object('account', 'backlog-' || n % 10000),
            'items', json_build_object('data', json_build_array(json_build_object(
                'price', json_build_object('id', 'price_monthly'),
                'current_period_start', extract(epoch from now())::bigint,
                'current_period_end', extract(epoch from now())::bigint + 2592000))))))::text, 'UTF8')
from generate_series(0, 99999) n
"#;

/// Fills the inbox while billing runs, and watches it empty. Purchases are delivered to the proxy at `target`.
pub async fn measure(world: &World, target: SocketAddr, report: &mut Report) -> Result<()> {
    world.servers.query(FILL).await?;
    let began = Instant::now();
    let waits = purchases(world, target).await?;
    let deadline = began + DRAINED_LIMIT;
    while world.servers.query("select count(*) from webhook_events where state = 'pending'").await? != "0" {
        ensure!(Instant::now() < deadline, "the backlog is not worked off after {DRAINED_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
    let stuck = world.servers.query("select count(*) from webhook_events where state in ('parked', 'dead')").await?;
    ensure!(stuck == "0", "{stuck} events of the backlog came to nothing");
    report.row("a backlog of 100 000 events is worked off", format!("{rate:.0}/s"), Bar::at_least(rate, 1_000.0, "/s"));
    let longest = waits.last().copied().unwrap_or_default();
    report.row(
        "meanwhile: webhook sent to first request let through, longest of 20",
        format!("{longest:.0} ms"),
        Bar::None,
    );
    Ok(())
}

/// How long each new buyer waits while the backlog is worked off, in milliseconds, ascending.
async fn purchases(world: &World, target: SocketAddr) -> Result<Vec<f64>> {
    let mut connection = Connection::new(target);
    let mut waits = Vec::new();
    for n in 0..PURCHASES {
        let account = format!("amid-backlog-{n}");
        let request = http::get(PAID_PAGE, Some(&world.secrets.token(&account)?));
        let delivery = world.secrets.subscribed(&account)?;
        let began = Instant::now();
        let status = connection.exchange(&delivery).await?.status;
        ensure!(status == 200, "a webhook was answered {status} during a backlog");
        while connection.exchange(&request).await?.status != 200 {
            ensure!(began.elapsed() < LET_THROUGH_LIMIT, "a buyer was not let through in {LET_THROUGH_LIMIT:?}");
        }
        waits.push(began.elapsed().as_secs_f64() * 1e3);
        let next = Duration::from_secs(1).checked_sub(began.elapsed()).unwrap_or_default();
        tokio::time::sleep(next).await;
    }
    Ok(stats::sorted(waits))
}
