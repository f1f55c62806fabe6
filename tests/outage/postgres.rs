//! Postgres in every way of not working: what is known is served, what cannot be made durable is refused and taken later,
//! and what was acknowledged is never lost.

use std::time::Duration;

use super::Scene;
use super::scene::Reader;
use crate::world::own_postgres::{OwnPostgres, exhaust};
use crate::world::relay::Relay;
use crate::world::servers::{Postgres, connect, execute};
use crate::world::{Tollgate, eventually, token};

/// The code of `out_of_memory`, whether of the server's own or of what all sessions share
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const OUT_OF_MEMORY: &str = "53200";

/// Known readers read on, unmarked; webhooks of these buyers are sent once, as the provider would. Returns who was
/// acknowledged.
async fn goes_on(scene: &Scene, buyers: &[Reader]) -> Vec<bool> {
    scene.reads_on().await;
    let pricing = scene.world.browse("/billing/pricing", None).await;
    assert!(pricing.status == 200 && pricing.body.contains("data-tier="), "strangers see what is sold: {pricing:?}");
    let mut taken = Vec::new();
    for buyer in buyers {
        let answer = scene.world.deliver(&buyer.purchase()).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        taken.push(answer.status == 200);
    }
    scene.reads_on().await;
    taken
}

/// Whoever was acknowledged has what was bought; the others are told again, and then have it too.
async fn loses_nothing(scene: &Scene, buyers: &[Reader], taken: &[bool]) {
    for (buyer, _) in buyers.iter().zip(taken).filter(|(_, taken)| **taken) {
        scene.world.everywhere("/premium/acknowledged", &buyer.token, 200).await;
    }
    for (buyer, _) in buyers.iter().zip(taken).filter(|(_, taken)| !**taken) {
        let event = buyer.purchase();
        let taken = async || (scene.world.deliver(&event).await.status == 200).then_some(());
        eventually("the next attempt is taken", taken).await;
        scene.world.everywhere("/premium/again", &buyer.token, 200).await;
    }
    scene.recovers().await;
}

/// An account that no cache knows cannot be decided on: the route says what then.
async fn strangers_are_unknown(scene: &Scene) {
    let before = scene.count("tollgate_degraded_total", &["reason=\"unknown\""]).await;
    let proxy = scene.world.proxy();
    let (denied, _) = scene.ask(proxy, "premium", &token("a-stranger")).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
    assert!(!denied.header("retry-after").is_empty(), "{denied:?}");
    scene.counted("tollgate_degraded_total", &["reason=\"unknown\""], before).await;
    let (_, received) = scene.ask(proxy, "lenient", &token("a-stranger")).await;
    let received = received.expect("this route lets pass");
    assert_eq!(received.header("x-entitlement-degraded"), Some("fallback"));
    assert!(scene.count("tollgate_degraded_total", &["reason=\"fallback\""]).await > 0.0);
}

fn buyers() -> Vec<Reader> {
    (0..3).map(|_| Reader::new()).collect()
}

