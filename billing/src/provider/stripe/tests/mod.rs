//! Stripe's shapes, old and new, and what they mean.

mod money;
mod unreadable;

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Event, Fact, Object};
use entitlement::subscription::{Item, State, Subscription};
use serde_json::{Value, json};

use super::{Reader, interpret};

const READER: Reader<'static> = Reader { metadata_key: "account", account: None };

const CREATED: i64 = 1_700_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(CREATED + second, 0).expect("in range")
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    let event = json!({ "id": "evt_1", "type": kind, "created": CREATED, "data": { "object": object } });
    serde_json::to_vec(&event).expect("it encodes")
}

/// Arrived two seconds after it was made.
fn read(kind: &str, object: &Value) -> Event {
    interpret(&event(kind, object), at(2), READER).expect("readable")
}

fn subscription_in(object: &Value) -> Subscription {
    only_subscription(read("customer.subscription.updated", object))
}

fn only_subscription(event: Event) -> Subscription {
    let Ok([Fact::Subscription(subscription)]) = <[Fact; 1]>::try_from(event.facts) else { panic!("one subscription") };
    *subscription
}

/// As Stripe wrote it until 2025: the period is the subscription's.
fn old() -> Value {
    json!({
        "id": "sub_1", "customer": "cus_1", "status": "active",
        "start_date": CREATED - 100, "created": CREATED - 100,
        "current_period_start": CREATED - 100, "current_period_end": CREATED + 1000,
        "cancel_at_period_end": false, "cancel_at": null, "trial_end": null, "pause_collection": null,
        "items": { "data": [{ "id": "si_1", "price": { "id": "price_monthly" } }] },
        "metadata": {},
    })
}

/// Since basil: the period is the items'.
fn basil() -> Value {
    let mut object = old();
    let period = (object["current_period_start"].take(), object["current_period_end"].take());
    object["items"]["data"][0]["current_period_start"] = period.0;
    object["items"]["data"][0]["current_period_end"] = period.1;
    object
}

/// Endive adds fields that nobody here needs, and expands some.
fn endive() -> Value {
    let mut object = basil();
    object["billing_mode"] = json!({ "type": "flexible" });
    object["billing_schedules"] = json!([]);
    object["customer"] = json!({ "id": "cus_1", "object": "customer" });
    object["trial_settings"] = json!(7);
    object
}

fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("an object") };
    object.as_object_mut().expect("an object").extend(fields);
    object
}

#[test]
fn every_shape_means_the_same() {
    let expected = subscription_in(&old());
    assert_eq!(expected.customer, "cus_1");
    assert_eq!(expected.prices, ["price_monthly"]);
    assert_eq!(expected.started_at, at(-100));
    assert_eq!(expected.state, State::Active { paid_until: Some(at(1000)) });
    assert_eq!((expected.period_start, expected.as_of), (Some(at(-100)), at(0)));
    assert_eq!(subscription_in(&basil()), expected);
    assert_eq!(subscription_in(&endive()), expected);
    let before_prices = subscription_in(&with(old(), json!({ "items": null, "plan": { "id": "price_monthly" } })));
    let unnamed = expected.items.iter().map(|item| Item { id: None, ..item.clone() }).collect();
    assert_eq!(before_prices, Subscription { items: unnamed, ..expected });
}

#[test]
fn each_status_is_the_state_that_this_table_says() {
    let cases = [
        (json!({ "status": "incomplete" }), State::Incomplete),
        (json!({ "status": "trialing", "trial_end": CREATED + 50 }), State::Trialing { ends_at: at(50) }),
        (json!({ "status": "trialing" }), State::Trialing { ends_at: at(1000) }),
        (json!({ "status": "active" }), State::Active { paid_until: Some(at(1000)) }),
        (json!({ "status": "active", "current_period_end": null }), State::Active { paid_until: None }),
        (json!({ "status": "past_due" }), State::PastDue { since: at(0) }),
        (json!({ "status": "unpaid" }), State::Unpaid),
        (json!({ "status": "paused" }), State::Paused),
        (
            json!({ "status": "canceled", "ended_at": CREATED - 5, "canceled_at": CREATED - 9 }),
            State::Ended { at: at(-5) },
        ),
        (json!({ "status": "canceled", "canceled_at": CREATED - 9 }), State::Ended { at: at(-9) }),
        (json!({ "status": "canceled" }), State::Ended { at: at(0) }),
        (json!({ "status": "canceled", "ended_at": CREATED + 90_000 }), State::Ended { at: at(2) }),
        (json!({ "status": "incomplete_expired" }), State::Ended { at: at(0) }),
    ];
    for (fields, expected) in cases {
        assert_eq!(subscription_in(&with(old(), fields.clone())).state, expected, "{fields}");
    }
    let new = read("customer.subscription.updated", &with(old(), json!({ "status": "hibernating" })));
    assert_eq!(new.nothing, crate::provider::UNKNOWN_STATUS);
    assert_eq!(only_subscription(new).state, State::Unknown);
}

