//! What the layers below a proxy are asked when many ask at once, and when those who have not paid ask again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::http::{self, Connection};
use crate::load::{Load, Until, lap};
use crate::metrics::Metrics;
use crate::report::{Bar, Report};
use crate::sockets;
use crate::webhooks::burst_account;
use crate::world::{PAID_PAGE, PATIENT, Run, Tollgate, World};

/// Requests at once for one cold account.
const HERD: usize = 1_000;
const FREE_ACCOUNTS: usize = 1_000;
const CONNECTIONS: usize = 64;
const FLOOD: Duration = Duration::from_secs(4);
/// Questions to billing in a second about one account that is denied: one each 200 ms, and one more at the edge.
const ASKED_MAX: f64 = 5.5;
/// And of all accounts together: 100 a second, what may be asked at once spread over the lap, and each account's first.
const ALL_ASKED_MAX: f64 = 450.0;

pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    // Both ends of each connection are files of this process.
    sockets::allow_files(4 * HERD as u64);
    let proxy = world.tollgate(Run { extra: PATIENT, ..Run::of("proxy-below", "proxy") }).await?;
    herd(world, &proxy, report).await?;
    let one = vec![refused(world, 0)?];
    let asked = flood(&proxy, one, "one free account", report).await?;
    let what = "reads of billing a second while one free account asks again and again";
    report.row(what, format!("{asked:.1}/s"), Bar::at_most(asked, ASKED_MAX, "/s"));
    let many = (0..FREE_ACCOUNTS).map(|n| refused(world, n)).collect::<Result<_>>()?;
    let asked = flood(&proxy, many, "1 000 free accounts", report).await?;
    let what = "reads of billing a second while 1 000 free accounts ask again and again";
    report.row(what, format!("{asked:.0}/s"), Bar::at_most(asked, ALL_ASKED_MAX, "/s"));
    proxy.process.stop().await
}

/// One account that no layer but Postgres knows, asked for on many connections in the same moment.
async fn herd(world: &World, proxy: &Tollgate, report: &mut Report) -> Result<()> {
    let account = burst_account(0);
    let key = format!("{}{account}", world.servers.records().await?);
    redis::cmd("DEL").arg(key).exec_async(&mut world.servers.redis().await?).await?;
    let request: Arc<[u8]> = http::get(PAID_PAGE, Some(&world.secrets.token(&account)?)).into();
    let before = Metrics::read(proxy.admin).await?;
    let connections = open(proxy.public).await?;
    let mut answers = JoinSet::new();
    for mut connection in connections {
        let request = Arc::clone(&request);
        answers.spawn(async move { anyhow::Ok(connection.exchange(&request).await?.status) });
    }
    while let Some(status) = answers.join_next().await {
        let status = status??;
        ensure!(status == 200, "one of many who asked at once was answered {status}");
    }
    let after = Metrics::read(proxy.admin).await?;
    for layer in ["redis", "billing"] {
        let read = after.lookups(layer) - before.lookups(layer);
        let what = format!("{HERD} requests at once for one cold account: reads of {layer}");
        report.row(what, format!("{read:.0}"), Bar::at_most(read, 1.0, "read"));
    }
    Ok(())
}

/// Connections that the proxy has taken in.
async fn open(target: SocketAddr) -> Result<Vec<Connection>> {
    let public = http::get("/", None);
    let mut connections = Vec::with_capacity(HERD);
    for _ in 0..HERD {
        let mut connection = Connection::new(target);
        connection.exchange(&public).await?;
        connections.push(connection);
    }
    Ok(connections)
}

/// Reads of billing in a second.
async fn flood(proxy: &Tollgate, requests: Vec<Vec<u8>>, who: &str, report: &mut Report) -> Result<f64> {
    let load = Load { target: proxy.public, requests: requests.into(), connections: CONNECTIONS, expected: 402 };
    let before = Metrics::read(proxy.admin).await?.lookups("billing");
    let lap = lap(&load, Until::Elapsed(FLOOD)).await?;
    let asked = Metrics::read(proxy.admin).await?.lookups("billing") - before;
    report.row(format!("refusals (402) a second, {who}"), format!("{:.0}/s", lap.per_second()), Bar::None);
    Ok(asked / lap.elapsed.as_secs_f64())
}

fn refused(world: &World, n: usize) -> Result<Vec<u8>> {
    Ok(http::get(PAID_PAGE, Some(&world.secrets.token(&format!("unpaid-{n}"))?)))
}
