//! Checkouts and portal sessions, as a seller asks for them.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{ANNUAL, MONTHLY, PATIENCE, TOKEN, days, started, subscribed};
use crate::polar::Polar;

async fn ask(polar: &Polar, path: &str, body: Option<&Value>) -> (u16, Value) {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    call(polar, method, path, body).await
}

async fn call(polar: &Polar, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let request = client.request(method, format!("{}/v1/{path}", polar.url()));
    let request = if let Some(body) = body { request.json(body) } else { request };
    let response = request.bearer_auth(TOKEN).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

fn new(more: &Value) -> Value {
    let mut new = json!({
        "products": [MONTHLY], "external_customer_id": "alice", "metadata": { "account": "alice" },
        "success_url": "https://read.example/back?session_id={CHECKOUT_ID}",
    });
    new.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    new
}

#[tokio::test]
async fn a_checkout_is_opened_read_and_completed() {
    let polar = started().await;
    let (status, opened) = ask(&polar, "checkouts/", Some(&new(&json!({})))).await;
    assert_eq!((status, &opened["status"], &opened["customer_id"]), (201, &json!("open"), &Value::Null));
    let id = opened["id"].as_str().expect("an id");
    assert_eq!(opened["success_url"], format!("https://read.example/back?session_id={id}"));
    assert_eq!(ask(&polar, &format!("checkouts/{id}"), None).await, (200, opened.clone()));
    let subscription = polar.complete_checkout(id).expect("paid");
    let shown = &polar.subscriptions()[0];
    assert_eq!((&shown["id"], &shown["metadata"]["account"]), (&json!(subscription), &json!("alice")));
    assert_eq!(polar.customers()[0]["external_id"], "alice");
    let (_, seen) = ask(&polar, &format!("checkouts/{id}"), None).await;
    assert_eq!((&seen["status"], &seen["customer_id"]), (&json!("succeeded"), &polar.customers()[0]["id"]));
    assert!(polar.complete_checkout(id).is_err(), "once");
    let (_, again) = ask(&polar, "checkouts/", Some(&new(&json!({ "products": [ANNUAL] })))).await;
    assert!(polar.complete_checkout(again["id"].as_str().expect("an id")).is_err(), "nobody subscribes twice");
    polar.advance(days(2)).expect("later");
    assert_eq!(
        ask(&polar, &format!("checkouts/{}", again["id"].as_str().expect("an id")), None).await.1["status"],
        "expired"
    );
}

#[tokio::test]
async fn a_trial_is_given_only_where_it_is_allowed() {
    for (more, status) in [
        (json!({ "allow_trial": true, "trial_interval": "day", "trial_interval_count": 14 }), "trialing"),
        (json!({ "allow_trial": false, "trial_interval": "day", "trial_interval_count": 14 }), "active"),
        (json!({}), "active"),
    ] {
        let polar = started().await;
        let (_, opened) = ask(&polar, "checkouts/", Some(&new(&more))).await;
        polar.complete_checkout(opened["id"].as_str().expect("an id")).expect("paid");
        assert_eq!(polar.subscriptions()[0]["status"], status, "{more}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let polar = started().await;
    for more in [
        json!({ "products": [] }),
        json!({ "products": ["0a000000-0000-4000-8000-00000000dead"] }),
        json!({ "succes_url": "https://read.example/" }),
        json!({ "success_url": "/back" }),
        json!({ "trial_interval": "day" }),
        json!({ "trial_interval": "day", "trial_interval_count": 0 }),
    ] {
        let (status, refused) = ask(&polar, "checkouts/", Some(&new(&more))).await;
        assert_eq!((status, refused["detail"][0]["loc"][0].as_str()), (422, Some("body")), "{more}: {refused}");
    }
    assert_eq!(ask(&polar, "checkouts/6f1c2a34-8f5e-4a0b-9d1c-00000000dead", None).await.0, 404);
    assert!(polar.checkouts().is_empty());
}

#[tokio::test]
async fn a_portal_is_opened_for_a_customer_who_is_there() {
    let polar = started().await;
    let (customer, _) = subscribed(&polar, 0);
    for body in [json!({ "customer_id": customer }), json!({ "external_customer_id": "alice" })] {
        let (status, opened) = ask(&polar, "customer-sessions/", Some(&body)).await;
        assert_eq!((status, &opened["customer_id"]), (201, &json!(customer)));
        let token = opened["token"].as_str().expect("a token");
        assert_eq!(opened["customer_portal_url"], format!("{}/portal?customer_session_token={token}", polar.url()));
    }
    for body in [
        json!({}),
        json!({ "customer_id": "nobody" }),
        json!({ "customer_id": customer, "external_customer_id": "alice" }),
    ] {
        assert_eq!(ask(&polar, "customer-sessions/", Some(&body)).await.0, 422, "{body}");
    }
}

#[tokio::test]
async fn an_end_is_wished_for_and_taken_back() {
    let polar = started().await;
    let (_, id) = subscribed(&polar, 0);
    let path = format!("subscriptions/{id}");
    let patch = async |body: Value| call(&polar, Method::PATCH, &path, Some(&body)).await;
    let refusal = |(status, body): (u16, Value)| (status, body["error"].as_str().unwrap_or_default().to_owned());
    let (status, ending) = patch(json!({ "cancel_at_period_end": true })).await;
    assert_eq!((status, &ending["cancel_at_period_end"]), (200, &json!(true)));
    assert_eq!(ending["ends_at"], ending["current_period_end"]);
    let again = patch(json!({ "cancel_at_period_end": true })).await;
    assert_eq!(refusal(again), (403, "AlreadyCanceledSubscription".to_owned()));
    let (status, kept) = patch(json!({ "cancel_at_period_end": false })).await;
    assert_eq!((status, &kept["cancel_at_period_end"], &kept["ends_at"]), (200, &json!(false), &Value::Null));
    let again = patch(json!({ "cancel_at_period_end": false })).await;
    assert_eq!(refusal(again), (400, "BadRequest".to_owned()));
    for odd in [json!({}), json!({ "cancel_at_period_end": "yes" }), json!({ "cancel_at_period_end": true, "x": 1 })] {
        assert_eq!(patch(odd.clone()).await.0, 422, "{odd}");
    }
    polar.revoke(&id).expect("over");
    let over = patch(json!({ "cancel_at_period_end": false })).await;
    assert_eq!(refusal(over), (410, "ResourceUnavailable".to_owned()));
    let over = patch(json!({ "cancel_at_period_end": true })).await;
    assert_eq!(refusal(over), (403, "AlreadyCanceledSubscription".to_owned()));
    let wish = json!({ "cancel_at_period_end": true });
    let nobody = call(&polar, Method::PATCH, "subscriptions/6f1c2a34-8f5e-4a0b-9d1c-00000000dead", Some(&wish)).await;
    assert_eq!(refusal(nobody), (404, "ResourceNotFound".to_owned()));
    assert_eq!(call(&polar, Method::PATCH, "customers/x", Some(&wish)).await.0, 405);
}
