//! The webhook route, from outside: what does not depend on the provider that delivers. See `contract` for the rest.

use axum::body::Body;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::{WEBHOOK_SECRET, World, active, checkout, event};
use crate::component::Billing;

/// A signature made now.
fn signed(body: &[u8]) -> String {
    let second = crate::clock::now().timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).expect("any length will do");
    mac.update(format!("{second}.").as_bytes());
    mac.update(body);
    format!("t={second},v1={}", hex::encode(mac.finalize().into_bytes()))
}

async fn send(billing: &Billing, signature: Option<String>, body: Vec<u8>) -> (StatusCode, Value) {
    let mut request = Request::post("/api/stripe/webhook");
    if let Some(signature) = signature {
        request = request.header("Stripe-Signature", signature);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let response = billing.router().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn deliver(billing: &Billing, event: &Value) -> (StatusCode, Value) {
    let body = serde_json::to_vec(event).expect("it encodes");
    send(billing, Some(signed(&body)), body).await
}

fn status(word: &str) -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "status": word }))
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_answered_ok_is_published(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let billing = &world.billing;
    let subscription = active("cus_1", "sub_1", "price_monthly", world.now);
    let bought = checkout("evt_1", "cus_1", "sub_1", &world.account, world.now);
    assert_eq!(deliver(billing, &bought).await, status("ok"));
    let subscribed = event("evt_2", "customer.subscription.created", world.now, &subscription);
    assert_eq!(deliver(billing, &subscribed).await, status("ok"));
    assert_eq!(super::shown(&world.cached().await.expect("published"), world.at(10)), "paid active");
    let canceled = event("evt_3", "customer.subscription.deleted", world.at(1), &subscription);
    assert_eq!(deliver(billing, &canceled).await, status("ok"));
    assert_eq!(world.cached().await.expect("published").version, world.version().await);
    assert_eq!(super::shown(&world.cached().await.expect("published"), world.at(10)), "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dead_event_that_comes_again_is_tried_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let odd = event("evt_1", "customer.subscription.created", world.now, &json!({ "id": 7 }));
    assert_eq!(deliver(&world.billing, &odd).await, status("accepted"), "durable, though nobody can read it");
    assert_eq!(world.fate("evt_1").await.0, "dead");
    assert_eq!(deliver(&world.billing, &odd).await, status("accepted"));
    assert_eq!(world.fate("evt_1").await.0, "pending");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_busy_billing_acknowledges_at_once_and_applies_later(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let shared = world.billing.shared();
    let bought = |id: &str| checkout(id, "cus_1", "sub_1", &world.account, world.now);
    let all = shared.inline.clone().acquire_owned().await.expect("a slot");
    assert_eq!(deliver(&world.billing, &bought("evt_1")).await, status("accepted"), "others are being applied");
    drop(all);
    let crowd = shared.intake.acquire_many(8).await.expect("places");
    assert_eq!(deliver(&world.billing, &bought("evt_2")).await, status("accepted"), "others are coming in");
    drop(crowd);
    for id in ["evt_1", "evt_2"] {
        assert_eq!(world.fate(id).await.0, "pending");
    }
    world.billing.apply_due(crate::clock::now()).await.expect("the worker");
    for id in ["evt_1", "evt_2"] {
        assert_eq!(world.fate(id).await.0, "applied");
    }
    assert_eq!(deliver(&world.billing, &bought("evt_3")).await, status("ok"), "then there is time again");
}
