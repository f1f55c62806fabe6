//! How long after the commit of a webhook's effects two proxies enforce them.
//!
//! Both proxies have just denied the account (402), so each holds the free answer. While the webhook is delivered, both
//! are asked again and again; the first 200 counts, against the commit time that Postgres has kept. All on one host,
//! so there is one clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};

use crate::clock;
use crate::http::{self, Connection};
use crate::plot::Bin;
use crate::report::{Bar, Report, progress};
use crate::stats::{quantile, sorted};
use crate::world::{PAID_PAGE, World};

const ACCOUNTS: usize = 500;
/// Accounts that are there when the catalog changes.
const CROWD: usize = 200_000;
/// How long telling all of them of a catalog may take.
const WALK_LIMIT: Duration = Duration::from_secs(600);
/// Two of the catalog's features, and what they become.
const FEATURES: [&str; 2] = ["\"alerts\", \"archive\"]", "\"alerts\", \"archive\", \"export\"]"];
const ENFORCED_LIMIT: Duration = Duration::from_secs(20);
/// Upper edges of the histogram, in milliseconds.
const EDGES: [f64; 9] = [1.0, 2.0, 3.0, 5.0, 10.0, 25.0, 50.0, 100.0, f64::INFINITY];
const COMMITTED: &str = "select account, extract(epoch from pg_xact_commit_timestamp(xmin)) from subscriptions \
                         where account like 'fresh-%'";

/// What happened to one account.
struct Bought {
    account: String,
    /// When each proxy first let it through.
    enforced: [DateTime<Utc>; 2],
    sent: DateTime<Utc>,
    answered_ms: f64,
}

