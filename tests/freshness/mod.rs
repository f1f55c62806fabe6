//! Freshness across processes: whoever publishes, and however many at once, versions only grow and the newest wins. What
//! every order of events does is tried where it can be: with the ladder itself.

mod skew;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use crate::outage::pushed;
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, Setup, World, eventually, token};

/// The version of an account that Redis holds.
pub async fn cached(world: &World, account: &str) -> Option<i64> {
    let url = world.redis.as_ref().expect("this world has one").url.as_str();
    let mut redis = redis::Client::open(url).expect("a URL").get_connection().expect("Redis answers");
    let key = world.record_key(account).await;
    let text: Option<String> = redis::cmd("GET").arg(key).query(&mut redis).expect("it answers");
    text.and_then(|text| text.split(':').nth(1)?.parse().ok())
}

/// The version of an account that is true; none when nothing is known of it.
pub async fn version(world: &World, account: &str) -> Option<i64> {
    let mut connection = world.database.as_ref().expect("this world has a database").connect().await;
    let query = sqlx::query_scalar("select version from accounts where account = $1").bind(account);
    query.fetch_optional(&mut connection).await.expect("the accounts can be read")
}

#[tokio::test]
async fn two_billing_processes_publish_at_once_and_no_version_goes_backward() {
    let mut world = World::with(Setup::new(Arrangement::Replicated)).await;
    pushed(&world, 1.0).await;
    let account = unique("buyer");
    let token = token(&account);
    world.everywhere("/premium/before", &token, 402).await;
    let subscriptions: Vec<Subscription> =
        (0..12).map(|_| Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) }).collect();
    // The load balancer spreads them over both.
    let events: Vec<_> = subscriptions.iter().map(|one| one.event("created")).collect();
    let is_told = AtomicBool::new(false);
    let telling = async {
        join_all(events.iter().map(|event| world.accepted(event))).await;
        is_told.store(true, Ordering::SeqCst);
    };
    let watching = async {
        let mut last = None;
        while !is_told.load(Ordering::SeqCst) {
            let now = cached(&world, &account).await;
            assert!(now >= last, "{last:?} was there, and now {now:?} is");
            last = now;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(telling, watching);
    eventually("Redis holds what is true", async || {
        let true_version = version(&world, &account).await;
        (true_version.is_some() && cached(&world, &account).await == true_version).then_some(())
    })
    .await;
    world.everywhere("/premium/after", &token, 200).await;
    for one in &subscriptions {
        world.accepted(&one.ended().event("deleted")).await;
    }
    world.everywhere("/premium/over", &token, 402).await;
    assert_eq!(deadlocks(&mut world).await, 0, "none had to wait for another that waited for it");
}

/// How often Postgres had to end a transaction for the sake of another. Those who connect to it are gone then: each tells what
/// it has counted when it leaves.
async fn deadlocks(world: &mut World) -> i64 {
    world.processes.clear();
    let mut connection = world.database.as_ref().expect("this world has a database").connect().await;
    eventually("all have left", async || {
        let others =
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        let count: i64 = sqlx::query_scalar(others).fetch_one(&mut connection).await.expect("it can be read");
        (count == 0).then_some(())
    })
    .await;
    let query = "select deadlocks from pg_stat_database where datname = current_database()";
    sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("it is counted")
}
