//! A catalog that concerns very many accounts: none of them is locked, and a purchase does not wait behind them.

use sqlx::Connection;

use super::*;
use crate::world::Arrangement;
use crate::world::wait::{DEADLINE, within};

/// Waits until nobody is to be told of the catalog of the start: accounts that are made later are not concerned by it.
async fn all_told(connection: &mut sqlx::PgConnection) {
    eventually("nobody is to be told", async || {
        let waiting = "select (select count(*) from outbox) + (select count(*) from catalogs where walk is not null)";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *connection).await.expect("it is counted");
        (waiting == 0).then_some(())
    })
    .await;
}

/// Accounts that are there when the catalog changes.
const CROWD: i64 = 20_000;

#[tokio::test]
async fn a_purchase_takes_effect_while_twenty_thousand_accounts_are_told_of_a_catalog() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let mut database = world.database.as_ref().expect("a database").connect().await;
    all_told(&mut database).await;
    for fill in [
        "insert into accounts (account, version, created_at)
            select 'crowd-' || lpad(n::text, 6, '0'), 1, now() from generate_series(1, $1) n",
        "insert into credits (account, tier, reason, starts_at, created_at)
            select 'crowd-' || lpad(n::text, 6, '0'), 'paid', 'a gift', now(), now() from generate_series(1, $1) n",
    ] {
        sqlx::query(fill).bind(CROWD).execute(&mut database).await.expect("they are there");
    }
    // A change of one account in the middle is under way, and stays so: nobody gets past it.
    let mut held = database.begin().await.expect("a transaction");
    let hold = "select account from accounts where account = 'crowd-010000' for update";
    sqlx::query(hold).execute(&mut *held).await.expect("it is held");

    write(&world, &with("\"archive\", \"alerts\"]\nlimits", "\"archive\", \"alerts\", \"export\"]\nlimits"));
    reload(&world).await;
    let mut other = world.database.as_ref().expect("a database").connect().await;
    let told = async |connection: &mut sqlx::PgConnection, which: &str| -> i64 {
        let count = format!("select count(*) from accounts where account like 'crowd-%' and version {which}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(connection).await.expect("they are counted")
    };
    eventually("those before it are told", async || (told(&mut other, "> 1").await >= 9_000).then_some(())).await;
    // The catalog is in force for all: who is asked about, and who buys now.
    let tokens = buyers(&world, 2).await;
    let last = token("crowd-020000");
    for token in tokens.iter().chain([&last]) {
        let shown = world.get("/api/billing/subscription", Some(token)).await.json();
        let features = shown["features"].as_array().expect("features");
        assert!(features.iter().any(|feature| feature == "export"), "{shown}");
    }
    all_pass(&world, &[last], "/premium/one").await;
    assert!(told(&mut other, "= 1").await >= 10_000, "the others still wait");

    held.rollback().await.expect("it is let go");
    let all_are = async || (told(&mut other, "= 1").await == 0).then_some(());
    within(DEADLINE * 5, "twenty thousand are told", all_are).await;
    assert_eq!(told(&mut other, "> 2").await, 0, "each once");
    all_told(&mut other).await;
}

#[tokio::test]
async fn what_a_killed_process_had_not_told_of_a_catalog_is_told_by_the_next() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let mut database = world.database.as_ref().expect("a database").connect().await;
    all_told(&mut database).await;
    let fill = "insert into accounts (account, version, created_at)
        select 'crowd-' || lpad(n::text, 6, '0'), 1, now() from generate_series(1, 1000) n";
    sqlx::query(fill).execute(&mut database).await.expect("they are there");
    let mut held = database.begin().await.expect("a transaction");
    let hold = "select account from accounts where account = 'crowd-000500' for update";
    sqlx::query(hold).execute(&mut *held).await.expect("it is held");
    write(&world, &with("name = \"Business\"", "name = \"Trade\""));
    reload(&world).await;
    let mut other = world.database.as_ref().expect("a database").connect().await;
    let walk = async |connection: &mut sqlx::PgConnection| -> Option<String> {
        let walk = "select walk from catalogs order by id desc limit 1";
        sqlx::query_scalar(walk).fetch_one(connection).await.expect("a catalog")
    };
    eventually("half of them are told", async || {
        (walk(&mut other).await.as_deref() == Some("crowd-000400")).then_some(())
    })
    .await;
    world.processes[0].process.kill();
    held.rollback().await.expect("it is let go");
    restart(&mut world).await;
    eventually("the others, too", async || walk(&mut other).await.is_none().then_some(())).await;
    let versions = "select version, count(*), min(account) from accounts where account like 'crowd-%' group by version";
    let versions: Vec<(i64, i64, String)> =
        sqlx::query_as(versions).fetch_all(&mut other).await.expect("they are counted");
    assert_eq!(versions, [(2, 1000, "crowd-000001".to_owned())], "each once");
}

#[tokio::test]
async fn what_the_cache_was_not_told_is_not_claimed() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let reader = crate::outage::Reader::new();
    world.applied(&reader.purchase()).await;
    world.redis.as_mut().expect("this arrangement has one").kill();
    write(&world, &with("\"archive\"", "\"archive\", \"search\""));
    let applied = world.tollgate(&["catalog", "apply", "catalog.toml"]).await;
    assert!(applied.stderr.contains("could not be told"), "{applied:?}");
    let line = applied.success();
    assert!(line.contains("1 account still to be told") && !line.contains("account told"), "{line}");
}
