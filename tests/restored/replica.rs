//! A failover to a replica that lags behind, and a billing that stays on the former primary.

use super::*;
use crate::world::own_postgres::OwnPostgres;
use crate::world::replica::Replica;
use crate::world::{Arrangement, Setup, eventually};

fn setup(primary: &OwnPostgres) -> Setup {
    super::of(Arrangement::Replicated).postgres(&primary.url).key("cache.max_staleness", "\"1s\"")
}

/// New connections to Postgres over this line lead to the replica.
fn fail_over(line: &crate::world::relay::Relay, replica: &Replica) {
    line.lead_to(replica.address);
    line.cut();
    line.heal();
}

#[tokio::test]
async fn a_promoted_replica_lowers_nobody_and_whoever_stays_on_the_former_primary_does_not_win() {
    let primary = OwnPostgres::start().await;
    let replica = Replica::of(&primary).await;
    let mut world = World::with(setup(&primary)).await;
    let early = buys(&world).await;
    replica.catches_up(&primary).await;
    replica.falls_behind().await;
    // Changes that the replica has never heard of: purchases, and an end.
    let (late, again) = (buys(&world).await, buys(&world).await);
    ends(&world, &early).await;
    replica.is_promoted().await;
    fail_over(&world.lines.as_ref().expect("it has lines").postgres[0], &replica);
    eventually("readiness says so", async || {
        let answer = world.processes[0].admin("/readyz").await;
        (answer.status == 200 && answer.body.contains(ACCEPT)).then_some(())
    })
    .await;
    world.processes[3].restart();
    world.processes[3].ready().await;
    for (reader, status) in [(&early, 402), (&late, 200), (&again, 200)] {
        stays(&world, reader, status).await;
    }
    // Something new is learnt by the billing that went over.
    let told = again.again();
    assert_eq!(deliver_to(&world.processes[0], &told.event("created")).await.status, 200);
    assert_eq!(deliver_to(&world.processes[0], &told.ended().event("deleted")).await.status, 200);
    world.everywhere("/premium/ended", &again.token, 402).await;
    // The other one is on the former primary still, which takes everything in.
    eventually("it knows", async || warnings(&world.processes[1]).await[0].contains("former primary").then_some(()))
        .await;
    for _ in 0..3 {
        assert_eq!(deliver_to(&world.processes[1], &again.again().event("created")).await.status, 200);
    }
    let stranger = Reader::new();
    assert_eq!(deliver_to(&world.processes[1], &stranger.purchase()).await.status, 200);
    stays(&world, &again, 402).await;
    stays(&world, &stranger, 402).await;
    stays(&world, &late, 200).await;
    // It goes over at last, and all of them speak of one database.
    fail_over(&world.lines.as_ref().expect("it has lines").postgres[1], &replica);
    let buyer = Reader::new();
    for (process, event) in [(0, buyer.purchase()), (1, buyer.end())] {
        eventually("it is taken", async || {
            (deliver_to(&world.processes[process], &event).await.status == 200).then_some(())
        })
        .await;
        world.everywhere("/premium/new", &buyer.token, if process == 0 { 200 } else { 402 }).await;
    }
}

#[tokio::test]
async fn a_proxy_that_asks_the_billing_on_the_former_primary_alone_hears_what_the_new_one_says() {
    let primary = OwnPostgres::start().await;
    let replica = Replica::of(&primary).await;
    let mut world = World::with(setup(&primary)).await;
    let address = |billing: &Tollgate| format!("listen.billing = \"{}\"", billing.listen.billing);
    let (both, alone) = (world.lines.as_ref().expect("it has lines").billing.address, address(&world.processes[1]));
    world.processes[3].rewrite(|text| text.replace(&format!("listen.billing = \"{both}\""), &alone));
    world.processes[3].restart();
    world.processes[3].ready().await;
    let early = buys(&world).await;
    replica.catches_up(&primary).await;
    replica.falls_behind().await;
    let late = buys(&world).await;
    replica.is_promoted().await;
    fail_over(&world.lines.as_ref().expect("it has lines").postgres[0], &replica);
    let former = "a former primary: what that one has told";
    eventually("it knows", async || {
        let answer = world.processes[1].admin("/readyz").await;
        (answer.status == 200 && answer.warnings().iter().any(|told| told.contains(former))).then_some(())
    })
    .await;
    // A reader through that proxy hears of what the billing that went over has learnt, and of what is held there.
    let new = Reader::new();
    assert_eq!(deliver_to(&world.processes[0], &new.purchase()).await.status, 200);
    world.everywhere("/premium/new", &new.token, 200).await;
    assert_eq!(deliver_to(&world.processes[0], &early.end()).await.status, 200);
    world.everywhere("/premium/ended", &early.token, 402).await;
    stays(&world, &late, 200).await;
    // Events that the former primary still takes in do not win against it.
    assert_eq!(deliver_to(&world.processes[1], &early.again().event("created")).await.status, 200);
    assert_eq!(deliver_to(&world.processes[1], &new.end()).await.status, 200);
    for (reader, status) in [(&early, 402), (&new, 200), (&late, 200)] {
        world.everywhere("/premium/after", &reader.token, status).await;
        stays(&world, reader, status).await;
    }
}

#[tokio::test]
async fn a_replica_that_had_everything_takes_over_without_a_word() {
    let primary = OwnPostgres::start().await;
    let replica = Replica::of(&primary).await;
    let world = World::with(setup(&primary)).await;
    let reader = buys(&world).await;
    replica.catches_up(&primary).await;
    replica.is_promoted().await;
    for line in &world.lines.as_ref().expect("it has lines").postgres {
        fail_over(line, &replica);
    }
    let new = Reader::new();
    for event in [new.purchase(), new.end(), reader.end()] {
        eventually("it is taken", async || (world.deliver(&event).await.status == 200).then_some(())).await;
    }
    world.everywhere("/premium/ended", &new.token, 402).await;
    world.everywhere("/premium/ended", &reader.token, 402).await;
    for billing in &world.processes[..2] {
        assert_eq!(warnings(billing).await, [""; 0]);
    }
}
