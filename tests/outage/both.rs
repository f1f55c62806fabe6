//! Redis and Postgres, or Redis and billing, gone at once: what is in memory serves, marked, for as long as it may.

use super::Scene;
use super::scene::Reader;
use crate::world::relay::Relay;
use crate::world::{eventually, token};

/// The reader is served from memory, and the site is told that it may be old.
async fn is_served_marked(scene: &Scene) {
    for proxy in scene.world.proxies() {
        eventually("what is served is marked as stale", async || {
            let (answer, received) = scene.ask(proxy, "premium", &scene.reader.token).await;
            let received = received.unwrap_or_else(|| panic!("who has paid is let in: {answer:?}"));
            assert_eq!(received.header("x-entitlement-tier"), Some("paid"));
            (received.header("x-entitlement-degraded") == Some("stale")).then_some(())
        })
        .await;
    }
    assert!(scene.count("tollgate_degraded_total", &["reason=\"stale\""]).await > 0.0);
    let (denied, _) = scene.ask(scene.world.proxy(), "premium", &token("a-stranger")).await;
    assert_eq!((denied.status, denied.code().as_str()), (503, "entitlement_unknown"), "{denied:?}");
}

#[tokio::test]
async fn redis_and_postgres_silent() {
    let scene = Scene::with(Scene::setup().key("cache.billing_deadline", "\"300ms\"")).await;
    scene.redis(Relay::silence);
    scene.postgres(Relay::silence);
    is_served_marked(&scene).await;
    scene.lines().heal();
    scene.recovers().await;
}

#[tokio::test]
async fn redis_and_postgres_refused() {
    let scene = Scene::start().await;
    scene.redis(Relay::refuse);
    scene.postgres(Relay::refuse);
    is_served_marked(&scene).await;
    let buyer = Reader::new();
    let refused = scene.world.deliver(&buyer.purchase()).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "database_unavailable"), "{refused:?}");
    scene.lines().heal();
    scene.recovers().await;
}

#[tokio::test]
async fn redis_and_billing_gone() {
    let mut scene = Scene::start().await;
    scene.world.redis.as_mut().expect("this arrangement has one").kill();
    for process in &mut scene.world.processes[..2] {
        process.process.kill();
    }
    is_served_marked(&scene).await;
    scene.world.redis.as_mut().expect("this arrangement has one").restart();
    for process in &mut scene.world.processes[..2] {
        process.restart();
    }
    for process in &mut scene.world.processes[..2] {
        process.ready().await;
    }
    scene.recovers().await;
}
