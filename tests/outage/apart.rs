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
        // Its records are as old as they may be without being told, and no older.
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

#[tokio::test]
async fn billings_that_use_two_redis_servers_say_so_and_proxies_ask() {
    let setup = Setup::new(Arrangement::Replicated).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let reader = Reader::new();
    world.accepted(&reader.purchase()).await;
    world.everywhere("/premium/bought", &reader.token, 200).await;
    let other = Redis::start(world.dir());
    let second = &mut world.processes[1];
    let url = second.get("REDIS_URL").expect("it has one");
    second.set("REDIS_URL", &other.url);
    second.restart();
    second.ready().await;
    for billing in 0..2 {
        eventually("it is warned of", async || {
            let ready = world.processes[billing].try_admin("/readyz").await?;
            (ready.status == 200 && ready.body.contains("another process on this database uses another Redis"))
                .then_some(())
        })
        .await;
    }
    // Whichever billing is told: what the other one's Redis holds is not believed.
    world.accepted(&reader.end()).await;
    world.everywhere("/premium/ended", &reader.token, 402).await;
    world.accepted(&reader.again().event("created")).await;
    world.everywhere("/premium/again", &reader.token, 200).await;
    let second = &mut world.processes[1];
    second.set("REDIS_URL", &url);
    second.restart();
    second.ready().await;
    for billing in 0..2 {
        eventually("nothing is warned of any more", async || {
            let ready = world.processes[billing].try_admin("/readyz").await?;
            ready.warnings().is_empty().then_some(())
        })
        .await;
    }
    crate::outage::pushed(&world, 1.0).await;
}

#[tokio::test]
async fn a_command_that_would_tell_another_redis_leaves_it_to_those_who_run() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let account = crate::world::stripe::unique("guest");
    let token = crate::world::token(&account);
    let other = Redis::start(world.dir());
    let grant = ["grant", &account, "paid", "--days", "5", "--reason", "a guest"];
    let told = world.tollgate_with(("REDIS_URL", &other.url), &grant).await;
    assert!(told.stderr.contains("the cache could not be told"), "{told:?}");
    told.success();
    // The process that runs has it told all the same.
    world.everywhere("/premium/granted", &token, 200).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_from_an_older_copy_is_told_what_it_has_lost() {
    for dies_with_billing in [false, true] {
        let mut world = World::start(Arrangement::Separate).await;
        let (leaver, late) = (Reader::new(), Reader::new());
        world.applied(&leaver.purchase()).await;
        world.everywhere("/premium/bought", &leaver.token, 200).await;
        crate::restored::billing_remembers(&world).await;
        world.redis.as_ref().expect("this arrangement has one").save();
        world.applied(&leaver.end()).await;
        world.everywhere("/premium/ended", &leaver.token, 402).await;
        world.applied(&late.purchase()).await;
        world.everywhere("/premium/late", &late.token, 200).await;
        crate::restored::billing_remembers(&world).await;
        if dies_with_billing {
            world.processes[0].process.kill();
        }
        world.redis.as_mut().expect("this arrangement has one").restart();
        if dies_with_billing {
            world.processes[0].restart();
            world.processes[0].ready().await;
        }
        // As it was in the copy.
        let proxy = world.processes.last_mut().expect("there are proxies");
        proxy.restart();
        proxy.ready().await;
        crate::restored::billing_remembers(&world).await;
        crate::outage::pushed(&world, 1.0).await;
        for (reader, status) in [(&leaver, 402), (&late, 200)] {
            world.everywhere("/premium/stays", &reader.token, status).await;
            crate::restored::stays(&world, reader, status).await;
        }
    }
}

#[tokio::test]
async fn a_redis_from_before_a_change_of_the_catalog_is_told_all_of_it() {
    for dies_with_billing in [false, true] {
        let mut world = World::start(Arrangement::Separate).await;
        let readers = [Reader::new(), Reader::new(), Reader::new()];
        for reader in &readers {
            world.applied(&reader.purchase()).await;
            world.everywhere("/archive/bought", &reader.token, 200).await;
        }
        crate::restored::billing_remembers(&world).await;
        world.redis.as_ref().expect("this arrangement has one").save();
        // No account changes by anything else.
        let less = crate::world::setup::CATALOG.replacen("\"archive\", ", "", 1);
        std::fs::write(world.dir().join("less.toml"), less).expect("it is written");
        world.tollgate(&["catalog", "apply", "less.toml", "--force"]).await.success();
        for reader in &readers {
            world.everywhere("/archive/less", &reader.token, 402).await;
        }
        crate::restored::billing_remembers(&world).await;
        if dies_with_billing {
            world.processes[0].process.kill();
        }
        world.redis.as_mut().expect("this arrangement has one").restart();
        if dies_with_billing {
            world.processes[0].restart();
            world.processes[0].ready().await;
        }
        // It knows nothing but what is in the copy.
        let proxy = world.processes.last_mut().expect("there are proxies");
        proxy.restart();
        proxy.ready().await;
        crate::outage::pushed(&world, 1.0).await;
        for reader in &readers {
            world.everywhere("/archive/less", &reader.token, 402).await;
            world.everywhere("/premium/stays", &reader.token, 200).await;
        }
    }
}
