//! The webhook route, from outside.

use axum::body::Body;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::{WEBHOOK_SECRET, World, active, checkout, event, settings};
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
async fn a_delivery_is_ok_ignored_accepted_or_a_duplicate(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let billing = &world.billing;
    let bought = checkout("evt_1", "cus_1", "sub_1", &world.account, world.now);
    let subscribed = event(
        "evt_2",
        "customer.subscription.created",
        world.now,
        &active("cus_1", "sub_1", "price_monthly", world.now),
    );
    assert_eq!(deliver(billing, &subscribed).await, status("accepted"), "parked, but durable");
    assert_eq!(deliver(billing, &subscribed).await, status("accepted"), "not done, so no duplicate");
    assert_eq!(deliver(billing, &bought).await, status("ok"));
    billing.apply_due(crate::clock::now()).await.expect("the worker");
    assert_eq!(deliver(billing, &subscribed).await, status("duplicate"));
    assert_eq!(world.cached().await.expect("published").version, world.version().await);
    let canceled = event(
        "evt_3",
        "customer.subscription.deleted",
        world.at(1),
        &active("cus_1", "sub_1", "price_monthly", world.now),
    );
    assert_eq!(deliver(billing, &canceled).await, status("ok"));
    assert_eq!(super::shown(&world.cached().await.expect("published"), world.at(10)), "free none");
    let upcoming = event("evt_4", "invoice.upcoming", world.now, &json!({}));
    assert_eq!(deliver(billing, &upcoming).await, status("ignored"));
    assert_eq!(deliver(billing, &upcoming).await, status("duplicate"));
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

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_a_signed_event_is_refused_and_not_kept(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let good = serde_json::to_vec(&event("evt_1", "invoice.paid", world.now, &json!({}))).expect("it encodes");
    let large = vec![b' '; 1024 * 1024 + 1];
    let full = [good.clone(), vec![b' '; 1024 * 1024 - good.len()]].concat();
    let cases = [
        ("no header", None, good.clone(), 400, "missing_signature"),
        ("a bad signature", Some(signed(b"other")), good.clone(), 401, "invalid_signature"),
        ("an old signature", Some(signed(&good).replace("t=1", "t=0")), good.clone(), 401, "invalid_signature"),
        ("not a signature", Some("hello".into()), good.clone(), 401, "invalid_signature"),
        ("too large", Some(signed(&large)), large, 413, "too_large"),
        ("not JSON", Some(signed(b"hello")), b"hello".to_vec(), 400, "not_an_event"),
        ("not UTF-8", Some(signed(b"\xff")), b"\xff".to_vec(), 400, "not_an_event"),
        ("no id", Some(signed(b"{}")), b"{}".to_vec(), 400, "not_an_event"),
        ("nested beyond reason", Some(signed(&[b'['; 9999])), vec![b'['; 9999], 400, "not_an_event"),
    ];
    for (what, signature, body, status, code) in cases {
        let (seen, problem) = send(&world.billing, signature, body).await;
        assert_eq!((seen.as_u16(), problem["code"].as_str()), (status, Some(code)), "{what}: {problem}");
    }
    let kept = world.billing.events(&crate::Filter::default(), 10).await.expect("the inbox");
    assert!(kept.is_empty());
    assert_eq!(send(&world.billing, Some(signed(&full)), full).await, status("ignored"), "1 MiB is not too large");
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_secret_or_a_database_a_delivery_is_to_come_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let event = event("evt_1", "invoice.paid", world.now, &json!({}));
    world.pool.close().await;
    let (status, problem) = deliver(&world.billing, &event).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("database_unavailable")));
    let mut unset = settings();
    unset.stripe.webhook_secrets.clear();
    world.billing = super::billing_on(&world.pool, unset, None);
    let (status, problem) = deliver(&world.billing, &event).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("not_configured")));
    let request = Request::post("/api/polar/webhook").body(Body::empty()).expect("a request");
    let response = world.billing.router().oneshot(request).await.expect("an answer");
    assert_eq!(response.status().as_u16(), 503);
}
