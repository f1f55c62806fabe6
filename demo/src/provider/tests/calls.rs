//! Keys, versions, idempotency, and the controls.

use serde_json::{Value, json};

use super::{KEY, call, client, json, settings, started};
use crate::provider::{Provider, Shape};

#[tokio::test]
async fn only_the_key_opens_the_api() {
    let provider = started().await;
    let url = format!("{}/v1/customers", provider.url());
    let http = client();
    for request in [http.get(&url).bearer_auth(KEY), http.get(&url).basic_auth(KEY, None::<&str>)] {
        assert_eq!(json(request).await.0, 200);
    }
    let strangers = [
        http.get(&url),
        http.get(&url).bearer_auth("sk_test_other"),
        http.get(&url).bearer_auth(""),
        http.get(&url).basic_auth("sk_test_other", Some(KEY)),
        http.get(&url).header("authorization", KEY),
    ];
    for request in strangers {
        let (status, body) = json(request).await;
        assert_eq!((status, &body["error"]["type"]), (401, &json!("invalid_request_error")));
        assert!(!body.to_string().contains("sk_test"), "a key is never repeated: {body}");
    }
}

#[tokio::test]
async fn a_repeated_call_with_one_key_has_one_effect() {
    let provider = started().await;
    let http = client();
    let url = format!("{}/v1/customers", provider.url());
    let post = |key: &str, name: &str| {
        let request = http.post(&url).header("idempotency-key", key).form(&[("name", name)]);
        call(request)
    };
    let first = post("k", "Alice").send().await.expect("an answer");
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let first: Value = first.json().await.expect("JSON");
    let again = post("k", "Alice").send().await.expect("an answer");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<Value>().await.expect("JSON"), first);
    let (status, other) = json(post("k", "Bob")).await;
    assert_eq!((status, &other["error"]["type"]), (400, &json!("idempotency_error")));
    assert_eq!(json(post("l", "Alice")).await.0, 200);
    assert_eq!(provider.customers().len(), 2);
}

#[tokio::test]
async fn a_call_is_answered_in_the_version_that_it_names_and_events_in_the_accounts() {
    let provider = Provider::start(settings(Shape::Acacia)).await.expect("a provider");
    let customer = provider.create_customer(Default::default()).expect("a customer");
    let new = crate::provider::Subscribe { customer, price: "price_monthly".into(), ..Default::default() };
    let url = format!("{}/v1/subscriptions/{}", provider.url(), provider.subscribe(new).expect("a subscription"));
    let http = client();
    let (_, own) = json(call(http.get(&url))).await;
    assert!(own["current_period_end"].is_i64() && own["items"]["data"][0]["current_period_end"].is_null());
    let (_, newest) = json(call(http.get(&url).header("stripe-version", "2026-09-30.endive"))).await;
    assert!(newest["current_period_end"].is_null() && newest["items"]["data"][0]["current_period_end"].is_i64());
    assert_eq!(json(call(http.get(&url).header("stripe-version", "newest"))).await.0, 400);
    assert!(provider.events().iter().all(|event| event["api_version"] == "2025-02-24.acacia"));
}

#[tokio::test]
async fn the_clock_moves_by_handle_and_over_http() {
    let provider = started().await;
    let start = provider.now();
    provider.advance(std::time::Duration::from_secs(86_400)).expect("a day later");
    let url = format!("{}/_control/advance", provider.url());
    let (status, body) = json(client().post(&url).json(&json!({ "days": 1, "hours": 2 }))).await;
    assert_eq!(status, 200, "{body}");
    let moved = provider.now() - start;
    assert!(moved >= chrono::Duration::hours(50) && moved < chrono::Duration::hours(51), "{moved}");
    assert_eq!(json(client().post(&url).json(&json!({ "days": 4000 }))).await.0, 400);
    assert!(provider.now() - start < chrono::Duration::hours(51), "a refused step does not move it");
}

#[tokio::test]
async fn scripts_can_do_what_the_handle_can() {
    let provider = started().await;
    let http = client();
    let control = |path: &str| format!("{}/_control/{path}", provider.url());
    let post = |path: &str, body: Value| json(http.post(control(path)).json(&body));
    let (_, customer) = post("customers", json!({ "metadata": { "account": "alice" } })).await;
    let (_, made) = post("subscribe", json!({ "customer": customer["id"], "price": "price_monthly" })).await;
    for (path, body) in [
        ("card", json!({ "customer": customer["id"], "card": "declined" })),
        ("cancel", json!({ "subscription": made["id"], "at": "period_end" })),
        ("reactivate", json!({ "subscription": made["id"] })),
        ("cancel", json!({ "subscription": made["id"], "at": "now" })),
        ("hold", json!({})),
        ("release", json!({})),
        ("settled", json!({})),
    ] {
        assert_eq!(post(path, body).await, (200, json!({ "status": "ok" })), "{path}");
    }
    assert_eq!(post("cancel", json!({ "subscription": made["id"], "at": "now" })).await.0, 400);
    assert_eq!(post("card", json!({ "customer": "cus_none", "card": "good" })).await.0, 400);
    assert_eq!(post("deliver", json!({ "event": "evt_none" })).await.0, 404);

    let (_, summary) = json(http.get(control("state"))).await;
    assert_eq!((&summary["customers"], &summary["subscriptions"]), (&json!(1), &json!(1)));
    let (_, rows) = json(http.get(control("subscriptions"))).await;
    assert_eq!(rows[0]["status"], "canceled");
    let (_, events) = json(http.get(control("events"))).await;
    assert_eq!(events.as_array().map(Vec::len), Some(provider.events().len()));
    assert_eq!(http.get(control("unknown")).send().await.expect("an answer").status(), 404);
}
