//! What a caller meets when the API is in trouble, and what the controls know of calls.

use serde_json::{Value, json};

use super::{call, client, json, started};
use crate::provider::{Fault, FaultKind, Subscribe};

#[tokio::test]
async fn calls_fail_as_they_are_told_to_and_are_counted() {
    let (provider, http) = (started().await, client());
    let url = |path: &str| format!("{}/v1/{path}", provider.url());
    let limited = FaultKind::TooManyRequests { retry_after_secs: 7 };
    provider.fail_calls(Fault { kind: limited, path: "/v1/customers".to_owned(), count: 2 }).expect("planned");
    provider.fail_calls(Fault::next(FaultKind::ServerError)).expect("planned");
    provider.fail_calls(Fault::next(FaultKind::BadGateway)).expect("planned");

    for _ in 0..2 {
        let response = call(http.get(url("customers/cus_1"))).send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"7".parse().expect("text"))
        );
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["error"]["type"], "rate_limit_error");
    }
    assert_eq!(json(call(http.get(url("events")))).await.0, 500);
    let response = call(http.get(url("events"))).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 502);
    assert!(response.text().await.expect("a page").starts_with("<h1>"));
    assert_eq!(json(call(http.get(url("events")))).await.0, 200, "then all is well again");
    assert_eq!(json(call(http.get(url("customers/cus_1")))).await.0, 404);
    let counted = [("GET /v1/customers/{id}".to_owned(), 3), ("GET /v1/events".to_owned(), 3)];
    assert_eq!(provider.calls(), counted.into());
    provider.forget_calls();
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_by_its_caller() {
    let (provider, http) = (started().await, client());
    provider.fail_calls(Fault::next(FaultKind::Hang)).expect("planned");
    let request = call(http.get(format!("{}/v1/events", provider.url())));
    let limit = std::time::Duration::from_millis(100);
    assert!(request.timeout(limit).send().await.expect_err("no answer").is_timeout());
    assert_eq!(json(call(http.get(format!("{}/v1/events", provider.url())))).await.0, 200);
}

#[tokio::test]
async fn a_held_answer_shows_what_was_true_when_it_was_asked() {
    let (provider, http) = (started().await, client());
    let customer = provider.create_customer(Default::default()).expect("a customer");
    let new = Subscribe { customer, price: "price_monthly".to_owned(), ..Subscribe::default() };
    let id = provider.subscribe(new).expect("a subscription");
    provider.fail_calls(Fault::next(FaultKind::Hold)).expect("planned");
    let url = format!("{}/v1/subscriptions/{id}", provider.url());
    let early = tokio::spawn(json(call(http.get(&url))));
    while provider.held_calls() == 0 {
        tokio::task::yield_now().await;
    }
    provider.cancel(&id, crate::provider::CancelAt::Now).expect("canceled");
    assert_eq!(json(call(http.get(&url))).await.1["status"], "canceled", "a later call overtakes it");
    provider.release_calls();
    let (status, body) = early.await.expect("it ends");
    assert_eq!((status, &body["status"]), (200, &json!("active")));
}

#[tokio::test]
async fn a_thin_event_is_read_where_its_kind_is() {
    let (provider, http) = (started().await, client());
    provider.set_event_form(crate::provider::EventForm::Thin);
    provider.create_customer(Default::default()).expect("a customer");
    let thin = provider.thin_events()[0].clone();
    let url = |id: &Value| format!("{}/v2/core/events/{}", provider.url(), id.as_str().expect("an id"));
    assert_eq!(json(call(http.get(url(&thin["id"])))).await, (200, thin.clone()));
    assert_eq!(json(http.get(url(&thin["id"]))).await.0, 401);
    assert_eq!(json(call(http.get(url(&thin["snapshot_event"])))).await.0, 404, "that one is of version 1");
}

#[tokio::test]
async fn scripts_lead_a_subscription_through_its_whole_life() {
    let (provider, http) = (started().await, client());
    let post = |path: &str, body: Value| json(http.post(format!("{}/_control/{path}", provider.url())).json(&body));
    let (_, seeded) =
        post("seed", json!({ "count": 2, "price": "price_monthly", "metadata": { "account": "u{n}" } })).await;
    assert_eq!((&seeded["subscriptions"], provider.events().len()), (&json!(2), 0));
    let id = seeded["first"].clone();
    let own = provider.subscription(id.as_str().expect("an id")).expect("a subscription");
    let (customer, invoice) = (own["customer"].clone(), own["latest_invoice"].clone());
    let later = provider.now() + chrono::Duration::days(3);
    let (_, refund) = post("refund", json!({ "invoice": invoice, "amount": 100, "status": "pending" })).await;
    for (path, body) in [
        ("exhausted", json!({ "then": "unpaid" })),
        (
            "telling",
            json!({ "form": "both", "echo": "twice", "telling": "aloud", "account": "acct_1", "mode": "live", "shape": "basil" }),
        ),
        ("pause", json!({ "subscription": id, "behavior": "void", "resumes_at": later })),
        ("unpause", json!({ "subscription": id })),
        ("items", json!({ "subscription": id, "set": "price_monthly", "quantity": 3 })),
        ("cancel", json!({ "subscription": id, "at": "flag" })),
        ("cancel", json!({ "subscription": id, "at": "moment", "moment": later })),
        ("reactivate", json!({ "subscription": id })),
        ("set_refund", json!({ "refund": refund["id"], "status": "failed" })),
        ("faults", json!({ "kind": "too_many_requests", "retry_after_secs": 1, "path": "/v1/refunds" })),
        ("faults", json!({ "kind": "hold", "count": 2 })),
        ("faults/release", json!({})),
        ("faults/clear", json!({})),
        ("delete_customer", json!({ "customer": customer })),
    ] {
        assert_eq!(post(path, body).await, (200, json!({ "status": "ok" })), "{path}");
    }
    for (path, body) in [
        ("bill", json!({ "customer": provider.customers()[1]["id"], "amount": 300 })),
        ("dispute", json!({ "invoice": invoice, "status": "warning_needs_response" })),
        (
            "subscribe",
            json!({ "customer": provider.customers()[1]["id"], "price": "price_annual", "trial_days": 3,
            "trial_end": "pause", "quantity": 2 }),
        ),
    ] {
        let (status, made) = post(path, body).await;
        assert!(status == 200 && made["id"].is_string(), "{path} {made}");
    }
    assert_eq!(post("resume", json!({ "subscription": id })).await.0, 400, "it is over");
    assert_eq!(post("collect", json!({ "invoice": invoice })).await.0, 400, "it is paid");
    let last = provider.events().pop().expect("an event");
    assert_eq!((&last["livemode"], &last["api_version"]), (&json!(true), &json!("2025-08-27.basil")));
    assert_eq!(provider.refunds()[0]["status"], "failed");
    assert_eq!(provider.disputes()[0]["status"], "warning_needs_response");
    for kind in ["customers", "charges", "refunds", "disputes", "thin_events", "calls"] {
        let (status, rows) = json(http.get(format!("{}/_control/{kind}", provider.url()))).await;
        assert!(status == 200 && !rows.is_null(), "{kind}");
    }
}
