//! Whatever comes: no panic, and no access that was not told.

use entitlement::event::{Event, Fact};
use entitlement::subscription::State;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{kind_label, read_envelope};
use super::{at, body, customer, interpret, read, subscription, told, with};

const ACTED_ON: [&str; 19] = [
    "subscription.created",
    "subscription.updated",
    "subscription.active",
    "subscription.canceled",
    "subscription.uncanceled",
    "subscription.cycled",
    "subscription.revoked",
    "subscription.past_due",
    "subscription.paused",
    "subscription.resumed",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.state_changed",
    "order.created",
    "order.updated",
    "order.paid",
    "order.refunded",
    "refund.created",
];

#[test]
fn what_is_not_acted_on_is_nothing_whatever_its_form() {
    let kinds = ["checkout.updated", "benefit_grant.created", "product.updated", "subscription.of_tomorrow", ""];
    for kind in kinds {
        for object in [subscription(), json!({ "customer": { "id": "c-1" } }), json!({ "customer_id": "c-1" })] {
            let event = read(kind, &object);
            assert!(event.is_nothing() && event.customer.as_deref() == Some("c-1"), "{kind}: {event:?}");
        }
        for object in [json!([]), json!(7), json!({ "customer_id": 7 }), json!({ "customer_id": "a\u{0}b" })] {
            assert_eq!(read(kind, &object).customer, None);
        }
    }
    for empty in [
        json!({ "type": "order.paid", "timestamp": told(0) }),
        json!({ "type": "order.paid", "timestamp": told(0), "data": null }),
    ] {
        let body = serde_json::to_vec(&empty).expect("it encodes");
        assert!(interpret(&body, at(2), "account").expect("readable").is_nothing());
    }
}

