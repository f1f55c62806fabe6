//! Billing processes that are gone: one is enough, and without any what is known is served.

use super::Scene;
use super::scene::Reader;
use crate::world::{eventually, token};

#[tokio::test]
async fn one_of_two_is_enough() {
    let mut scene = Scene::start().await;
    scene.world.processes[0].process.kill();
    scene.reads_on().await;
    scene.strangers_pay().await;
    scene.changes_are_enforced().await;
    scene.world.processes[0].restart();
    scene.world.processes[0].ready().await;
    scene.world.processes[1].process.kill();
    scene.changes_are_enforced().await;
    scene.world.processes[1].restart();
    scene.world.processes[1].ready().await;
    scene.recovers().await;
}

#[tokio::test]
async fn what_one_has_committed_and_could_not_tell_the_other_tells() {
    let mut scene = Scene::start().await;
    let leaver = Reader::new();
    scene.world.accepted(&leaver.purchase()).await;
    scene.world.everywhere("/premium/before", &leaver.token, 200).await;
    // Neither can reach Redis; then whoever took it in is gone for good.
    scene.lines().redis[..2].iter().for_each(crate::world::relay::Relay::cut);
    scene.world.accepted(&leaver.end()).await;
    scene.world.processes[0].process.kill();
    scene.lines().heal();
    scene.told().await;
    scene.pushed(1.0).await;
    scene.world.everywhere("/premium/after", &leaver.token, 402).await;
    scene.world.processes[0].restart();
    scene.world.processes[0].ready().await;
    scene.recovers().await;
}

#[tokio::test]
async fn without_any_what_is_known_is_served_and_webhooks_wait() {
    let mut scene = Scene::start().await;
    let (buyer, cached) = (Reader::new(), Reader::new());
    scene.world.accepted(&cached.purchase()).await;
    scene.told().await;
    for process in &mut scene.world.processes[..2] {
        process.process.kill();
    }
    scene.reads_on().await;
    // In the memory of no proxy, but in Redis.
    scene.world.everywhere("/premium/cached", &cached.token, 200).await;
    let refused = scene.world.deliver(&buyer.purchase()).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "billing_unreachable"), "{refused:?}");
    let proxy = scene.world.proxy();
    let (denied, _) = scene.ask(proxy, "premium", &token("a-stranger")).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
    let (_, received) = scene.ask(proxy, "lenient", &token("a-stranger")).await;
    assert_eq!(received.expect("this route lets pass").header("x-entitlement-degraded"), Some("fallback"));
    // A proxy that starts meanwhile says what it waits for.
    let late = scene.world.processes.last_mut().expect("a proxy");
    late.restart();
    eventually("readiness names billing and where it is looked for", async || {
        let ready = late.try_admin("/readyz").await?;
        (ready.status == 503
            && ready.body.contains("billing has not answered yet")
            && ready.body.contains("listen.billing"))
        .then_some(())
    })
    .await;
    for process in &mut scene.world.processes[..2] {
        process.restart();
    }
    for process in &mut scene.world.processes[..2] {
        process.ready().await;
    }
    let event = buyer.purchase();
    let taken = async || (scene.world.deliver(&event).await.status == 200).then_some(());
    eventually("the next attempt is taken", taken).await;
    scene.world.everywhere("/premium/bought", &buyer.token, 200).await;
    scene.recovers().await;
}

#[tokio::test]
async fn silent_billing_holds_nobody_up_who_is_known() {
    let scene = Scene::with(Scene::setup().key("cache.billing_deadline", "\"300ms\"")).await;
    scene.lines().billing.silence();
    scene.reads_on().await;
    let (denied, _) = scene.ask(scene.world.proxy(), "premium", &token("a-stranger")).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
    assert!(scene.count("tollgate_lookups_total", &["layer=\"billing\"", "outcome=\"error\""]).await > 0.0);
    scene.lines().billing.heal();
    scene.strangers_pay().await;
    scene.recovers().await;
}