#[test]
fn the_status_decides_and_not_the_type_except_for_a_deletion() {
    for kind in ["created", "updated", "paused", "resumed", "trial_will_end", "pending_update_applied"] {
        let event = read(&format!("customer.subscription.{kind}"), &with(old(), json!({ "status": "unpaid" })));
        assert_eq!(only_subscription(event).state, State::Unpaid, "{kind}");
    }
    let event = read("customer.subscription.deleted", &old());
    assert_eq!(only_subscription(event).state, State::Ended { at: at(0) });
}

#[test]
fn a_scheduled_end_is_read_from_either_field() {
    let cases = [
        (json!({}), None),
        (json!({ "cancel_at_period_end": true }), Some(at(1000))),
        (json!({ "cancel_at": CREATED + 500, "cancel_at_period_end": false }), Some(at(500))),
        (json!({ "cancel_at": CREATED + 500, "cancel_at_period_end": true }), Some(at(500))),
        (json!({ "status": "canceled", "cancel_at": CREATED + 500 }), None),
    ];
    for (fields, expected) in cases {
        assert_eq!(subscription_in(&with(old(), fields.clone())).cancel_at, expected, "{fields}");
        assert_eq!(subscription_in(&with(basil(), fields.clone())).cancel_at, expected, "{fields}");
    }
}

#[test]
fn a_clock_ahead_of_ours_does_not_postpone_access() {
    let ahead = json!({ "start_date": CREATED + 90_000, "status": "past_due" });
    assert_eq!(subscription_in(&with(old(), ahead)).started_at, at(2));
    let early = interpret(
        &event("customer.subscription.updated", &with(old(), json!({ "status": "past_due" }))),
        at(0) - Duration::seconds(30),
        READER,
    );
    assert_eq!(only_subscription(early.expect("readable")).state, State::PastDue { since: at(-30) });
}

#[test]
fn several_items_are_all_prices_and_the_latest_period() {
    let items = json!({ "data": [
        { "price": "price_b", "current_period_start": CREATED, "current_period_end": CREATED + 10 },
        { "price": { "id": "price_a" }, "current_period_start": CREATED + 5, "current_period_end": CREATED + 20 },
        { "plan": { "id": "price_a" } },
    ] });
    let subscription = subscription_in(&with(basil(), json!({ "items": items })));
    assert_eq!(subscription.prices, ["price_a", "price_b"]);
    assert_eq!(subscription.period_start, Some(at(5)));
    assert_eq!(subscription.state, State::Active { paid_until: Some(at(20)) });
}

#[test]
fn an_account_is_named_by_the_checkout_then_by_metadata_never_by_e_mail() {
    let account = |id: &str| AccountId::parse(id).expect("an id");
    let session = json!({
        "id": "cs_1", "customer": "cus_1", "subscription": "sub_1", "client_reference_id": "ann", "created": CREATED - 60,
        "customer_details": { "email": "eve@example.com" }, "metadata": { "account": "bob" },
    });
    let stated = Claim::Reference { account: account("ann"), stated_at: at(-60) };
    let reference = |event: &Event| (event.customer.clone(), event.claim.clone());
    let told = read("checkout.session.completed", &session);
    assert_eq!(reference(&told), (Some("cus_1".into()), Some(stated)));
    assert_eq!(told.facts, [Fact::Linked { subscription: Some("sub_1".into()) }]);
    assert_eq!(told.objects, [Object::Subscription("sub_1".into())]);
    let without = |field: &str| with(session.clone(), json!({ field: null }));
    let told = read("checkout.session.async_payment_succeeded", &without("client_reference_id"));
    assert_eq!(told.claim, Some(Claim::Metadata(account("bob"))));
    let undated = read("checkout.session.completed", &without("created"));
    assert_eq!(undated.claim, Some(Claim::Reference { account: account("ann"), stated_at: at(0) }));
    let unnamed = with(without("client_reference_id"), json!({ "metadata": null }));
    assert!(read("checkout.session.completed", &unnamed).facts.is_empty());
    assert!(read("checkout.session.completed", &without("customer")).is_nothing());
    let too_long = with(without("metadata"), json!({ "client_reference_id": "x".repeat(256) }));
    assert!(read("checkout.session.completed", &too_long).facts.is_empty());

    let named = with(old(), json!({ "metadata": { "account": "bob", "number": 7 } }));
    assert_eq!(read("customer.subscription.created", &named).claim, Some(Claim::Metadata(account("bob"))));
    let customer = json!({ "id": "cus_1", "email": "eve@example.com", "metadata": { "account": "bob" } });
    assert_eq!(read("customer.updated", &customer).claim, Some(Claim::Metadata(account("bob"))));
    let from_its_beginning = Claim::Reference { account: account("bob"), stated_at: at(-1) };
    assert_eq!(read("customer.created", &customer).claim, Some(from_its_beginning));
    let customer = json!({ "id": "cus_1", "email": "eve@example.com", "metadata": {} });
    assert!(read("customer.updated", &customer).is_nothing());
}

