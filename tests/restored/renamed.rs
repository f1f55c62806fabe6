//! Another `cache.namespace` for a database that is behind what was told of it: what is held under the former one goes on to serve.

use super::*;
use crate::world::servers::Database;
use crate::world::{Arrangement, Setup, eventually};

fn setup() -> Setup {
    super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")
}

/// Gives billing another namespace, from its next start on: proxies learn it.
fn rename(world: &World, name: &str) {
    world.processes[0].rewrite(|text| format!("cache.namespace = \"{name}\"\n{}", unnamed(&text)));
}

/// A configuration that names no namespace.
fn unnamed(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("cache.namespace"));
    lines.collect::<Vec<_>>().join("\n")
}

async fn restart(world: &mut World) {
    world.processes[0].restart();
    world.processes[0].ready().await;
}

async fn is_warned(world: &World) {
    let warned = warnings(world.billing()).await;
    assert!(warned.len() == 1 && warned[0].contains(ACCEPT), "{warned:?}");
}

#[tokio::test]
async fn what_is_held_outlives_another_namespace_until_a_person_agrees() {
    // The namespace changes after the restore was noticed, and together with it.
    for is_noticed in [true, false] {
        let mut world = World::with(setup()).await;
        let leaver = buys(&world).await;
        let dumped = dump(&world, "before.sql");
        let (late, again) = (buys(&world).await, buys(&world).await);
        ends(&world, &leaver).await;
        billing_remembers(&world).await;
        if is_noticed {
            move_to(&mut world, restored(&dumped).await).await;
            is_warned(&world).await;
            rename(&world, "elsewhere");
            restart(&mut world).await;
        } else {
            rename(&world, "elsewhere");
            move_to(&mut world, restored(&dumped).await).await;
        }
        for round in ["at once", "after another restart"] {
            is_warned(&world).await;
            world.processes[2].restart();
            world.processes[2].ready().await;
            for (reader, status) in [(&late, 200), (&again, 200), (&leaver, 402)] {
                world.everywhere("/premium/held", &reader.token, status).await;
                stays(&world, reader, status).await;
            }
            if round == "at once" {
                restart(&mut world).await;
            }
        }
        let explained = operator(&world, &["explain", "account", &late.account]).await.success();
        assert!(explained.lines().any(|line| line.starts_with("held ") && line.contains("paid")), "{explained}");
        // A new event of an account counts at once.
        ends(&world, &again).await;
        let asked = operator(&world, &["database", "accept"]).await;
        assert!(asked.failure().contains("1 account loses something"), "{asked:?}");
        operator(&world, &["database", "accept", "--yes"]).await.success();
        world.everywhere("/premium/nothing", &late.token, 402).await;
        world.everywhere("/premium/again", &leaver.token, 200).await;
        eventually("nothing is warned of", async || warnings(world.billing()).await.is_empty().then_some(())).await;
        // Neither is it afterwards, under either name.
        for name in ["elsewhere", "again"] {
            rename(&world, name);
            restart(&mut world).await;
            assert_eq!(warnings(world.billing()).await, [""; 0], "{name}");
        }
    }
}

#[tokio::test]
async fn another_namespace_alone_is_no_restore() {
    let mut world = World::with(setup()).await;
    let (reader, other) = (buys(&world).await, buys(&world).await);
    billing_remembers(&world).await;
    for name in ["first", "second"] {
        rename(&world, name);
        restart(&mut world).await;
        assert_eq!(warnings(world.billing()).await, [""; 0], "{name}");
        world.everywhere("/premium/renamed", &reader.token, 200).await;
        let new = buys(&world).await;
        ends(&world, &new).await;
    }
    ends(&world, &other).await;
    stays(&world, &reader, 200).await;
}

/// Starts everything anew, with another database, so that no process remembers anything.
async fn begin_anew(world: &mut World, database: Database) {
    world.processes[0].set("DATABASE_URL", &database.url);
    for process in &mut world.processes {
        process.restart();
    }
    for process in &mut world.processes {
        process.ready().await;
    }
    world.database = Some(database);
}

#[tokio::test]
async fn a_new_database_under_a_new_namespace_lowers_nobody_either() {
    let mut world = World::with(setup()).await;
    let (reader, leaver) = (buys(&world).await, buys(&world).await);
    ends(&world, &leaver).await;
    billing_remembers(&world).await;
    rename(&world, "elsewhere");
    begin_anew(&mut world, Postgres::shared().database().await).await;
    for _ in 0..2 {
        is_warned(&world).await;
        stays(&world, &reader, 200).await;
        stays(&world, &leaver, 402).await;
        // A new purchase counts, and the database is not empty at the next start.
        let new = buys(&world).await;
        ends(&world, &new).await;
        restart(&mut world).await;
    }
    let asked = operator(&world, &["database", "accept"]).await;
    assert!(asked.failure().contains("1 account loses something"), "{asked:?}");
    operator(&world, &["database", "accept", "--yes"]).await.success();
    world.everywhere("/premium/nothing", &reader.token, 402).await;
    eventually("nothing is warned of", async || warnings(world.billing()).await.is_empty().then_some(())).await;
    restart(&mut world).await;
    assert_eq!(warnings(world.billing()).await, [""; 0]);
}

#[tokio::test]
async fn a_new_database_is_told_of_records_under_a_name_for_which_nobody_speaks() {
    let mut world = World::with(setup().key("cache.namespace", "\"before\"")).await;
    let reader = buys(&world).await;
    // Another site on the same Redis, which lives, is not warned of.
    let redis = world.redis.as_ref().expect("this arrangement has one").url.clone();
    let _other = World::with(setup().environment("REDIS_URL", &redis)).await;
    rename(&world, "after");
    for proxy in &world.processes[1..] {
        proxy.rewrite(|text| unnamed(&text));
    }
    begin_anew(&mut world, Postgres::shared().database().await).await;
    eventually("the operator is told", async || {
        let warned = warnings(world.billing()).await;
        let told = warned.iter().find(|warning| warning.contains("\"before\""))?;
        assert!(warned.len() == 1 && !told.contains("http") && told.contains("set cache.namespace"), "{warned:?}");
        Some(())
    })
    .await;
    stays(&world, &reader, 402).await;
    rename(&world, "before");
    restart(&mut world).await;
    is_warned(&world).await;
    world.everywhere("/premium/held", &reader.token, 200).await;
}

#[tokio::test]
async fn a_new_database_of_a_site_that_has_moved_is_told_of_the_name_that_its_former_url_made() {
    let mut world = World::with(setup().key("site.url", "\"http://before.test\"")).await;
    let reader = buys(&world).await;
    for process in &world.processes {
        process.rewrite(|text| text.replace("http://before.test", "http://after.test"));
    }
    begin_anew(&mut world, Postgres::shared().database().await).await;
    // Nothing ties it to what was there: it is another installation, unless a person says otherwise.
    eventually("the operator is told", async || {
        let warned = warnings(world.billing()).await;
        let told = warned.iter().find(|warning| warning.contains("\"http://before.test\""))?;
        assert!(warned.len() == 1 && told.contains("set cache.namespace"), "{warned:?}");
        Some(())
    })
    .await;
    stays(&world, &reader, 402).await;
    rename(&world, "http://before.test");
    restart(&mut world).await;
    is_warned(&world).await;
    world.everywhere("/premium/held", &reader.token, 200).await;
    let asked = operator(&world, &["database", "accept"]).await;
    assert!(asked.failure().contains("1 account loses something"), "{asked:?}");
}
