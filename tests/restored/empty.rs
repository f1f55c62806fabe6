//! A new, empty database under a cache that knows people who have paid.

use std::collections::BTreeMap;

use demo::provider::{NewCustomer, Shape, Subscribe};

use super::*;
use crate::world::stripe::unique;
use crate::world::{Arrangement, eventually, token};

#[tokio::test]
async fn an_empty_database_lowers_nobody() {
    for arrangement in [Arrangement::Separate, Arrangement::AllPostgresRedis] {
        let mut world = World::with(super::of(arrangement).key("cache.max_staleness", "\"1s\"")).await;
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
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let reader = buys(&world).await;
    world.redis.as_mut().expect("this arrangement has one").restart();
    move_to(&mut world, Postgres::shared().database().await).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    world.everywhere("/premium/nothing", &reader.token, 402).await;
    world.everywhere("/premium/nothing", &token("somebody"), 402).await;
}

#[tokio::test]
async fn a_cache_that_forgets_what_is_held_is_no_word_of_a_person() {
    let setup = super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
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

#[tokio::test]
async fn what_a_comparison_has_told_anew_is_counted_and_needs_no_force() {
    let setup = super::of(Arrangement::AllPostgresRedis).provider(Shape::Endive);
    let mut world = World::with(setup.key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"")).await;
    let accounts: Vec<String> = (0..5).map(|_| unique("subscriber")).collect();
    for account in &accounts {
        let provider = world.provider.as_ref().expect("this world has one");
        let metadata = BTreeMap::from([("account".to_owned(), account.clone())]);
        let customer = NewCustomer { metadata: metadata.clone(), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("there is room");
        let order = Subscribe { customer, price: "price_monthly".into(), metadata, ..Subscribe::default() };
        provider.subscribe(order).expect("it begins");
        world.everywhere("/premium/bought", &token(account), 200).await;
    }
    move_to(&mut world, Postgres::shared().database().await).await;
    let warned = warnings(world.billing()).await;
    let at = |command: &str| warned.iter().find_map(|warning| warning.find(command)).expect("it is named");
    assert!(at("tollgate reconcile") < at(ACCEPT), "{warned:?}");
    operator(&world, &["reconcile"]).await.success();
    let accepted = operator(&world, &["database", "accept", "--yes"]).await;
    assert!(!accepted.stderr.contains("cannot be counted"), "{accepted:?}");
    assert!(accepted.success().contains("0 accounts lost something"));
    for account in &accounts {
        world.everywhere("/premium/still", &token(account), 200).await;
    }
}