#[test]
fn what_is_not_acted_on_is_nothing_whatever_its_form() {
    let told = read("invoice.paid", &json!({ "customer": "cus_1", "lines": "unheard of" }));
    assert_eq!(told.customer.as_deref(), Some("cus_1"));
    assert!(told.is_nothing());
    let thin = br#"{"id":"evt_1","type":"v1.billing.meter","created":"2026-01-02T03:04:05Z","related_object":{}}"#;
    let told = interpret(thin, at(2), READER).expect("readable");
    assert!(told.is_nothing());
}

#[test]
fn paused_collection_is_seen_although_the_status_does_not_show_it() {
    for (fields, expected) in [
        (json!({}), false),
        (json!({ "pause_collection": { "behavior": "void" } }), true),
        (json!({ "pause_collection": {} }), true),
    ] {
        let seen = subscription_in(&with(old(), fields.clone()));
        assert_eq!(seen.collection_paused, expected, "{fields}");
        assert_eq!(seen.state, State::Active { paid_until: Some(at(1000)) });
    }
}

#[test]
fn what_a_change_made_different_tells_how_it_was_before() {
    let before = |object: &Value, previous: Value| {
        let event = json!({
            "id": "evt_1", "type": "customer.subscription.updated", "created": CREATED,
            "data": { "object": object, "previous_attributes": previous },
        });
        let body = serde_json::to_vec(&event).expect("it encodes");
        only_subscription(interpret(&body, at(2), READER).expect("readable")).before
    };
    let was = |fields| Some(Box::new(subscription_in(&with(old(), fields)).standing()));
    assert_eq!(before(&old(), json!({ "status": "incomplete" })), was(json!({ "status": "incomplete" })));
    let canceling = with(old(), json!({ "cancel_at_period_end": true }));
    assert_eq!(before(&canceling, json!({ "cancel_at_period_end": false })), was(json!({})));
    let paused = with(old(), json!({ "pause_collection": { "behavior": "void" } }));
    assert_eq!(before(&paused, json!({ "pause_collection": null })), was(json!({})));
    assert_eq!(before(&old(), json!({ "status": 7 })), None, "what cannot be read proves nothing");
    assert_eq!(before(&old(), json!(null)), None);
}

#[test]
fn an_event_of_another_account_is_nothing() {
    let of = |account: Option<&str>| {
        let event = json!({
            "id": "evt_1", "type": "customer.subscription.updated", "created": CREATED, "account": account,
            "data": { "object": old() },
        });
        serde_json::to_vec(&event).expect("it encodes")
    };
    let believed =
        |body: &[u8], account| !interpret(body, at(2), Reader { account, ..READER }).expect("readable").is_nothing();
    assert!(believed(&of(None), None) && believed(&of(None), Some("acct_1")));
    assert!(believed(&of(Some("acct_1")), Some("acct_1")));
    assert!(!believed(&of(Some("acct_2")), Some("acct_1")) && !believed(&of(Some("acct_1")), None));
}

#[test]
fn a_thin_event_names_what_to_ask_for() {
    let cases = [
        ("/v1/subscriptions/sub_1", Some(Object::Subscription("sub_1".into()))),
        ("/v1/checkout/sessions/cs_1?expand=x", Some(Object::Checkout("cs_1".into()))),
        ("/v1/disputes/du_1", Some(Object::Dispute("du_1".into()))),
        ("/v2/core/accounts/acct_1", None),
        ("/v1/products/prod_1", None),
        ("", None),
    ];
    for (url, expected) in cases {
        let event = json!({
            "id": "evt_1", "object": "v2.core.event", "type": "v1.customer.subscription.updated",
            "created": "2026-01-02T03:04:05.678Z", "related_object": { "id": "x", "type": "x", "url": url },
        });
        let told = interpret(&serde_json::to_vec(&event).expect("it encodes"), at(2), READER).expect("readable");
        assert_eq!(told.objects.first(), expected.as_ref(), "{url}");
        assert!(told.facts.is_empty());
    }
}

#[test]
fn what_is_acted_on_but_malformed_is_refused_and_never_panics() {
    let cases = [
        json!({ "id": null }),
        json!({ "status": null }),
        json!({ "id": "sub\u{0}1" }),
        json!({ "items": { "data": [{ "price": {} }] } }),
        json!({ "status": "trialing", "trial_end": null, "current_period_end": null }),
    ];
    for fields in cases {
        let body = event("customer.subscription.updated", &with(old(), fields.clone()));
        assert!(interpret(&body, at(2), READER).is_err(), "{fields}");
    }
    for body in [&b"{}"[..], b"7", b"", b"{\"type\":\"customer.created\",\"created\":1,\"data\":{\"object\":[]}}"] {
        assert!(interpret(body, at(2), READER).is_err());
    }
}
