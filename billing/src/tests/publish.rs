//! What the cache and the proxies are told.

use std::sync::Arc;

use entitlement::account::AccountId;
use entitlement::record::{self, Entitlement, Record};
use futures_util::StreamExt;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::broadcast;

use super::{World, active, billing_on, checkout, event, redis_url, settings, shown, with};
use crate::publish::{Told, Why};

async fn of_version(world: &World, version: u64) -> Record {
    let Record { database, entitlement } = world.billing.compute(&world.account, world.now).await.expect("rows").record;
    Record { database, entitlement: Entitlement { version, ..entitlement } }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_version_never_goes_backward_in_redis(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let outlets = &world.billing.shared().outlets;
    for (version, held) in [(9, 9), (10, 10), (9, 10), (100, 100), (11, 100)] {
        outlets.tell(of_version(&world, version).await).await.expect("Redis");
        assert_eq!(world.cached().await.expect("a record").version, held, "told {version}");
        outlets.fill(&of_version(&world, version).await).await.expect("Redis");
        assert_eq!(world.cached().await.expect("a record").version, held, "filled with {version}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_push_goes_out_even_when_a_fill_was_faster_but_never_an_old_one(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let client = redis::Client::open(redis_url()).expect("a URL");
    let mut channel = client.get_async_pubsub().await.expect("Redis");
    channel.subscribe(world.billing.settings().namespace.channel()).await.expect("subscribed");
    let mut pushes = channel.on_message();
    let outlets = &world.billing.shared().outlets;
    outlets.fill(&of_version(&world, 5).await).await.expect("Redis");
    for version in [5, 4, 6] {
        outlets.tell(of_version(&world, version).await).await.expect("Redis");
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&6) {
        let text: String = pushes.next().await.expect("a push").get_payload().expect("a text");
        let pushed = record::decode(&text).expect("a record").entitlement;
        // Other tests push on the same channel.
        if pushed.account == world.account {
            seen.push(pushed.version);
        }
    }
    assert_eq!(seen, [5, 6]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_filled_late_into_a_cache_that_has_forgotten_is_put_right(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.billing.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    let read = world.billing.compute(&world.account, world.now).await.expect("rows");
    world.billing.grant(&world.account, "team", "a gift", None, None).await.expect("granted");
    // The newer record was told, and is evicted before the older answer is filled in.
    let client = redis::Client::open(redis_url()).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let () = redis::cmd("DEL").arg(world.key().await).query_async(&mut redis).await.expect("evicted");
    world.billing.fill(&read, world.now).await.expect("Redis");
    let cached = world.cached().await.expect("a record");
    assert_eq!(cached.version, read.record.entitlement.version + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_redis_has_lost_is_told_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.billing.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    let told = world.cached().await.expect("a record");
    let outlets = &world.billing.shared().outlets;
    assert!(outlets.store_again().await.is_empty(), "nothing is lost, and the connection is the same");
    let client = redis::Client::open(redis_url()).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let () = redis::cmd("DEL").arg(world.key().await).query_async(&mut redis).await.expect("lost");
    // As after a failover: whoever answers now is another.
    outlets.is_elsewhere();
    assert_eq!(outlets.store_again().await, std::slice::from_ref(&world.account));
    assert_eq!(world.cached().await.expect("a record"), told);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_known_of_a_stranger_and_that_is_soon_forgotten(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let stranger = world.billing.resolve(&world.account).await.expect("rows").entitlement;
    assert_eq!((stranger.version, shown(&stranger, world.now)), (0, "free none".to_owned()));
    // Nobody waits for the cache to be filled.
    let filled = async {
        loop {
            match world.cached().await {
                Some(filled) => return filled,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let filled = tokio::time::timeout(std::time::Duration::from_secs(1), filled).await.expect("it is filled at once");
    assert_eq!(filled.version, 0);
    let client = redis::Client::open(redis_url()).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let mut ttl = redis::cmd("TTL");
    ttl.arg(world.key().await);
    let seconds: i64 = ttl.query_async(&mut redis).await.expect("an answer");
    assert!((0..=2).contains(&seconds), "{seconds}");
    world.billing.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    let seconds: i64 = ttl.query_async(&mut redis).await.expect("an answer");
    assert!(seconds > 86_000, "{seconds}");
}

#[sqlx::test(migrations = "../migrations")]
async fn without_redis_a_proxy_in_this_process_is_told(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let (sender, mut receiver) = broadcast::channel::<Arc<Record>>(4);
    let alone = crate::Settings { redis_url: None, ..settings() };
    let billing = billing_on(&world.pool, alone.clone(), Some(sender));
    let granted = billing.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    assert!(granted.published);
    let told = receiver.recv().await.expect("told").entitlement.clone();
    assert_eq!((told.version, shown(&told, crate::clock::now())), (granted.version, "paid credit".to_owned()));

    let nobody_here = billing_on(&world.pool, alone, None);
    let granted = nobody_here.grant(&world.account, "team", "a gift", None, None).await.expect("granted");
    assert!(!granted.published, "another process has to tell");
    let published = nobody_here.publish(std::slice::from_ref(&world.account), Why::New, world.now).await;
    assert_eq!(published.expect("rows"), Told::Nobody);
    let later = crate::clock::now() + chrono::TimeDelta::seconds(2);
    assert_eq!(billing.publish_due(later).await.expect("no fault").told, 1);
    assert_eq!(receiver.recv().await.expect("told").entitlement.version, granted.version);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_committed_by_a_clock_that_is_ahead_is_told_by_one_that_is_behind(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let nobody_here = billing_on(&world.pool, crate::Settings { redis_url: None, ..settings() }, None);
    let granted = nobody_here.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    assert_eq!(world.cached().await, None, "whoever has committed cannot tell");
    let behind = crate::clock::now() - chrono::TimeDelta::minutes(5);
    assert_eq!(world.billing.publish_due(behind).await.expect("no fault").told, 1);
    let cached = world.cached().await.expect("it is told");
    assert_eq!(cached.version, granted.version);
    // And whoever reads it with a clock that is behind as well sees that it has begun.
    assert_eq!(shown(&cached, behind), "paid credit");
    assert_eq!(shown(&cached, behind + chrono::TimeDelta::minutes(10)), "paid credit");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_over_by_somebody_s_word_is_over_by_every_clock(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let behind = crate::clock::now() - chrono::TimeDelta::minutes(5);
    let soon = crate::clock::now() + chrono::TimeDelta::minutes(1);
    let revoke = async || world.billing.revoke(&world.account, None, None).await.expect("taken back");
    world.billing.grant(&world.account, "paid", "a gift", None, None).await.expect("granted");
    revoke().await;
    assert_eq!(shown(&world.cached().await.expect("it is told"), behind), "free none", "taken back by an operator");
    let (running, ended) = (active("cus_1", "sub_1", "price_monthly", world.at(-600)), world.at(-60).timestamp());
    world.apply(&[checkout("evt_1", "cus_1", "sub_1", &world.account, world.at(-600))]).await;
    world.apply(&[event("evt_2", "customer.subscription.created", world.at(-600), &running)]).await;
    assert_eq!(shown(&world.cached().await.expect("it is told"), behind), "paid active");
    let ended = with(&running, &json!({ "status": "canceled", "ended_at": ended }));
    world.apply(&[event("evt_3", "customer.subscription.deleted", world.at(-60), &ended)]).await;
    assert_eq!(shown(&world.cached().await.expect("it is told"), behind), "free none", "its provider says so");
    let running = active("cus_2", "sub_2", "price_monthly", world.at(-600));
    world.apply(&[checkout("evt_4", "cus_2", "sub_2", &world.account, world.at(-600))]).await;
    world.apply(&[event("evt_5", "customer.subscription.created", world.at(-600), &running)]).await;
    assert_eq!(shown(&world.cached().await.expect("it is told"), behind), "paid active");
    let gone = json!({ "id": "cus_2", "object": "customer" });
    world.apply(&[event("evt_6", "customer.deleted", world.at(-30), &gone)]).await;
    assert_eq!(shown(&world.cached().await.expect("it is told"), behind), "free none", "with its customer");
    // What ends by time alone ends by the clock of whoever looks.
    world.billing.grant(&world.account, "paid", "a gift", Some(soon), None).await.expect("granted");
    let cached = world.cached().await.expect("it is told");
    assert_eq!((shown(&cached, behind), shown(&cached, soon)), ("paid credit".to_owned(), "free none".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_catalog_is_told_to_every_account_and_seen_by_every_process(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let other = AccountId::parse("another").expect("an id");
    for account in [&world.account, &other] {
        world.billing.grant(account, "paid", "a gift", None, None).await.expect("granted");
    }
    let elsewhere = billing_on(&world.pool, settings(), None);
    assert_eq!(super::put_in_force(&elsewhere, &super::catalog()).await.accounts, 0, "nothing changed");
    let text = toml::to_string(&super::catalog()).expect("it encodes").replace("archive", "everything");
    let next = toml::from_str(&text).expect("a catalog");
    let planned = elsewhere.plan_catalog(&super::proposal(&elsewhere, &next)).await.expect("planned");
    let report = super::put_in_force(&elsewhere, &next).await;
    assert_eq!(report.changes, planned.changes);
    assert_eq!(report.changes, ["~ tier paid features: archive → everything"]);
    assert_eq!(report.accounts, 2);
    let published = world.billing.publish_due(crate::clock::now()).await.expect("no fault");
    assert_eq!(published.told, 2);
    let cached = world.cached().await.expect("a record");
    assert_eq!(cached.timeline.at(crate::clock::now()).plan.features.join(","), "everything");
}

#[sqlx::test(migrations = "../migrations")]
async fn another_grace_is_another_rule_for_every_account(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut longer = settings();
    longer.grace.past_due = chrono::TimeDelta::days(21);
    let report = super::put_in_force(&billing_on(&world.pool, longer, None), &super::catalog()).await;
    assert_eq!(report.changes, ["~ grace past_due: 14d → 21d"]);
}
