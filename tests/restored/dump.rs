//! A dump that is older than what was told: `pg_dump`, and back.

use super::*;
use crate::world::{Arrangement, eventually};

#[tokio::test]
async fn a_restored_dump_lowers_nobody_and_what_is_new_counts() {
    let setup = super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"");
    let mut world = World::with(setup).await;
    let (early, leaver) = (buys(&world).await, buys(&world).await);
    let dumped = dump(&world, "before.sql");
    let (late, second) = (buys(&world).await, buys(&world).await);
    ends(&world, &leaver).await;
    billing_remembers(&world).await;
    move_to(&mut world, restored(&dumped).await).await;
    // One proxy ran on, and one knows nothing.
    world.processes[2].restart();
    world.processes[2].ready().await;
    for (reader, status) in [(&early, 200), (&late, 200), (&second, 200), (&leaver, 402)] {
        stays(&world, reader, status).await;
    }
    let warned = warnings(world.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains(ACCEPT) && warned[0].contains("since 20"), "{warned:?}");
    world.billing().logs(ACCEPT).await;
    let log = world.billing().process.log();
    assert!(log.lines().any(|line| line.contains("since 20") && line.contains(ACCEPT)), "the log says so, too");
    assert!(world.billing().metric("tollgate_held_back_total", &["what=\"database\""]).await >= 1.0);
    // An account of which the dump says less than was told, one of which it knows nothing, and new ones.
    world.applied(&leaver.again().event("created")).await;
    world.everywhere("/premium/again", &leaver.token, 200).await;
    world.applied(&late.purchase()).await;
    ends(&world, &late).await;
    ends(&world, &early).await;
    let new = buys(&world).await;
    ends(&world, &new).await;
    stays(&world, &second, 200).await;
    let explained = operator(&world, &["explain", "account", &second.account]).await.success();
    let held = explained.lines().find(|line| line.starts_with("held ")).unwrap_or_else(|| panic!("{explained}"));
    assert!(held.contains("paid (active)") && held.contains(ACCEPT), "{held}");
    assert_eq!(explained.matches(ACCEPT).count(), 1, "once: {explained}");
    let decided =
        operator(&world, &["explain", "route", "GET", "/premium/one", "--account", &second.account]).await.success();
    assert!(decided.contains("verdict   pass"), "as the gate does: {decided}");
    for account in [new.account.as_str(), "nobody-at-all"] {
        let explained = operator(&world, &["explain", "account", account]).await.success();
        let held = explained.lines().find(|line| line.starts_with("held back since 20"));
        assert!(held.is_some_and(|held| held.contains(ACCEPT)), "{explained}");
    }
    // All of it is in Redis: whoever starts again knows as much.
    for process in &mut world.processes {
        process.restart();
        process.ready().await;
    }
    for (reader, status) in [(&early, 402), (&late, 402), (&second, 200), (&leaver, 200), (&new, 402)] {
        stays(&world, reader, status).await;
    }
    assert_eq!(warnings(world.billing()).await.len(), 1);
}

#[tokio::test]
async fn a_dump_that_has_everything_that_was_told_is_what_counts() {
    let mut world = World::with(super::of(Arrangement::Separate)).await;
    let reader = buys(&world).await;
    let dumped = dump(&world, "now.sql");
    move_to(&mut world, restored(&dumped).await).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
    stays(&world, &reader, 200).await;
    ends(&world, &reader).await;
}

#[tokio::test]
async fn what_a_dump_had_not_told_yet_is_nothing_new() {
    let mut world = World::with(super::of(Arrangement::Separate)).await;
    let reader = buys(&world).await;
    // As if the process had been killed before it told of the purchase: the dump has the row that waits.
    let statement = "insert into outbox (account, version, committed_at, next_attempt_at)
        select account, version, now(), now() from accounts";
    let mut connection = world.database.as_ref().expect("this world has one").connect().await;
    world.processes[0].process.kill();
    crate::world::servers::execute(&mut connection, statement.to_owned()).await;
    let dumped = dump(&world, "waiting.sql");
    world.processes[0].restart();
    world.processes[0].ready().await;
    ends(&world, &reader).await;
    move_to(&mut world, restored(&dumped).await).await;
    let mut connection = world.database.as_ref().expect("this world has one").connect().await;
    eventually("nothing waits any more", async || {
        let count = "select count(*) from outbox";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("it can be read");
        (count == 0).then_some(())
    })
    .await;
    stays(&world, &reader, 402).await;
}
