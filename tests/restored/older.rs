//! Beside proxies of an older build, which know one key and one channel for all, and records that name no database.

use entitlement::record::before;
use futures_util::StreamExt;

use super::*;
use crate::world::servers::execute;
use crate::world::{Arrangement, eventually};

/// Where older builds look for the record of an account.
fn old_key(account: &str) -> String {
    before::key(&account.parse().expect("an account"))
}

#[tokio::test]
async fn what_older_proxies_read_is_written_for_them_and_is_nothing_but_a_hint_here() {
    let setup = super::of(Arrangement::Separate).key("cache.max_staleness", "\"1h\"");
    let world = World::with(setup).await;
    crate::outage::pushed(&world, 1.0).await;
    let client = redis::Client::open(world.redis.as_ref().expect("it has one").url.as_str()).expect("a URL");
    let mut channel = client.get_async_pubsub().await.expect("Redis");
    channel.subscribe(before::CHANNEL).await.expect("subscribed");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let reader = buys(&world).await;
    let stored: String = redis::cmd("GET").arg(old_key(&reader.account)).query_async(&mut redis).await.expect("text");
    let version: i64 = crate::freshness::version(&world, &reader.account).await.expect("it is known");
    assert!(stored.starts_with(&format!("1:{version}:{{")), "{stored}");
    let mut pushed = channel.on_message();
    let told = async {
        loop {
            let text: String = pushed.next().await.expect("a message").get_payload().expect("a text");
            if text == stored {
                return;
            }
        }
    };
    tokio::time::timeout(crate::world::wait::DEADLINE, told).await.expect("it is pushed, too");
    // A record there for somebody else is served to nobody.
    let stranger = Reader::new();
    stays(&world, &stranger, 402).await;
    let forged = stored.replace(&reader.account, &stranger.account).replace(&format!("1:{version}:"), "1:99999:");
    let () = redis::cmd("SET").arg(old_key(&stranger.account)).arg(&forged).query_async(&mut redis).await.expect("set");
    let () = redis::cmd("PUBLISH").arg(before::CHANNEL).arg(&forged).query_async(&mut redis).await.expect("told");
    stays(&world, &stranger, 402).await;
    // Billing of an older build has changed something, and told of it in its own way alone.
    let mut database = world.database.as_ref().expect("it has one").connect().await;
    let end = format!(
        "update subscriptions set state = 'ended', ended_at = now(), paid_until = null where account = '{0}';
         update accounts set version = version + 1 where account = '{0}'",
        reader.account
    );
    execute(&mut database, end).await;
    stays(&world, &reader, 200).await;
    let hint = stored.replace(&format!("1:{version}:"), &format!("1:{}:", version + 1));
    let () = redis::cmd("PUBLISH").arg(before::CHANNEL).arg(&hint).query_async(&mut redis).await.expect("told");
    world.everywhere("/premium/ended", &reader.token, 402).await;
}

#[tokio::test]
async fn older_proxies_hear_of_what_is_new_after_a_restore() {
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let reader = buys(&world).await;
    let dumped = dump(&world, "before.sql");
    for _ in 0..3 {
        world.applied(&reader.again().event("created")).await;
    }
    let old = async |world: &World| {
        let client = redis::Client::open(world.redis.as_ref().expect("it has one").url.as_str()).expect("a URL");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
        let text: String = redis::cmd("GET").arg(old_key(&reader.account)).query_async(&mut redis).await.expect("text");
        text.split(':').nth(1).and_then(|version| version.parse::<u64>().ok()).expect("a version")
    };
    let before = old(&world).await;
    move_to(&mut world, restored(&dumped).await).await;
    world.applied(&reader.end()).await;
    eventually("it is told above what they know", async || (old(&world).await > before).then_some(())).await;
    world.everywhere("/premium/ended", &reader.token, 402).await;
}
