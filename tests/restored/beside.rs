//! Two installations on one Redis: neither opens or closes anything of the other, whatever they have in common.

use super::*;
use crate::world::{Arrangement, Setup, eventually};

const SITE: &str = "\"http://site.test\"";

/// The Redis of a world, as another one is told of it.
fn redis_of(world: &World) -> String {
    world.redis.as_ref().expect("this world has one").url.clone()
}

fn setup() -> Setup {
    super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")
}

/// The same account buys and leaves in the one, and in the other.
async fn are_apart(one: &World, other: &World) {
    for (here, there) in [(one, other), (other, one)] {
        let reader = Reader::new();
        stays(there, &reader, 402).await;
        here.applied(&reader.purchase()).await;
        here.everywhere("/premium/bought", &reader.token, 200).await;
        stays(there, &reader, 402).await;
        there.applied(&reader.again().event("created")).await;
        there.everywhere("/premium/bought", &reader.token, 200).await;
        ends(here, &reader).await;
        stays(there, &reader, 200).await;
    }
}

#[tokio::test]
async fn two_sites_on_one_redis_are_apart() {
    let one = World::with(setup()).await;
    let other = World::with(setup().environment("REDIS_URL", &redis_of(&one))).await;
    are_apart(&one, &other).await;
    for world in [&one, &other] {
        assert_eq!(warnings(world.billing()).await, [""; 0]);
    }
}

#[tokio::test]
async fn two_databases_of_one_site_on_one_redis_are_apart_and_the_second_is_told_what_to_do() {
    let one = World::with(setup().key("site.url", SITE)).await;
    let before = buys(&one).await;
    let other = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &redis_of(&one))).await;
    stays(&other, &before, 402).await;
    are_apart(&one, &other).await;
    stays(&one, &before, 200).await;
    assert_eq!(warnings(one.billing()).await, [""; 0]);
    let warned = warnings(other.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains("cache.namespace"), "{warned:?}");
}

#[tokio::test]
async fn while_an_installation_is_stopped_another_one_that_has_seen_it_alive_opens_nothing() {
    let mut one = World::with(setup().key("site.url", SITE)).await;
    let before = buys(&one).await;
    let mut other = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &redis_of(&one))).await;
    stays(&other, &before, 402).await;
    one.processes.iter_mut().for_each(|process| process.process.kill());
    other.processes[0].restart();
    other.processes[0].ready().await;
    let warned = warnings(other.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains("cache.namespace"), "{warned:?}");
    stays(&other, &before, 402).await;
}

#[tokio::test]
async fn records_that_a_new_database_holds_serve_no_more_once_the_installation_that_told_them_runs_again() {
    let mut one = World::with(setup().key("site.url", SITE)).await;
    let before = buys(&one).await;
    one.processes.iter_mut().for_each(|process| process.process.kill());
    let mut other = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &redis_of(&one))).await;
    // It looks like a new database of the same site, and is told so; what is bought there counts.
    let warned = warnings(other.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains(ACCEPT), "{warned:?}");
    let own = buys(&other).await;
    stays(&other, &before, 200).await;
    one.processes[0].restart();
    one.processes[0].ready().await;
    other.everywhere("/premium/alive", &before.token, 402).await;
    stays(&other, &own, 200).await;
    eventually("it is noted", async || {
        let warned = warnings(other.billing()).await;
        (warned.len() == 1 && warned[0].contains("cache.namespace")).then_some(())
    })
    .await;
    // Nor when either is started again, whatever runs then.
    one.processes.iter_mut().for_each(|process| process.process.kill());
    for process in &mut other.processes {
        process.restart();
        process.ready().await;
    }
    let warned = warnings(other.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains("cache.namespace"), "{warned:?}");
    stays(&other, &before, 402).await;
    stays(&other, &own, 200).await;
    for process in &mut one.processes {
        process.restart();
        process.ready().await;
    }
    stays(&one, &before, 200).await;
    stays(&one, &own, 402).await;
    are_apart(&one, &other).await;
    // A person may say that it takes the other one's place.
    one.processes.iter_mut().for_each(|process| process.process.kill());
    operator(&other, &["database", "accept", "--yes", "--force"]).await.success();
    eventually("nothing is warned of", async || warnings(other.billing()).await.is_empty().then_some(())).await;
    stays(&other, &own, 200).await;
    stays(&other, &before, 402).await;
}

