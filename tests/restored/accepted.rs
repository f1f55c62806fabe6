//! `tollgate database accept`: says how many lose, asks, and needs more than a yes when they are many.

use super::*;
use crate::world::Arrangement;

/// More than may lose something without `--force`.
const MANY: usize = 5;

#[tokio::test]
async fn a_person_is_told_how_many_lose_and_is_asked() {
    let setup = super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let (early, leaver) = (buys(&world).await, buys(&world).await);
    let dumped = dump(&world, "before.sql");
    let late = [buys(&world).await, buys(&world).await];
    ends(&world, &leaver).await;
    assert!(operator(&world, &["database", "accept"]).await.success().contains("nothing changes"));
    billing_remembers(&world).await;
    move_to(&mut world, restored(&dumped).await).await;
    let asked = operator(&world, &["database", "accept"]).await;
    assert!(asked.failure().contains("2 accounts lose something") && asked.failure().contains("--yes"), "{asked:?}");
    stays(&world, &late[0], 200).await;
    let done = operator(&world, &["database", "accept", "--yes"]).await.success();
    assert!(done.contains("2 accounts lose tier paid") && done.contains("2 accounts lost something"), "{done}");
    for reader in &late {
        world.everywhere("/premium/nothing", &reader.token, 402).await;
    }
    // The dump's word counts in everything: an end since is undone.
    world.everywhere("/premium/again", &leaver.token, 200).await;
    stays(&world, &early, 200).await;
    crate::world::eventually("nothing is warned of", async || warnings(world.billing()).await.is_empty().then_some(()))
        .await;
    // And everything goes on as ever, for those who lost as well.
    world.applied(&late[0].again().event("created")).await;
    world.everywhere("/premium/new", &late[0].token, 200).await;
    ends(&world, &early).await;
}

#[tokio::test]
async fn many_lose_only_by_force() {
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let mut readers = Vec::new();
    for _ in 0..MANY {
        readers.push(buys(&world).await);
    }
    move_to(&mut world, Postgres::shared().database().await).await;
    let refused = operator(&world, &["database", "accept", "--yes"]).await;
    assert!(refused.failure().contains("5 accounts lose something"), "{refused:?}");
    assert!(refused.failure().contains("of 5 accounts that have access"), "{refused:?}");
    assert!(refused.failure().contains("--force"), "{refused:?}");
    for reader in &readers {
        stays(&world, reader, 200).await;
    }
    operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
    for reader in &readers {
        world.everywhere("/premium/nothing", &reader.token, 402).await;
    }
}

#[tokio::test]
async fn what_says_who_has_the_word_may_be_broken() {
    let world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let reader = buys(&world).await;
    let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
    let mut redis = redis::Client::open(url).expect("a URL");
    let key = format!("tollgate:{}:owner", world.url);
    let there: i32 = redis::cmd("EXISTS").arg(&key).query(&mut redis).expect("an answer");
    assert_eq!(there, 1);
    redis::cmd("DEL").arg(&key).exec(&mut redis).expect("it is gone");
    redis::cmd("RPUSH").arg(&key).arg("no owner").exec(&mut redis).expect("a list");
    crate::world::eventually("it is told", async || {
        warnings(world.billing()).await.iter().any(|warning| warning.contains(ACCEPT)).then_some(())
    })
    .await;
    stays(&world, &reader, 200).await;
    operator(&world, &["database", "accept", "--yes"]).await.success();
    crate::world::eventually("nothing is warned of", async || warnings(world.billing()).await.is_empty().then_some(()))
        .await;
    stays(&world, &reader, 200).await;
    ends(&world, &reader).await;
}

#[tokio::test]
async fn what_cannot_be_counted_needs_force() {
    let setup = super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let readers = [buys(&world).await, buys(&world).await];
    billing_remembers(&world).await;
    move_to(&mut world, Postgres::shared().database().await).await;
    crate::world::eventually("it is told", async || {
        warnings(world.billing()).await.iter().any(|warning| warning.contains(ACCEPT)).then_some(())
    })
    .await;
    // Proxies that ran on would hand over what they have.
    world.processes[1..].iter_mut().for_each(|process| process.process.kill());
    let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
    redis::cmd("FLUSHALL").exec(&mut redis::Client::open(url).expect("a URL")).expect("flushed");
    for arguments in [&["database", "accept"][..], &["database", "accept", "--yes"]] {
        let refused = operator(&world, arguments).await;
        assert!(refused.failure().contains("cannot be counted"), "{refused:?}");
        assert!(refused.failure().contains("--force"), "{refused:?}");
    }
    for process in &mut world.processes[1..] {
        process.restart();
        process.ready().await;
    }
    let done = operator(&world, &["database", "accept", "--yes", "--force"]).await;
    assert!(done.stderr.contains("cannot be counted"), "{done:?}");
    done.success();
    for reader in &readers {
        world.everywhere("/premium/nothing", &reader.token, 402).await;
    }
    world.redis.as_mut().expect("this arrangement has one").kill();
    operator(&world, &["database", "accept", "--yes"]).await.failure();
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_in_the_place_of_a_number_that_is_not_known() {
    let mut world = World::with(super::of(Arrangement::AllPostgresRedis)).await;
    let reader = buys(&world).await;
    billing_remembers(&world).await;
    move_to(&mut world, Postgres::shared().database().await).await;
    let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
    let mut redis = redis::Client::open(url).expect("a URL").get_connection().expect("a connection");
    let mut acl = |rule: &str| redis::cmd("ACL").arg(&["SETUSER", "default", rule]).exec(&mut redis).expect("changed");
    for (lacks, has, named) in [("-getrange", "+getrange", "'getrange'"), ("-scan", "+scan", "'scan'")] {
        acl(lacks);
        let refused = operator(&world, &["database", "accept", "--yes"]).await;
        assert!(refused.failure().contains(named), "{refused:?}");
        assert!(!refused.failure().contains("--force") && !refused.failure().contains("no record"), "{refused:?}");
        acl(has);
    }
    stays(&world, &reader, 200).await;
}
