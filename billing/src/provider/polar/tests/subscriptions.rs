//! Subscriptions: the status decides, whatever the event is called.

use entitlement::catalog::Provider;
use entitlement::event::{Claim, Event, Fact, Object};
use entitlement::subscription::{Item, State, Subscription, SubscriptionId};
use serde_json::{Value, json};

use super::{at, facts, read, subscription, told, try_read, with};

fn seen(fields: &Value) -> Subscription {
    match facts("subscription.updated", &with(&subscription(), fields)).as_slice() {
        [Fact::Subscription(subscription)] => (**subscription).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscription_is_read_to_the_microsecond() {
    let event = read("subscription.active", &subscription());
    let expected = Subscription {
        id: SubscriptionId { provider: Provider::Polar, id: "s-1".into() },
        customer: "c-1".into(),
        prices: vec!["p-paid".into()],
        started_at: at(-100),
        state: State::Active { paid_until: Some(at(1000)) },
        collection_paused: false,
        resumes_at: None,
        cancel_at: None,
        items: vec![Item { id: None, price: "p-paid".into(), from: Some(at(-100)), until: Some(at(1000)) }],
        period_start: Some(at(-100)),
        first_due: None,
        as_of: at(-1),
        before: None,
    };
    assert_eq!(expected.as_of.timestamp_subsec_micros(), 123_456);
    assert_eq!(event.facts, [Fact::Subscription(Box::new(expected))]);
    assert_eq!(event.customer.as_deref(), Some("c-1"));
    assert_eq!(event.objects, [Object::Subscription("s-1".into())]);
    assert_eq!(event.at, Some(at(0)));
}

#[test]
fn finer_dates_than_can_be_kept_are_the_same_moment() {
    let fine = json!({ "modified_at": "2026-03-01T00:00:00.123456789Z" });
    let coarse = json!({ "modified_at": "2026-03-01T01:00:00.123456+01:00" });
    assert_eq!(seen(&fine), seen(&coarse));
}

#[test]
fn each_status_is_the_state_that_this_table_says() {
    let ended = |second| State::Ended { at: at(second) };
    let cases = [
        (json!({ "status": "incomplete", "started_at": null }), State::Incomplete),
        (json!({ "status": "incomplete_expired" }), ended(-1)),
        (json!({ "status": "trialing", "trial_end": told(50) }), State::Trialing { ends_at: at(50) }),
        (json!({ "status": "trialing" }), State::Trialing { ends_at: at(1000) }),
        (json!({ "status": "active" }), State::Active { paid_until: Some(at(1000)) }),
        (json!({ "status": "active", "current_period_end": null }), State::Active { paid_until: None }),
        (json!({ "status": "past_due", "past_due_at": told(-60) }), State::PastDue { since: at(-60) }),
        (json!({ "status": "past_due" }), State::PastDue { since: at(-1) }),
        (json!({ "status": "past_due", "past_due_at": told(90) }), State::PastDue { since: at(2) }),
        (json!({ "status": "paused", "paused_at": told(-1) }), State::Paused),
        (json!({ "status": "unpaid" }), State::Unpaid),
        (json!({ "status": "unpaid", "ended_at": told(-7) }), ended(-7)),
        (json!({ "status": "canceled", "ended_at": told(-5), "canceled_at": told(-99) }), ended(-5)),
        (json!({ "status": "canceled", "ends_at": told(-6), "canceled_at": told(-99) }), ended(-6)),
        (json!({ "status": "canceled", "canceled_at": told(-99) }), ended(-1)),
        (json!({ "status": "canceled", "ended_at": told(90_000) }), ended(2)),
    ];
    for (fields, expected) in cases {
        assert_eq!(seen(&fields).state, expected, "{fields}");
    }
    for unknown in ["hibernating", "ACTIVE", "active ", ""] {
        let event = read("subscription.updated", &with(&subscription(), &json!({ "status": unknown })));
        assert_eq!(event.nothing, crate::provider::UNKNOWN_STATUS, "{unknown:?}");
        assert_eq!(seen(&json!({ "status": unknown })).state, State::Unknown, "{unknown:?}: {event:?}");
    }
}

#[test]
fn the_status_decides_and_never_the_type() {
    let kinds = ["created", "updated", "active", "canceled", "uncanceled", "cycled", "past_due", "paused", "resumed"];
    for kind in kinds.map(|kind| format!("subscription.{kind}")) {
        for status in ["active", "incomplete", "unpaid", "canceled"] {
            let object = with(&subscription(), &json!({ "status": status, "ended_at": told(-3) }));
            let of_catch_all = facts("subscription.updated", &object);
            assert_eq!(facts(&kind, &object), of_catch_all, "{kind} with {status}");
        }
    }
}

#[test]
fn that_it_is_revoked_is_final_whatever_the_status_says() {
    for status in ["active", "past_due", "unpaid", "paused", "canceled", "of_tomorrow"] {
        let object = with(&subscription(), &json!({ "status": status, "ended_at": told(-3) }));
        match facts("subscription.revoked", &object).pop() {
            Some(Fact::Subscription(seen)) => assert_eq!(seen.state, State::Ended { at: at(-3) }, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn a_scheduled_end_is_read_from_either_field_and_withdrawn_by_both() {
    let cases = [
        (json!({}), None),
        (json!({ "cancel_at_period_end": true, "ends_at": told(1000) }), Some(at(1000))),
        (json!({ "cancel_at_period_end": true }), Some(at(1000))),
        (json!({ "cancel_at_period_end": true, "ends_at": told(500) }), Some(at(500))),
        (json!({ "cancel_at_period_end": false, "ends_at": told(500) }), Some(at(500))),
        (json!({ "cancel_at_period_end": true, "current_period_end": null }), None),
        (json!({ "status": "canceled", "cancel_at_period_end": true, "ends_at": told(500) }), None),
        (json!({ "canceled_at": told(-9) }), None),
    ];
    for (fields, expected) in cases {
        assert_eq!(seen(&fields).cancel_at, expected, "{fields}");
    }
}

#[test]
fn what_is_not_told_is_taken_from_what_is() {
    let unchanged = seen(&json!({ "modified_at": null, "started_at": null }));
    assert_eq!((unchanged.as_of, unchanged.started_at), (at(-101), at(-101)));
    let undated = seen(&json!({ "modified_at": null, "created_at": null, "started_at": null }));
    assert_eq!((undated.as_of, undated.started_at), (at(0), at(0)));
    assert_eq!(
        seen(&json!({ "started_at": told(90_000) })).started_at,
        at(2),
        "a clock ahead does not postpone access"
    );
    assert_eq!(seen(&json!({ "customer_id": null })).customer, "c-1", "the customer beside it");
    let alone = with(&subscription(), &json!({ "customer": null, "metadata": 7 }));
    let Event { claim, customer, .. } = read("subscription.updated", &alone);
    assert_eq!((claim, customer.as_deref()), (None, Some("c-1")));
}

#[test]
fn a_subscription_that_is_malformed_is_refused() {
    let cases = [
        json!({ "id": null }),
        json!({ "id": 7 }),
        json!({ "id": "s\u{0}1" }),
        json!({ "id": "x".repeat(256) }),
        json!({ "product_id": null }),
        json!({ "product_id": { "id": "p-paid" } }),
        json!({ "status": null }),
        json!({ "status": ["active"] }),
        json!({ "status": "trialing", "trial_end": null, "current_period_end": null }),
    ];
    for fields in cases {
        let object = with(&subscription(), &fields);
        assert!(try_read("subscription.active", &object).is_err(), "{fields}");
        let state = json!({ "id": "c-1", "active_subscriptions": [subscription(), object] });
        let in_state = try_read("customer.state_changed", &state);
        assert!(in_state.is_err(), "in its customer's state: {fields}");
    }
}

#[test]
fn a_subscription_whose_customer_is_missing_is_asked_for() {
    for customer in [json!(null), json!(7), json!(["c-1"]), json!("")] {
        let fields = json!({ "customer_id": customer, "customer": null, "metadata": { "account": "ann" } });
        for kind in ["subscription.active", "subscription.canceled", "subscription.revoked"] {
            let event = read(kind, &with(&subscription(), &fields));
            assert_eq!((event.customer, event.facts), (None, vec![]), "{kind}: {customer}");
            assert_eq!(event.objects, [Object::Subscription("s-1".into())], "{kind}: {customer}");
            assert!(matches!(event.claim, Some(Claim::Metadata(account)) if account.as_str() == "ann"), "{customer}");
        }
    }
    let odd = json!({ "customer_id": ["c-1"] });
    assert_eq!(seen(&odd).customer, "c-1", "the customer beside it");
}
