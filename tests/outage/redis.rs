//! Redis in every way of not working. Billing can still say what everybody has, so nobody notices: who has paid reads on,
//! who has not is told so, a change is enforced within `max_staleness`, and push is back when Redis is.

use std::time::Duration;

use redis::Client;

use super::Scene;
use crate::freshness::{cached, version};
use crate::world::relay::Relay;
use crate::world::{eventually, token};

/// Everything that holds while Redis cannot be used, and after.
async fn is_not_missed(scene: &Scene) {
    scene.reads_on().await;
    scene.pushed(0.0).await;
    scene.reads_on().await;
    scene.strangers_pay().await;
    scene.changes_are_enforced().await;
}

#[tokio::test]
async fn refused() {
    let scene = Scene::start().await;
    scene.redis(Relay::refuse);
    is_not_missed(&scene).await;
    assert!(scene.count("tollgate_lookups_total", &["layer=\"redis\"", "outcome=\"error\""]).await > 0.0);
    scene.redis(Relay::heal);
    scene.recovers().await;
}

#[tokio::test]
async fn silent() {
    let scene = Scene::start().await;
    scene.redis(Relay::silence);
    is_not_missed(&scene).await;
    scene.redis(Relay::heal);
    scene.recovers().await;
}

#[tokio::test]
async fn slow() {
    let scene = Scene::start().await;
    // Slower than a lookup may take, and than the test of the push channel.
    scene.redis(|line| line.slow(Duration::from_millis(700)));
    is_not_missed(&scene).await;
    scene.redis(Relay::heal);
    scene.recovers().await;
}

#[tokio::test]
async fn flapping() {
    let scene = Scene::start().await;
    let before: usize = scene.lines().redis.iter().map(Relay::accepted).sum();
    scene.redis(|line| line.flap(6));
    // Those that stand are broken too.
    scene.reads_on().await;
    scene.strangers_pay().await;
    scene.changes_are_enforced().await;
    eventually("connections break, all the time", async || {
        (scene.lines().redis.iter().map(Relay::accepted).sum::<usize>() > before + 8).then_some(())
    })
    .await;
    scene.reads_on().await;
    scene.redis(Relay::heal);
    scene.recovers().await;
}

#[tokio::test]
async fn restarted_empty() {
    let mut scene = Scene::start().await;
    scene.world.redis.as_mut().expect("this arrangement has one").kill();
    is_not_missed(&scene).await;
    scene.world.redis.as_mut().expect("this arrangement has one").restart();
    scene.recovers().await;
}

/// A Redis that can be read, but takes nothing in: whoever only listens to it would never hear that anything changed.
async fn takes_nothing_in(scene: &Scene, break_it: &[&str], mend_it: &[&str]) {
    let url = &scene.world.redis.as_ref().expect("this arrangement has one").url;
    let mut redis = Client::open(url.as_str()).expect("a URL");
    let mut command = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).exec(&mut redis).expect("Redis does as it is told");
    };
    let leaver = super::scene::Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    command(break_it);
    // He is in the memory of every proxy, and none of them has lost its channel.
    scene.world.accepted(&leaver.end()).await;
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    is_not_missed(scene).await;
    command(mend_it);
    scene.recovers().await;
    scene.world.everywhere("/premium/still", &leaver.token, 402).await;
    // What was told while it was broken lies there now.
    let world = &scene.world;
    assert_eq!(cached(world, &leaver.account).await, version(world, &leaver.account).await);
}

#[tokio::test]
async fn read_only() {
    let scene = Scene::start().await;
    // It follows a master that is not there.
    let nobody = crate::world::ports::free().port().to_string();
    takes_nothing_in(&scene, &["REPLICAOF", "127.0.0.1", &nobody], &["REPLICAOF", "NO", "ONE"]).await;
}

#[tokio::test]
async fn out_of_memory() {
    let scene = Scene::start().await;
    takes_nothing_in(&scene, &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]).await;
}

#[tokio::test]
async fn emptied_while_it_runs() {
    let scene = Scene::start().await;
    takes_nothing_in(&scene, &["FLUSHALL"], &["SCRIPT", "FLUSH"]).await;
}

#[tokio::test]
async fn away_from_billing_alone() {
    let scene = Scene::start().await;
    let leaver = super::scene::Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    // The first two are billing's; the proxies keep their channels, on which nothing comes any more.
    scene.lines().redis[..2].iter().for_each(Relay::silence);
    scene.world.accepted(&leaver.end()).await;
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    scene.pushed(0.0).await;
    scene.reads_on().await;
    scene.lines().heal();
    scene.recovers().await;
    scene.world.everywhere("/premium/still", &token(&leaver.account), 402).await;
}

#[tokio::test]
async fn away_from_billing_alone_when_billing_starts() {
    let mut scene = Scene::start().await;
    let leaver = super::scene::Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    scene.lines().redis[..2].iter().for_each(Relay::silence);
    for billing in &mut scene.world.processes[..2] {
        billing.restart();
    }
    // It knows neither what the cache holds nor who has the word there, and takes in what it is told.
    scene.world.accepted(&leaver.end()).await;
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    scene.reads_on().await;
    scene.lines().heal();
    for billing in &mut scene.world.processes[..2] {
        billing.ready().await;
    }
    scene.recovers().await;
    scene.world.everywhere("/premium/still", &leaver.token, 402).await;
}