#[tokio::test]
async fn two_databases_of_one_site_with_a_number_each_in_one_redis_are_apart() {
    let one = World::with(setup().key("site.url", SITE)).await;
    let numbered = |number: u32| format!("{}/{number}", redis_of(&one));
    let two = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &numbered(2))).await;
    let three = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &numbered(3))).await;
    are_apart(&two, &three).await;
    are_apart(&one, &two).await;
    for world in [&one, &two, &three] {
        assert_eq!(warnings(world.billing()).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_copy_of_a_database_is_apart_in_a_namespace_of_its_own() {
    let one = World::with(setup().key("site.url", SITE)).await;
    let before = buys(&one).await;
    let copied = restored(&dump(&one, "copied.sql")).await;
    let copy = setup().key("site.url", SITE).key("cache.namespace", "\"staging\"");
    let copy = copy.environment("REDIS_URL", &redis_of(&one)).environment("DATABASE_URL", &copied.url);
    let mut copy = World::with(copy).await;
    copy.database = Some(copied);
    stays(&copy, &before, 200).await;
    ends(&copy, &before).await;
    stays(&one, &before, 200).await;
    are_apart(&one, &copy).await;
    for world in [&one, &copy] {
        assert_eq!(warnings(world.billing()).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_proxy_learns_the_namespace_from_billing_and_is_not_ready_with_another_one() {
    let mut world = World::with(super::of(Arrangement::Separate)).await;
    let reader = buys(&world).await;
    // Billing's configuration, the proxy's, and what comes of it.
    let set = |text: String| format!("cache.namespace = \"shop\"\n{text}");
    world.processes[0].rewrite(set);
    world.processes[0].restart();
    world.processes[0].ready().await;
    world.everywhere("/premium/learnt", &reader.token, 200).await;
    ends(&world, &reader).await;
    let new = buys(&world).await;
    world.processes[1].rewrite(set);
    world.processes[1].restart();
    world.processes[1].ready().await;
    stays(&world, &new, 200).await;
    world.processes[2].rewrite(|text| set(text).replace("shop", "workshop"));
    world.processes[2].restart();
    eventually("the proxy says why it is not ready", async || {
        let answer = world.processes[2].try_admin("/readyz").await?;
        (answer.status == 503 && answer.body.contains("workshop") && answer.body.contains("shop")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_command_that_looks_into_a_backup_takes_the_word_from_nobody() {
    let world = World::with(setup()).await;
    let before = buys(&world).await;
    let backup = restored(&dump(&world, "looked-into.sql")).await;
    let after = buys(&world).await;
    ends(&world, &before).await;
    let url = ("DATABASE_URL", backup.url.as_str());
    for arguments in [&["explain", "account", before.account.as_str()][..], &["explain", "account", "nobody-at-all"]] {
        world.tollgate_with(url, arguments).await.success();
    }
    world.tollgate_with(url, &["grant", "granted-there", "paid", "--days", "2", "--reason", "a test"]).await;
    // As if nothing had been: neither a warning, nor another database's word, after a restart either.
    let mut world = world;
    world.processes[0].restart();
    world.processes[0].ready().await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    stays(&world, &after, 200).await;
    stays(&world, &before, 402).await;
    world.everywhere("/premium/granted", &crate::world::token("granted-there"), 402).await;
}

#[tokio::test]
async fn a_command_on_a_second_database_explains_what_its_gate_would_do() {
    let one = World::with(setup().key("site.url", SITE)).await;
    let reader = buys(&one).await;
    // Nothing has run on it yet that could have noted whose records stand there.
    let second = Postgres::shared().database().await;
    let url = ("DATABASE_URL", second.url.as_str());
    one.tollgate_with(url, &["migrate"]).await.success();
    let explained = one.tollgate_with(url, &["explain", "account", &reader.account]).await.success();
    assert!(!explained.lines().any(|line| line.starts_with("held ")), "nothing of it serves there: {explained}");
    let beside = explained.lines().find(|line| line.starts_with("beside ")).unwrap_or_else(|| panic!("{explained}"));
    assert!(beside.contains("goes by this database alone") && beside.contains("cache.namespace"), "{beside}");
}

#[tokio::test]
async fn a_second_installation_that_is_restored_opens_nothing_of_the_first_one_that_it_has_seen() {
    let mut one = World::with(setup().key("site.url", SITE)).await;
    let before = buys(&one).await;
    let mut other = World::with(setup().key("site.url", SITE).environment("REDIS_URL", &redis_of(&one))).await;
    stays(&other, &before, 402).await;
    let dumped = dump(&other, "second.sql");
    let late = buys(&other).await;
    ends(&other, &late).await;
    move_to(&mut other, restored(&dumped).await).await;
    eventually("it has gone back", async || {
        let former = "select former is not null from database_identity";
        let mut database = other.database.as_ref().expect("this world has one").connect().await;
        let has_former: bool = sqlx::query_scalar(former).fetch_one(&mut database).await.expect("a row");
        has_former.then_some(())
    })
    .await;
    stays(&other, &before, 402).await;
    one.processes.iter_mut().for_each(|process| process.process.kill());
    for process in &mut other.processes {
        process.restart();
        process.ready().await;
    }
    stays(&other, &before, 402).await;
}
