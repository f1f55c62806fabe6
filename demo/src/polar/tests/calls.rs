//! The API that is read, and the controls.

use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};

use super::{ANNUAL, MONTHLY, PATIENCE, TOKEN, days, started, subscribed};
use crate::polar::{Fault, FaultKind, NewRefund, Polar, RefundReason, RefundStatus, Seed};

fn client() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE).build().expect("a client")
}

async fn get(polar: &Polar, path: &str) -> (u16, Value) {
    let request = client().get(format!("{}/v1/{path}", polar.url())).bearer_auth(TOKEN);
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

fn ids(list: &Value) -> Vec<String> {
    let rows = list["items"].as_array().expect("a list");
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn only_the_token_opens_the_api() {
    let polar = started().await;
    let url = format!("{}/v1/subscriptions/", polar.url());
    let http = client();
    for request in
        [http.get(&url), http.get(&url).bearer_auth("polar_oat_other"), http.get(&url).basic_auth(TOKEN, None::<&str>)]
    {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 401);
        let body: Value = response.json().await.expect("JSON");
        assert!(body["error"] == "invalid_token" && !body.to_string().contains("polar_oat"), "{body}");
    }
    assert_eq!(http.get(&url).bearer_auth(TOKEN).send().await.expect("an answer").status().as_u16(), 200);
    let bare = url.trim_end_matches('/');
    let redirected = http.get(bare).bearer_auth(TOKEN).send().await.expect("an answer");
    assert_eq!(
        (redirected.status().as_u16(), &redirected.headers()["location"]),
        (307, &"/v1/subscriptions/".parse().expect("text"))
    );
    assert_eq!(http.post(&url).bearer_auth(TOKEN).send().await.expect("an answer").status().as_u16(), 405);
}

#[tokio::test]
async fn every_object_is_read_by_its_id() {
    let polar = started().await;
    let (customer, id) = subscribed(&polar, 0);
    let order = polar.orders()[0]["id"].as_str().expect("an id").to_owned();
    let new = NewRefund {
        order: order.clone(),
        amount: None,
        status: RefundStatus::Succeeded,
        reason: RefundReason::default(),
    };
    let refund = polar.refund(&new).expect("a refund");
    assert_eq!(get(&polar, &format!("subscriptions/{id}")).await, (200, polar.subscriptions()[0].clone()));
    assert_eq!(get(&polar, &format!("orders/{order}")).await, (200, polar.orders()[0].clone()));
    assert_eq!(get(&polar, &format!("refunds/{refund}")).await, (200, polar.refunds()[0].clone()));
    for path in [format!("customers/{customer}"), "customers/external/alice".to_owned()] {
        assert_eq!(get(&polar, &path).await, (200, polar.customers()[0].clone()), "{path}");
        let (status, state) = get(&polar, &format!("{path}/state")).await;
        assert_eq!((status, &state["active_subscriptions"][0]["id"]), (200, &json!(id)), "{path}");
        assert!(state["active_subscriptions"][0].get("customer").is_none(), "a state has fewer fields");
    }
    let none = "6f1c2a34-8f5e-4a0b-9d1c-0000000000ff";
    for path in ["subscriptions/", "customers/", "customers/external/", "orders/", "refunds/", "elsewhere/"] {
        let (status, body) = get(&polar, &format!("{path}{none}")).await;
        assert_eq!((status, &body["error"]), (404, &json!("ResourceNotFound")), "{path}");
    }
    polar.delete_customer(&customer).expect("deleted");
    assert_eq!(get(&polar, "customers/external/alice").await.0, 404);
    assert!(get(&polar, &format!("subscriptions/{id}")).await.1["customer"]["deleted_at"].is_string());
}

#[tokio::test]
async fn lists_are_narrowed_sorted_and_paged() {
    let polar = started().await;
    let seed = Seed { count: 7, product: MONTHLY.to_owned(), external_id: "user-{n}".to_owned() };
    let made = polar.seed(&seed).expect("seeded");
    polar.revoke(&made[2]).expect("revoked");
    let (_, first) = get(&polar, "subscriptions/?sorting=started_at&limit=3").await;
    assert_eq!(
        (ids(&first).as_slice(), &first["pagination"]),
        (&made[..3], &json!({ "total_count": 7, "max_page": 3 }))
    );
    let (_, last) = get(&polar, "subscriptions/?sorting=started_at&limit=3&page=3").await;
    assert_eq!(ids(&last), made[6..]);
    let (_, newest) = get(&polar, "subscriptions/?limit=1").await;
    assert_eq!(ids(&newest), made[6..]);
    for (query, count) in [
        ("active=true", 6),
        ("active=false", 1),
        ("external_customer_id=user-3", 1),
        ("external_customer_id=nobody", 0),
        ("customer_id=nobody", 0),
        (&format!("product_id={ANNUAL}"), 0),
        ("page=9", 0),
    ] {
        assert_eq!(ids(&get(&polar, &format!("subscriptions/?{query}")).await.1).len(), count, "{query}");
    }
    for query in ["limit=101", "limit=0", "page=0", "active=maybe", "sorting=color"] {
        assert_eq!(get(&polar, &format!("subscriptions/?{query}")).await.0, 422, "{query}");
    }
    assert_eq!(get(&polar, "customers/?limit=100").await.1["pagination"]["total_count"], 7);
}

#[tokio::test]
async fn orders_are_listed_by_moment_and_refunds_by_order() {
    let polar = started().await;
    let (customer, id) = subscribed(&polar, 0);
    let cut = polar.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    polar.advance(days(31)).expect("later");
    polar.purchase(&customer, ANNUAL).expect("bought");
    let all = polar.orders();
    let (_, later) = get(&polar, &format!("orders/?sorting=created_at&created_after={cut}")).await;
    assert_eq!(ids(&later), [1, 2].map(|place| all[place]["id"].as_str().expect("an id").to_owned()));
    let (_, of_subscription) = get(&polar, &format!("orders/?subscription_id={id}&customer_id={customer}")).await;
    assert_eq!(of_subscription["pagination"]["total_count"], 2);
    assert_eq!(get(&polar, "orders/?created_after=yesterday").await.0, 422);
    let order = all[2]["id"].as_str().expect("an id").to_owned();
    let new = NewRefund {
        order: order.clone(),
        amount: Some(1),
        status: RefundStatus::Pending,
        reason: RefundReason::default(),
    };
    let refund = polar.refund(&new).expect("a refund");
    assert_eq!(ids(&get(&polar, &format!("refunds/?order_id={order}")).await.1), std::slice::from_ref(&refund));
    assert_eq!(ids(&get(&polar, "refunds/?sorting=-created_at").await.1), [refund]);
    assert!(ids(&get(&polar, "refunds/?order_id=other").await.1).is_empty());
}

#[tokio::test]
async fn calls_fail_as_they_are_told_to_and_are_counted() {
    let polar = started().await;
    let fault =
        Fault { kind: FaultKind::TooManyRequests { retry_after_secs: 2 }, path: "/v1/orders".to_owned(), count: 1 };
    polar.fail_calls(fault).expect("planned");
    assert_eq!(get(&polar, "subscriptions/").await.0, 200);
    assert_eq!(get(&polar, "orders/").await.0, 429);
    assert_eq!(get(&polar, "orders/").await.0, 200);
    let counted = [("GET /v1/orders".to_owned(), 2), ("GET /v1/subscriptions".to_owned(), 1)];
    assert_eq!(polar.calls(), counted.into());
}

#[tokio::test]
async fn scripts_can_do_what_the_handle_can() {
    let polar = started().await;
    let http = client();
    let post = async |path: &str, body: Value| {
        let response =
            http.post(format!("{}/_control/{path}", polar.url())).json(&body).send().await.expect("an answer");
        (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
    };
    let (_, customer) = post("customers", json!({ "external_id": "bob" })).await;
    let (_, made) = post("subscribe", json!({ "customer": customer["id"], "product": MONTHLY })).await;
    let (_, order) = post("purchase", json!({ "customer": customer["id"], "product": ANNUAL })).await;
    let (_, refund) = post("refund", json!({ "order": order["id"], "status": "pending" })).await;
    let (_, event) = post("emit", json!({ "type": "made.up", "data": {} })).await;
    assert_eq!(
        post("seed", json!({ "count": 2, "product": MONTHLY, "external_id": "u{n}" })).await.1["subscriptions"],
        2
    );
    let own = &made["id"];
    for act in [
        json!({ "do": "cancel", "subscription": own }),
        json!({ "do": "uncancel", "subscription": own }),
        json!({ "do": "pause", "subscription": own, "when": "now", "resumes": null }),
        json!({ "do": "resume", "subscription": own }),
        json!({ "do": "change_product", "subscription": own, "product": ANNUAL }),
        json!({ "do": "card", "customer": customer["id"], "card": "declined" }),
        json!({ "do": "set_refund", "refund": refund["id"], "status": "failed" }),
        json!({ "do": "exhausted", "then": "cancel" }),
        json!({ "do": "telling", "telling": "aloud" }),
        json!({ "do": "advance", "seconds": 60 }),
        json!({ "do": "revoke", "subscription": own }),
        json!({ "do": "delete_customer", "customer": customer["id"] }),
        json!({ "do": "hold" }),
        json!({ "do": "release" }),
        json!({ "do": "switch_on" }),
        json!({ "do": "fault", "fault": { "kind": "server_error" } }),
        json!({ "do": "heal_calls" }),
        json!({ "do": "release_calls" }),
        json!({ "do": "forget_calls" }),
        json!({ "do": "webhook", "url": null }),
    ] {
        assert_eq!(post("act", act.clone()).await, (200, json!({ "status": "ok" })), "{act}");
    }
    assert_eq!(post("settled", json!({})).await.0, 200);
    assert_eq!(post("act", json!({ "do": "discard", "event": event["id"] })).await.0, 404);
    assert_eq!(post("deliver", json!({ "event": event["id"] })).await.0, 422, "nowhere to send it");
    for kind in ["customers", "subscriptions", "orders", "refunds", "events", "deliveries", "waiting", "calls"] {
        let response = http.get(format!("{}/_control/{kind}", polar.url())).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200, "{kind}");
    }
}