/// Lets the accounts buy, one after the other, in peace and then while a great many accounts are told of another catalog.
/// Deliveries go through the first proxy.
pub async fn measure(world: &World, proxies: [SocketAddr; 2], report: &mut Report) -> Result<()> {
    let mut connections = proxies.map(Connection::new);
    let mut provider = Connection::new(proxies[0]);
    let mut all = Vec::with_capacity(ACCOUNTS);
    for n in 0..ACCOUNTS {
        all.push(buy(world, format!("fresh-{n}"), &mut connections, &mut provider).await?);
    }
    let (from_commit, from_sent) = ages(world, &all).await?;
    tell(report, from_commit, from_sent, sorted(all.iter().map(|bought| bought.answered_ms).collect()));

    progress(&format!("bench: the same while {CROWD} accounts are told of another catalog"));
    for fill in crowd() {
        world.servers.query(&fill).await?;
    }
    let mut meanwhile = Vec::new();
    let change = |catalog: String| catalog.replacen(FEATURES[0], FEATURES[1], 1);
    let began = Instant::now();
    let mut walk = std::pin::pin!(world.apply(change, WALK_LIMIT));
    loop {
        let account = format!("fresh-walk-{}", meanwhile.len());
        let buying = buy(world, account, &mut connections, &mut provider);
        let mut buying = std::pin::pin!(buying);
        tokio::select! {
            bought = &mut buying => meanwhile.push(bought?),
            done = &mut walk => {
                done?;
                break;
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    ensure!(!meanwhile.is_empty(), "all accounts were told before one had bought");
    let (from_commit, _) = ages(world, &meanwhile).await?;
    let of = |q| quantile(&from_commit, q);
    report.row(
        format!("the same while {CROWD} accounts are told of a catalog, p50"),
        format!("{:.1} ms", of(0.5)),
        Bar::None,
    );
    report.row("the same, p99", format!("{:.1} ms", of(0.99)), Bar::at_most(of(0.99), 25.0, "ms"));
    report.row(
        "accounts told of a catalog, beside those purchases",
        format!("{:.0}/s", CROWD as f64 / took),
        Bar::None,
    );
    report.note(format!("{} purchases while {CROWD} accounts were told of a catalog", meanwhile.len()));
    Ok(())
}

/// Statements that make accounts with a gift.
fn crowd() -> [String; 2] {
    let series = format!("'crowd-' || lpad(n::text, 6, '0') from generate_series(1, {CROWD}) n");
    let with = |columns: &str| series.replacen(" from", &format!(", {columns} from"), 1);
    [
        format!("insert into accounts (account, version, created_at) select {}", with("1, now()")),
        format!(
            "insert into credits (account, tier, reason, starts_at, created_at) select {}",
            with("'paid', 'a gift', now(), now()")
        ),
    ]
}

/// From commit and from sending to the moment at which a proxy enforced it, in milliseconds, in order.
async fn ages(world: &World, all: &[Bought]) -> Result<(Vec<f64>, Vec<f64>)> {
    let committed = committed(&world.servers.query(COMMITTED).await?)?;
    let (mut from_commit, mut from_sent) = (Vec::new(), Vec::new());
    for bought in all {
        let commit = committed.get(&bought.account).context("an account without a subscription")?;
        for enforced in bought.enforced {
            from_commit.push(epoch_seconds(enforced).mul_add(1e3, -commit * 1e3));
        }
        let last = bought.enforced[0].max(bought.enforced[1]);
        from_sent.push((last - bought.sent).as_seconds_f64() * 1e3);
    }
    Ok((sorted(from_commit), sorted(from_sent)))
}

/// One account: denied, then buying, then let through by both.
async fn buy(
    world: &World,
    account: String,
    [first, second]: &mut [Connection; 2],
    provider: &mut Connection,
) -> Result<Bought> {
    let request = http::get(PAID_PAGE, Some(&world.secrets.token(&account)?));
    for proxy in [&mut *first, &mut *second] {
        let status = proxy.exchange(&request).await?.status;
        ensure!(status == 402, "an account without a subscription was answered {status} instead of 402");
    }
    let delivery = world.secrets.subscribed(&account)?;
    let (sent, began) = (clock::now(), Instant::now());
    let deliver = async {
        let answer = provider.exchange(&delivery).await?;
        ensure!(answer.status == 200, "the webhook was answered {}", answer.status);
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let (answered_ms, first, second) =
        tokio::try_join!(deliver, enforced(first, &request), enforced(second, &request))?;
    Ok(Bought { account, enforced: [first, second], sent, answered_ms })
}

/// Asks until the answer is 200: the moment of that answer.
async fn enforced(proxy: &mut Connection, request: &[u8]) -> Result<DateTime<Utc>> {
    let began = Instant::now();
    loop {
        let status = proxy.exchange(request).await?.status;
        if status == 200 {
            return Ok(clock::now());
        }
        ensure!(status == 402, "a proxy answered {status} while the account was buying");
        ensure!(began.elapsed() < ENFORCED_LIMIT, "a proxy still denies {ENFORCED_LIMIT:?} after the purchase");
    }
}

/// The commit time of each account's subscription, in seconds since 1970.
fn committed(rows: &str) -> Result<HashMap<String, f64>> {
    rows.lines()
        .map(|row| {
            let (account, seconds) = row.split_once('|').context("not two columns")?;
            Ok((account.to_owned(), seconds.parse().context("no commit time: is track_commit_timestamp on?")?))
        })
        .collect()
}

fn epoch_seconds(moment: DateTime<Utc>) -> f64 {
    moment.timestamp_micros() as f64 / 1e6
}

fn tell(report: &mut Report, from_commit: Vec<f64>, from_sent: Vec<f64>, answered: Vec<f64>) {
    let of = |sample: &[f64], q| quantile(sample, q);
    let (p50, p99, max) = (of(&from_commit, 0.5), of(&from_commit, 0.99), of(&from_commit, 1.0));
    report.row("webhook commit → enforced by both proxies, p50", format!("{p50:.1} ms"), Bar::at_most(p50, 5.0, "ms"));
    report.row("webhook commit → enforced by both proxies, p99", format!("{p99:.1} ms"), Bar::at_most(p99, 25.0, "ms"));
    report.row("webhook commit → enforced by both proxies, max", format!("{max:.1} ms"), Bar::None);
    let (p50, p99) = (of(&from_sent, 0.5), of(&from_sent, 0.99));
    report.row("webhook sent → enforced by both, p50 / p99", format!("{p50:.1} / {p99:.1} ms"), Bar::None);
    let (p50, p99) = (of(&answered, 0.5), of(&answered, 0.99));
    report.row("webhook answer meanwhile, p50 / p99", format!("{p50:.1} / {p99:.1} ms"), Bar::None);
    let bins = histogram(&from_commit);
    let text: Vec<String> = bins.iter().map(|bin| format!("{}: {}", bin.label, bin.count)).collect();
    report.note(format!("commit → enforced, {ACCOUNTS} accounts × 2 proxies: {}", text.join(", ")));
    report.histogram(bins);
}

/// How many values lie at or below each edge and above the one before.
fn histogram(sample: &[f64]) -> Vec<Bin> {
    let mut from = f64::NEG_INFINITY;
    let bins = EDGES.iter().map(|&edge| {
        let count = sample.iter().filter(|&&value| value > from && value <= edge).count();
        let label = if edge.is_finite() { format!("≤ {edge} ms") } else { format!("> {from} ms") };
        from = edge;
        Bin { label, count }
    });
    bins.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bin() {
        let bins = histogram(&[0.5, 1.0, 1.5, 300.0]);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((bins[0].label.as_str(), bins[8].label.as_str()), ("≤ 1 ms", "> 100 ms"));
    }

    #[test]
    fn commit_times_are_read_and_a_missing_one_says_why() {
        assert_eq!(committed("fresh-1|1795000000.123456\n").expect("rows")["fresh-1"], 1_795_000_000.123_456);
        let error = committed("fresh-1|").expect_err("no time").to_string();
        assert!(error.contains("track_commit_timestamp"), "{error}");
    }
}
