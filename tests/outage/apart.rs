//! A proxy whose Redis is not billing's: another server, another database of the same one, or billing without any. What billing tells
//! never comes there, so billing is asked, readiness says so, and nothing of any age is served.

use super::scene::Reader;
use crate::world::relay::Relay;
use crate::world::servers::Redis;
use crate::world::{Arrangement, Setup, World, eventually};

/// Waits until readiness of the last proxy has this status and warns of this.
async fn says(world: &World, status: u16, text: &str) {
    let proxy = world.processes.last().expect("there are proxies");
    eventually(&format!("{status} with {text:?}"), async || {
        let ready = proxy.try_admin("/readyz").await?;
        (ready.status == status && ready.body.contains(text)).then_some(())
    })
    .await;
}

const OTHER: &str = "the Redis of this proxy is not billing's";

#[tokio::test]
async fn a_proxy_on_another_redis_than_billings_asks_billing_and_says_so() {
    let setup = Setup::new(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
    let other = Redis::start(world.dir());
    for elsewhere in [other.url.clone(), format!("{url}/1")] {
        let reader = Reader::new();
        world.applied(&reader.purchase()).await;
        world.everywhere("/premium/bought", &reader.token, 200).await;
        let proxy = world.processes.last_mut().expect("there are proxies");
        proxy.set("REDIS_URL", &elsewhere);
        proxy.restart();
        // It is not ready at its start, as nothing is pushed to it, and says why.
        says(&world, 503, OTHER).await;
        // What it knows is as old as it may be without being told, and no older.
        world.applied(&reader.end()).await;
        world.everywhere("/premium/ended", &reader.token, 402).await;
        world.applied(&reader.again().event("created")).await;
        world.everywhere("/premium/again", &reader.token, 200).await;
        let proxy = world.processes.last_mut().expect("there are proxies");
        proxy.set("REDIS_URL", &url);
        proxy.restart();
        proxy.ready().await;
        says(&world, 200, "\"warnings\":[]").await;
    }
}

#[tokio::test]
async fn a_proxy_whose_name_for_redis_leads_elsewhere_one_day_serves_nothing_old() {
    let setup = Setup::new(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let address = |url: &str| url.trim_start_matches("redis://").parse().expect("an address");
    let relay = Relay::to(address(&world.redis.as_ref().expect("this arrangement has one").url));
    let reader = Reader::new();
    let proxy = world.processes.last_mut().expect("there are proxies");
    proxy.set("REDIS_URL", &format!("redis://{}", relay.address));
    proxy.restart();
    proxy.ready().await;
    world.applied(&reader.purchase()).await;
    world.everywhere("/premium/bought", &reader.token, 200).await;
    let other = Redis::start(world.dir());
    relay.lead_to(address(&other.url));
    relay.cut();
    relay.heal();
    says(&world, 200, OTHER).await;
    world.applied(&reader.end()).await;
    world.everywhere("/premium/ended", &reader.token, 402).await;
}