#[tokio::test]
async fn refused() {
    let (scene, buyers) = (Scene::start().await, buyers());
    scene.postgres(Relay::refuse);
    let taken = goes_on(&scene, &buyers).await;
    assert_eq!(taken, [false; 3], "nothing can be durable");
    strangers_are_unknown(&scene).await;
    scene.postgres(Relay::heal);
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn away_when_billing_starts() {
    let mut scene = Scene::start().await;
    scene.postgres(Relay::refuse);
    for billing in &mut scene.world.processes[..2] {
        billing.restart();
    }
    for billing in &scene.world.processes[..2] {
        eventually("it says what it waits for", async || {
            let log = billing.process.log();
            log.lines()
                .any(|line| line.contains("the start waits for it") && line.contains("cannot be reached"))
                .then_some(())
        })
        .await;
    }
    scene.reads_on().await;
    scene.postgres(Relay::heal);
    for billing in &mut scene.world.processes[..2] {
        billing.ready().await;
    }
    scene.recovers().await;
}

#[tokio::test]
async fn silent() {
    let (scene, buyers) = (Scene::with(Scene::setup().key("cache.billing_deadline", "\"300ms\"")).await, buyers());
    scene.postgres(Relay::silence);
    scene.reads_on().await;
    strangers_are_unknown(&scene).await;
    // Whether the commit happened nobody knows: the provider sends it again, and once is enough.
    let taken = goes_on(&scene, &buyers[..1]).await;
    scene.postgres(Relay::heal);
    loses_nothing(&scene, &buyers[..1], &taken).await;
}

#[tokio::test]
async fn slow() {
    let (scene, buyers) = (Scene::start().await, buyers());
    scene.postgres(|line| line.slow(Duration::from_millis(40)));
    let taken = goes_on(&scene, &buyers).await;
    assert_eq!(taken, [true; 3], "it is slow, and it works");
    scene.strangers_pay().await;
    scene.postgres(Relay::heal);
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn flapping() {
    let (scene, buyers) = (Scene::start().await, buyers());
    scene.postgres(|line| line.flap(40));
    let taken = goes_on(&scene, &buyers).await;
    scene.postgres(Relay::heal);
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn restarted() {
    let (scene, buyers) = (Scene::start().await, buyers());
    let mut connection = scene.world.database.as_ref().expect("this world has a database").connect().await;
    // As a restart does it: every connection ends at once, in the midst of whatever it was doing.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    execute(&mut connection, end.to_owned()).await;
    let taken = goes_on(&scene, &buyers).await;
    execute(&mut connection, end.to_owned()).await;
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn out_of_memory() {
    // It can count some hundred locks, of everybody together, and whoever writes needs one.
    let postgres = OwnPostgres::with("-c max_connections=60 -c max_locks_per_transaction=10 -c autovacuum=off").await;
    let (scene, buyers) = (Scene::with(Scene::setup().postgres(&postgres.url)).await, buyers());
    let (mut greedy, mut beside) = (postgres.connect().await, postgres.connect().await);
    eventually("nobody can write", async || {
        assert_eq!(exhaust(&mut greedy).await, OUT_OF_MEMORY);
        let write = sqlx::query("select txid_current()").execute(&mut beside).await;
        (write.err()?.as_database_error()?.code()? == OUT_OF_MEMORY).then_some(())
    })
    .await;
    let taken = goes_on(&scene, &buyers).await;
    assert!(taken.contains(&false), "what cannot be durable is refused");
    // Whoever only reads may need no more memory than there is.
    let (stranger, _) = scene.ask(scene.world.proxy(), "premium", &token("a-stranger")).await;
    assert!([402, 503].contains(&stranger.status), "nobody is let in who is not known: {stranger:?}");
    let said = |process: &Tollgate| process.process.log().contains("out of shared memory");
    eventually("billing says why", async || scene.world.processes[..2].iter().any(said).then_some(())).await;
    drop(greedy);
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn takes_no_connections() {
    let (scene, buyers) = (Scene::start().await, buyers());
    // As when it is full: it answers, and refuses whoever comes. The setting is not for the database one is connected to.
    let mut inside = scene.world.database.as_ref().expect("this world has a database").connect().await;
    let name: String =
        sqlx::query_scalar("select current_database()::text").fetch_one(&mut inside).await.expect("it has a name");
    drop(inside);
    let mut beside = connect(&Postgres::shared().url).await.expect("Postgres answers");
    let allow = |word: &str| format!("alter database \"{name}\" allow_connections {word}");
    execute(&mut beside, allow("false")).await;
    let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    execute(&mut beside, end).await;
    let taken = goes_on(&scene, &buyers).await;
    assert_eq!(taken, [false; 3], "nothing can be durable");
    strangers_are_unknown(&scene).await;
    execute(&mut beside, allow("true")).await;
    loses_nothing(&scene, &buyers, &taken).await;
}

#[tokio::test]
async fn read_only() {
    let (scene, buyers) = (Scene::start().await, buyers());
    let mut connection = scene.world.database.as_ref().expect("this world has a database").connect().await;
    let set = |to: &str| {
        format!(
            "do $$ begin execute format('alter database %I set default_transaction_read_only to {to}', current_database()); end $$"
        )
    };
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    execute(&mut connection, set("on")).await;
    execute(&mut connection, end.to_owned()).await;
    let taken = goes_on(&scene, &buyers).await;
    assert_eq!(taken, [false; 3], "nothing can be durable");
    scene.strangers_pay().await;
    execute(&mut connection, format!("set transaction read write; {}", set("off"))).await;
    execute(&mut connection, end.to_owned()).await;
    loses_nothing(&scene, &buyers, &taken).await;
}