#[test]
fn an_object_that_is_none_is_refused_for_every_type() {
    for kind in ACTED_ON {
        for object in [json!([]), json!(7), json!("s-1"), json!({}), json!([subscription()]), json!({ "data": {} })] {
            assert!(interpret(&body(kind, &object), at(2), "account").is_err(), "{kind}: {object}");
        }
        assert_eq!(kind_label(kind), kind);
    }
    let deep =
        [format!(r#"{{"type":"subscription.active","timestamp":{},"data":"#, told(0)).as_str(), &"[".repeat(9999)]
            .concat();
    for body in [deep.as_bytes(), b"{}", b"7", b"", b"\xff", br#"{"type":"order.paid","timestamp":7,"data":{}}"#] {
        assert!(interpret(body, at(2), "account").is_err(), "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
}

#[test]
fn a_part_that_is_not_read_harms_nothing_that_is() {
    let text = |object: &Value| String::from_utf8(body("subscription.revoked", object)).expect("text");
    let object = with(&subscription(), &json!({ "metadata": { "y": "HERE" } }));
    let expected = interpret(text(&object).as_bytes(), at(2), "account").expect("readable");
    for odd in [
        "1e400",
        &format!("{}{}", "[".repeat(200), "]".repeat(200)),
        &format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
    ] {
        let event = interpret(text(&object).replace("\"HERE\"", odd).as_bytes(), at(2), "account");
        assert_eq!(event.expect("readable"), expected, "{}", &odd[..5]);
    }
}

#[test]
fn a_moment_that_access_depends_on_and_cannot_be_read_is_asked_for_and_every_other_is_absent() {
    let asked = |object: &Value| {
        let event = read("subscription.updated", object);
        assert_eq!(event.customer.as_deref(), Some("c-1"), "{event:?}");
        event.facts.is_empty() && event.objects == [entitlement::event::Object::Subscription("s-1".into())]
    };
    for odd in [json!("9999-01-01T00:00:00Z"), json!("+262142-12-31T23:59:59Z"), json!({}), json!(1e300)] {
        assert!(asked(&with(&subscription(), &json!({ "current_period_end": odd }))), "{odd}");
    }
    for field in ["current_period_end", "ends_at", "modified_at"] {
        assert!(asked(&with(&subscription(), &json!({ field: "soon" }))), "{field}");
        let state =
            with(&customer(), &json!({ "active_subscriptions": [with(&subscription(), &json!({ field: "soon" }))] }));
        assert!(read("customer.state_changed", &state).facts.is_empty(), "{field}");
        let over = read("subscription.revoked", &with(&subscription(), &json!({ field: "soon" })));
        let is_over = |fact: &Fact| matches!(fact, Fact::Subscription(it) if matches!(it.state, State::Ended { .. }));
        assert!(over.facts.iter().any(is_over), "{field}: {over:?}");
    }
    for field in ["trial_end", "started_at", "created_at", "past_due_at", "ended_at"] {
        assert!(!asked(&with(&subscription(), &json!({ field: "soon" }))), "{field}");
    }
    let unzoned = with(&subscription(), &json!({ "current_period_end": "2026-01-02T03:04:05.678901" }));
    let zoned = with(&subscription(), &json!({ "current_period_end": "2026-01-02T03:04:05.678901Z" }));
    assert_eq!(read("subscription.updated", &unzoned), read("subscription.updated", &zoned));
}

/// Any JSON, and often something that looks right in the wrong place.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        (-200_000_000_i64..200_000_000).prop_map(told),
        Just(json!("9999-12-31T23:59:60.999999999+23:59")),
        Just(json!("-262143-01-01T00:00:00Z")),
        prop::sample::select(vec!["active", "trialing", "canceled", "refunded", "succeeded", "lost"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,10}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Everything that can stand in a body, in one object.
fn whole() -> Value {
    let money = json!({
        "order_id": "o-1", "subscription_id": "s-1", "subscription": subscription(), "billing_reason": "subscription_cycle",
        "amount": 700, "tax_amount": 140, "total_amount": 840, "applied_balance_amount": 0, "refunded_amount": 0, "refunded_tax_amount": 0,
        "next_payment_attempt_at": null, "dispute": { "id": "d-1", "status": "prevented", "created_at": told(-9) },
        "active_subscriptions": [subscription()],
    });
    with(&with(&customer(), &subscription()), &money)
}

/// The value at the end of a path of choices.
fn place<'a>(value: &'a mut Value, path: &[usize]) -> &'a mut Value {
    let Some((first, rest)) = path.split_first() else { return value };
    let count = match value {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    };
    if count == 0 {
        return value;
    }
    match value {
        Value::Object(map) => place(map.values_mut().nth(first % count).expect("counted"), rest),
        Value::Array(list) => place(&mut list[first % count], rest),
        _ => unreachable!("counted"),
    }
}

/// Whether some part of a body says that a subscription runs.
fn says_it_runs(body: &Value) -> bool {
    match body {
        Value::String(text) => ["active", "trialing", "past_due"].contains(&text.as_str()),
        Value::Array(list) => list.iter().any(says_it_runs),
        Value::Object(map) => map.values().any(says_it_runs),
        _ => false,
    }
}

fn grants(event: &Event) -> bool {
    let runs = |state| matches!(state, State::Active { .. } | State::Trialing { .. } | State::PastDue { .. });
    event.facts.iter().any(|fact| match fact {
        Fact::Subscription(subscription) => runs(subscription.state),
        Fact::Running { subscriptions, .. } => subscriptions.iter().any(|subscription| runs(subscription.state)),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_mutated_event_never_panics_and_never_grants_what_it_does_not_say(
        kind in prop::sample::select(ACTED_ON.to_vec()),
        status in prop::sample::select(vec!["active", "incomplete", "canceled", "paused", "unpaid", "hibernating", "paid"]),
        changes in prop::collection::vec((prop::collection::vec(any::<usize>(), 0..4), anything()), 0..4),
    ) {
        let mut object = with(&whole(), &json!({ "status": status }));
        object["active_subscriptions"][0]["status"] = json!(status);
        object["subscription"]["status"] = json!(status);
        for (path, value) in changes {
            *place(&mut object, &path) = value;
        }
        let body = body(kind, &object);
        if let Ok(event) = interpret(&body, at(2), "account") {
            prop_assert!(!grants(&event) || says_it_runs(&object), "{:?}", event);
            prop_assert!(event.facts.len() <= 3 && event.objects.len() <= 1);
        }
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0..2000_usize) {
        let _ = interpret(&bytes, at(2), "account");
        let _ = read_envelope(&http::HeaderMap::new(), &bytes);
        let whole = body("customer.state_changed", &whole());
        let cut = &whole[..cut.min(whole.len())];
        prop_assert_eq!(interpret(cut, at(2), "account").is_ok(), cut.len() == whole.len());
    }
}
