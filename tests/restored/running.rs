//! A dump that is put into the database of a system that runs on.

use super::*;
use crate::world::stripe::{Subscription, unique};
use crate::world::token::{SECRET, claims, signed};
use crate::world::{Arrangement, Setup, eventually};

fn setup() -> Setup {
    super::of(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")
}

/// Writes everything of the world's database into a file.
fn put_aside(world: &World) -> String {
    let url = &world.database.as_ref().expect("this world has a database").url;
    let file = world.dir().join("before.dump").display().to_string();
    shell(&format!("pg_dump --no-owner --format=custom --dbname='{url}' --file='{file}'"));
    file
}

/// Puts it back while processes use the database, and waits until billing has noticed.
async fn put_back(world: &World, file: &str, how: &str) {
    billing_remembers(world).await;
    bring_back(world, file, how);
    eventually("the operator is told", async || {
        let ready = world.billing().admin("/readyz").await;
        ready.warnings().iter().any(|warning| warning.contains(ACCEPT)).then_some(())
    })
    .await;
}

fn bring_back(world: &World, file: &str, how: &str) {
    let url = &world.database.as_ref().expect("this world has a database").url;
    shell(&format!("pg_restore --no-owner --clean --if-exists {how} --dbname='{url}' '{file}'"));
}

#[tokio::test]
async fn a_dump_that_is_put_into_a_running_system_lowers_nobody() {
    for how in ["", "--single-transaction"] {
        let mut world = World::with(setup()).await;
        let (leaver, other) = (buys(&world).await, buys(&world).await);
        let file = put_aside(&world);
        let late = buys(&world).await;
        ends(&world, &leaver).await;
        put_back(&world, &file, how).await;
        for fresh in [false, true] {
            if fresh {
                world.processes[2].restart();
                world.processes[2].ready().await;
            }
            for (reader, status) in [(&late, 200), (&leaver, 402), (&other, 200)] {
                world.everywhere("/premium/held", &reader.token, status).await;
                stays(&world, reader, status).await;
            }
        }
        // A new purchase counts, and no event that is acknowledged is lost.
        let new = buys(&world).await;
        ends(&world, &other).await;
        stays(&world, &new, 200).await;
        operator(&world, &["database", "accept", "--yes", "--force"]).await.success();
        world.everywhere("/premium/accepted", &late.token, 402).await;
        world.everywhere("/premium/accepted", &new.token, 200).await;
        world.everywhere("/premium/accepted", &other.token, 402).await;
    }
}

#[tokio::test]
async fn a_claim_that_a_person_agreed_to_after_the_dump_stays_in_force() {
    let mut world = World::with(setup()).await;
    buys(&world).await;
    let file = put_aside(&world);
    for process in &mut world.processes {
        process.rewrite(|text| format!("identity.account = \"org_id\"\n{text}"));
        process.restart();
        process.ready().await;
    }
    world.tollgate(&["identity", "accept", "--yes", "--force"]).await.success();
    let organisation = unique("organisation");
    let sold = Subscription { metadata: Some(organisation.clone()), ..Subscription::of(&unique("cus")) };
    world.applied(&sold.event("created")).await;
    let mut claims = claims("a-member");
    claims["org_id"] = organisation.clone().into();
    let member = Reader { token: signed(&claims, SECRET), ..Reader::new() };
    world.everywhere("/premium/member", &member.token, 200).await;
    for is_restarted in [false, true] {
        if is_restarted {
            billing_remembers(&world).await;
            world.processes.iter_mut().for_each(|process| process.process.kill());
            bring_back(&world, &file, "");
            for process in &mut world.processes {
                process.restart();
                process.ready().await;
            }
        } else {
            put_back(&world, &file, "").await;
        }
        // Until billing has looked how accounts are named, which it notes.
        let mut database = world.database.as_ref().expect("this world has a database").connect().await;
        eventually("the claim is noted again", async || {
            let noted: String =
                sqlx::query_scalar("select naming from account_naming").fetch_one(&mut database).await.ok()?;
            noted.contains("org_id").then_some(())
        })
        .await;
        if is_restarted {
            world.everywhere("/premium/member", &member.token, 200).await;
        } else {
            stays(&world, &member, 200).await;
        }
    }
}
