//! The provider's API gone while its webhooks come: access follows from what was told, selling waits, and nothing is lost.

use std::time::Duration;

use demo::provider::Shape;
use serde_json::json;

use super::Scene;
use super::scene::Reader;
use crate::world::relay::Relay;
use crate::world::stripe::unique;
use crate::world::{eventually, token};

/// Two proxies and two billing processes, with the provider's API behind lines.
async fn scene() -> Scene {
    let scene = Scene::with(Scene::setup().provider(Shape::Endive)).await;
    scene.world.has_a_subscriber_at_the_provider().await;
    scene
}

/// Access goes on and changes by what webhooks say; what needs the provider is refused, and works again when it is back.
async fn only_selling_waits(break_it: impl Fn(&Relay)) {
    let scene = scene().await;
    let api = scene.lines().provider.as_ref().expect("this world has a provider");
    break_it(api);
    scene.reads_on().await;
    scene.strangers_pay().await;
    let buyer = Reader::new();
    scene.world.accepted(&buyer.purchase()).await;
    scene.world.everywhere("/premium/bought", &buyer.token, 200).await;
    let customer = token(&unique("customer"));
    let refused = scene.world.post("/api/billing/checkout", &customer, &json!({ "cadence": "annual" })).await;
    assert!([502, 503].contains(&refused.status), "{refused:?}");
    assert!(!refused.code().is_empty(), "{refused:?}");
    api.heal();
    eventually("selling goes on", async || {
        let sold = scene.world.post("/api/billing/checkout", &customer, &json!({ "cadence": "annual" })).await;
        (sold.status == 200).then_some(())
    })
    .await;
    scene.reads_on().await;
}

#[tokio::test]
async fn refused() {
    only_selling_waits(Relay::refuse).await;
}

#[tokio::test]
async fn silent() {
    only_selling_waits(Relay::silence).await;
}

#[tokio::test]
async fn flapping() {
    only_selling_waits(|api| api.flap(1)).await;
}

#[tokio::test]
async fn slow_is_only_slow() {
    let scene = scene().await;
    let api = scene.lines().provider.as_ref().expect("this world has a provider");
    api.slow(Duration::from_millis(50));
    let customer = token(&unique("customer"));
    let sold = scene.world.post("/api/billing/checkout", &customer, &json!({ "cadence": "annual" })).await;
    assert_eq!(sold.status, 200, "{sold:?}");
    scene.reads_on().await;
}
