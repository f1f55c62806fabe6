//! A new, empty database under a cache that knows people who have paid.

use super::*;
use crate::world::{Arrangement, Setup, eventually, token};

#[tokio::test]
async fn an_empty_database_lowers_nobody() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgresRedis] {
        let mut world = World::with(Setup::new(arrangement).key("cache.max_staleness", "\"1s\"")).await;
        let (reader, leaver) = (buys(&world).await, buys(&world).await);
        ends(&world, &leaver).await;
        move_to(&mut world, Postgres::shared().database().await).await;
        if let Some(fresh) = world.processes.get_mut(2) {
            fresh.restart();
            fresh.ready().await;
        }
        stays(&world, &reader, 200).await;
        stays(&world, &leaver, 402).await;
        let warned = warnings(world.billing()).await;
        assert!(warned.len() == 1 && warned[0].contains(ACCEPT), "{warned:?}");
        for proxy in world.proxies() {
            eventually("a proxy that runs apart warns, too", async || {
                warnings(proxy).await.iter().any(|warning| warning.contains(ACCEPT)).then_some(())
            })
            .await;
        }
        // A purchase and an end count, of those that were known and of others.
        let new = buys(&world).await;
        ends(&world, &new).await;
        world.applied(&leaver.purchase()).await;
        world.everywhere("/premium/again", &leaver.token, 200).await;
        stays(&world, &reader, 200).await;
        world.applied(&reader.purchase()).await;
        ends(&world, &reader).await;
        stays(&world, &leaver, 200).await;
    }
}

#[tokio::test]
async fn a_database_whose_cache_is_new_counts_at_once() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let reader = buys(&world).await;
    world.redis.as_mut().expect("this arrangement has one").restart();
    move_to(&mut world, Postgres::shared().database().await).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    world.everywhere("/premium/nothing", &reader.token, 402).await;
    world.everywhere("/premium/nothing", &token("somebody"), 402).await;
}

#[tokio::test]
async fn a_cache_that_forgets_what_is_held_is_no_word_of_a_person() {
    let setup = Setup::new(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let reader = buys(&world).await;
    move_to(&mut world, Postgres::shared().database().await).await;
    stays(&world, &reader, 200).await;
    world.redis.as_mut().expect("this arrangement has one").restart();
    crate::outage::pushed(&world, 1.0).await;
    // Processes that run on know the reader still, and the warning stays, also after a start.
    stays(&world, &reader, 200).await;
    world.processes[0].restart();
    world.processes[0].ready().await;
    assert!(warnings(world.billing()).await.iter().any(|warning| warning.contains(ACCEPT)));
    stays(&world, &reader, 200).await;
    operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
    world.everywhere("/premium/nothing", &reader.token, 402).await;
}
