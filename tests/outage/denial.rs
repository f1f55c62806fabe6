//! Nobody who has paid is told to pay: a denial is read again from below, and whoever comes back from paying is let in at the
//! first request, however late the webhook is.

use demo::provider::Shape;
use serde_json::json;

use super::scene::{Reader, Scene};
use crate::world::relay::Relay;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, send, token};

#[tokio::test]
async fn whoever_has_just_paid_is_let_in_at_once_though_no_proxy_was_told() {
    let scene = Scene::start().await;
    for _ in 0..5 {
        let buyer = Reader::new();
        scene.world.everywhere("/premium/before", &buyer.token, 402).await;
        // Every proxy knows him as somebody who has not paid, and hears of nothing for the next second.
        scene.redis(Relay::silence_push);
        scene.world.applied(&buyer.purchase()).await;
        for proxy in scene.world.proxies() {
            let (answer, _) = scene.ask(proxy, "premium", &buyer.token).await;
            assert_eq!(answer.status, 200, "the first request after paying: {answer:?}");
        }
        scene.redis(Relay::heal);
        scene.pushed(1.0).await;
    }
}

#[tokio::test]
async fn a_denial_is_checked_with_billing_and_not_with_redis() {
    let scene = Scene::start().await;
    let buyer = Reader::new();
    scene.world.everywhere("/premium/before", &buyer.token, 402).await;
    scene.redis(Relay::silence);
    scene.world.applied(&buyer.purchase()).await;
    for proxy in scene.world.proxies() {
        let (answer, _) = scene.ask(proxy, "premium", &buyer.token).await;
        assert_eq!(answer.status, 200, "Redis cannot know: {answer:?}");
    }
    scene.redis(Relay::heal);
    scene.recovers().await;
}

#[tokio::test]
async fn back_from_checkout_the_first_request_is_let_in_though_no_webhook_has_come() {
    // A comparison, which begins with the process, would find out by itself what nobody has told.
    let setup = Setup::new(Arrangement::Separate).key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let world = World::with(setup.provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    let token = token(&unique("buyer"));
    world.everywhere("/premium/one", &token, 402).await;
    provider.hold();
    let order = json!({ "cadence": "annual", "next": "/premium/one" });
    let opened = world.post("/api/billing/checkout", &token, &order).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let opened = opened.json();
    let client = crate::world::http::client();
    let paid = send(client.post(opened["url"].as_str().expect("a URL")).form(&[("action", "pay")])).await;
    let back = paid.header("location").strip_prefix(&world.url).expect("back to the site").to_owned();
    let returned = world.browse(&back, Some(&token)).await;
    assert_eq!((returned.status, returned.header("location")), (303, "/premium/one"), "{returned:?}");
    for proxy in world.proxies() {
        let read = send(world.request_to(proxy, "GET", "/premium/one", Some(&token))).await;
        assert_eq!(read.status, 200, "{}: {read:?}", proxy.process.name);
    }
    assert!(!provider.waiting().is_empty(), "the webhooks are still to come");
}
