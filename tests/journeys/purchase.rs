//! Buying for real, through the provider's checkout, and changing one's mind afterwards.

use demo::provider::Shape;
use serde_json::json;

use crate::world::stripe::unique;
use crate::world::{Answer, Arrangement, Setup, World, eventually, send, token};

super::in_every_arrangement!(who_paid_reads_the_page_at_the_first_try);

async fn who_paid_reads_the_page_at_the_first_try(arrangement: Arrangement) {
    let world = World::with(Setup::new(arrangement).provider(Shape::Endive)).await;
    let token = token(&unique("buyer"));
    world.everywhere("/premium/one", &token, 402).await;
    let back = pay(&world, &token, &json!({ "cadence": "monthly", "next": "/premium/one" })).await;
    reads_at_once(&world, &token, &back).await;
}

#[tokio::test]
async fn a_buyer_who_is_faster_than_the_webhook_is_not_turned_away() {
    // A comparison, which begins with the process, would find out by itself what nobody has told.
    let setup = Setup::new(Arrangement::Separate).key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let world = World::with(setup.provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    let token = token(&unique("buyer"));
    provider.hold();
    let back = pay(&world, &token, &json!({ "cadence": "monthly", "next": "/premium/one" })).await;
    assert!(!provider.waiting().is_empty(), "the provider has something to tell");
    assert_eq!(world.get("/premium/one", Some(&token)).await.status, 402, "and has not told it");
    // What was bought is asked for when the buyer comes back: nobody waits for the webhook.
    reads_at_once(&world, &token, &back).await;
    assert!(!provider.waiting().is_empty(), "it still has not");
    provider.release();
}

#[tokio::test]
async fn every_shape_of_the_provider_is_understood() {
    for shape in [Shape::Acacia, Shape::Basil, Shape::Endive] {
        let world = World::with(Setup::new(Arrangement::AllPostgresRedis).provider(shape)).await;
        for (order, status) in [
            (json!({ "cadence": "monthly" }), "active"),
            (json!({ "cadence": "annual" }), "trialing"),
            (json!({ "tier": "business", "cadence": "monthly" }), "active"),
        ] {
            let token = token(&unique("buyer"));
            pay(&world, &token, &order).await;
            world.everywhere("/premium/one", &token, 200).await;
            let standing = world.get("/api/billing/subscription", Some(&token)).await.json();
            assert_eq!(standing["status"], status, "{shape:?} {order}: {standing}");
        }
    }
}

#[tokio::test]
async fn a_cancellation_is_scheduled_and_can_be_taken_back() {
    for shape in [Shape::Acacia, Shape::Endive] {
        let world = World::with(Setup::new(Arrangement::AllPostgresRedis).provider(shape)).await;
        let token = token(&unique("buyer"));
        for path in ["/api/billing/cancel", "/api/billing/reactivate"] {
            let nothing = world.post(path, &token, &json!({})).await;
            assert_eq!(nothing.status, 400, "{path}: {nothing:?}");
            assert!(!nothing.code().is_empty());
        }
        let portal = world.post("/api/billing/portal", &token, &json!({})).await;
        assert_eq!((portal.status, portal.code().as_str()), (404, "no_customer"));

        pay(&world, &token, &json!({ "cadence": "monthly" })).await;
        status_becomes(&world, &token, "active").await;
        let again = world.post("/api/billing/checkout", &token, &json!({ "cadence": "annual" })).await;
        assert_eq!(again.status, 409, "one cannot pay twice: {again:?}");
        let portal = world.post("/api/billing/portal", &token, &json!({})).await;
        assert!(portal.json()["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{portal:?}");

        let canceled = world.post("/api/billing/cancel", &token, &json!({})).await;
        assert_eq!(canceled.status, 200, "{canceled:?}");
        status_becomes(&world, &token, "canceling").await;
        assert_eq!(world.get("/premium/one", Some(&token)).await.status, 200, "it is paid for");
        let kept = world.post("/api/billing/reactivate", &token, &json!({})).await;
        assert_eq!(kept.status, 200, "{kept:?}");
        status_becomes(&world, &token, "active").await;
    }
}

#[tokio::test]
async fn an_end_in_the_providers_own_portal_closes_the_gate() {
    let world = World::with(Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Endive)).await;
    let provider = world.provider.as_ref().expect("this world has one");
    let token = token(&unique("buyer"));
    pay(&world, &token, &json!({ "cadence": "monthly" })).await;
    world.everywhere("/premium/one", &token, 200).await;
    let subscriptions = provider.subscriptions();
    let id = subscriptions[0]["id"].as_str().expect("it has an id");
    provider.cancel(id, demo::provider::CancelAt::PeriodEnd).expect("it is canceled");
    status_becomes(&world, &token, "canceling").await;
    provider.cancel(id, demo::provider::CancelAt::Now).expect("it is ended");
    world.everywhere("/premium/one", &token, 402).await;
}

#[tokio::test]
async fn an_order_that_names_nothing_is_refused_and_without_a_key_nothing_is_sold() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).provider(Shape::Endive)).await;
    let token = token(&unique("buyer"));
    for (order, status) in [
        (json!({}), 400),
        (json!({ "cadence": "weekly" }), 400),
        (json!({ "tier": "business", "cadence": "annual" }), 400),
        (json!({ "tier": "platinum", "cadence": "monthly" }), 404),
        (json!([]), 400),
    ] {
        let answer = world.post("/api/billing/checkout", &token, &order).await;
        assert_eq!(answer.status, status, "{order}: {answer:?}");
        assert!(!answer.code().is_empty());
    }
    let stranger =
        send(world.request("POST", "/api/billing/checkout", None).json(&json!({ "cadence": "monthly" }))).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
    let form = send(world.request("POST", "/api/billing/checkout", Some(&token)).form(&[("cadence", "monthly")])).await;
    assert_eq!(form.status, 415, "a foreign page could send that: {form:?}");

    let world = World::start(Arrangement::AllPostgres).await;
    let answer = world.post("/api/billing/checkout", &token, &json!({ "cadence": "monthly" })).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

/// Opens a checkout and pays on the provider's page; where it sends the buyer.
async fn pay(world: &World, token: &str, order: &serde_json::Value) -> String {
    let opened = world.post("/api/billing/checkout", token, order).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let opened = opened.json();
    let url = opened["url"].as_str().expect("a URL");
    let client = crate::world::http::client();
    let page = send(client.get(url)).await;
    assert!(page.status == 200 && page.body.contains("£"), "the checkout shows a price: {page:?}");
    let paid = send(client.post(url).form(&[("action", "pay")])).await;
    assert_eq!(paid.status, 303, "{paid:?}");
    let back = paid.header("location");
    back.strip_prefix(&world.url).unwrap_or_else(|| panic!("back to the site: {back}")).to_owned()
}

/// Comes back from the provider and goes where the answer leads: open on every proxy, without a second try.
async fn reads_at_once(world: &World, token: &str, back: &str) {
    let returned: Answer = world.browse(back, Some(token)).await;
    assert_eq!((returned.status, returned.header("location")), (303, "/premium/one"), "{returned:?}");
    for proxy in world.proxies() {
        let read = send(world.request_to(proxy, "GET", "/premium/one", Some(token))).await;
        assert_eq!(read.status, 200, "{}: {read:?}", proxy.process.name);
    }
}

async fn status_becomes(world: &World, token: &str, status: &str) {
    eventually(&format!("the status becomes {status}"), async || {
        let standing = world.get("/api/billing/subscription", Some(token)).await.json();
        (standing["status"] == status).then_some(())
    })
    .await;
}
