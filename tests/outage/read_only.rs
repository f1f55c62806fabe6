//! A failover that leaves connections open: they lead to the former primary, which answers and accepts no writes, while the address
//! leads to the new one by then. Nothing is restarted.

use std::process::Command;

use sqlx::Executor;

use super::scene::Reader;
use crate::world::own_postgres::OwnPostgres;
use crate::world::relay::Relay;
use crate::world::{Arrangement, Setup, World, eventually};

/// Where a server listens.
fn address(postgres: &OwnPostgres) -> std::net::SocketAddr {
    url::Url::parse(&postgres.url).expect("a URL").socket_addrs(|| None).expect("an address")[0]
}

/// The same URL at another port.
fn at_port(url: &str, port: u16) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_port(Some(port)).expect("it has a host");
    url.to_string()
}

/// Everything of one server goes to the other, its password too, as a replica would have it.
async fn copy(from: &OwnPostgres, to: &OwnPostgres) {
    let url = url::Url::parse(&from.url).expect("a URL");
    let login = format!("alter role {} password '{}'", url.username(), url.password().expect("a password"));
    to.connect().await.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(login))).await.expect("it is a superuser");
    let target = at_port(&from.url, address(to).port());
    let copy = format!("pg_dump --dbname='{}' | psql --quiet --dbname='{target}'", from.url);
    let done = Command::new("sh").args(["-ec", &copy]).output().expect("a shell");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn connections_that_stay_on_a_former_primary_are_made_again_and_nothing_acknowledged_is_lost() {
    let (former, next) = (OwnPostgres::start().await, OwnPostgres::start().await);
    let line = Relay::to(address(&former));
    let setup =
        Setup::new(Arrangement::AllPostgres).environment("DATABASE_URL", &at_port(&former.url, line.address.port()));
    let world = World::with(setup).await;
    let (before, after) = (Reader::new(), Reader::new());
    world.accepted(&before.purchase()).await;
    let mut operator = former.connect().await;
    operator.execute("alter system set default_transaction_read_only = on").await.expect("it is a primary");
    operator.execute("select pg_reload_conf()").await.expect("it reads its settings");
    eventually("the server is read-only", async || {
        let answer = world.deliver(&after.purchase()).await;
        (answer.status == 503).then_some(())
    })
    .await;
    // As long as the address leads nowhere else, the process says that it cannot work.
    eventually("readiness says so", async || {
        let ready = world.proxy().admin("/readyz").await;
        (ready.status == 503 && ready.body.contains("accepts no writes")).then_some(())
    })
    .await;
    world.everywhere("/premium/known", &before.token, 200).await;
    copy(&former, &next).await;
    line.lead_to(address(&next));
    let event = after.purchase();
    eventually("webhooks are taken by the new primary", async || {
        (world.deliver(&event).await.status == 200).then_some(())
    })
    .await;
    eventually("the process is ready", async || (world.proxy().admin("/readyz").await.status == 200).then_some(()))
        .await;
    world.everywhere("/premium/after", &after.token, 200).await;
    world.everywhere("/premium/before", &before.token, 200).await;
    // An operator reads what is wrong and what to do, and no statement that a server would not run.
    world.proxy().logs("PostgreSQL accepts no writes there").await;
    let log = world.proxy().process.log();
    assert!(log.contains("PostgreSQL accepts no writes there"), "{log}");
    for statement in ["read-only transaction", "cannot execute"] {
        let told = log.lines().find(|line| line.contains(statement));
        assert_eq!(told, None, "{statement}");
    }
}
