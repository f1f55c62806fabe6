//! Parts that cannot be read: what is not needed harms nothing, and what is needed is asked for.

use entitlement::event::{Event, Fact, Object};
use entitlement::subscription::State;
use serde_json::{Value, json};

use super::{READER, at, basil, event, interpret, old, read, subscription_in, with};

fn is_over(event: &Event) -> bool {
    event.facts.iter().any(|fact| matches!(fact, Fact::Subscription(it) if matches!(it.state, State::Ended { .. })))
}

/// Whether the event says nothing by itself, and its subscription is to be asked for.
fn is_asked(event: &Event) -> bool {
    event.facts.is_empty() && event.objects == [Object::Subscription("sub_1".into())]
}

#[test]
fn a_part_that_is_not_read_harms_nothing_that_is() {
    let text = String::from_utf8(event("customer.subscription.deleted", &with(old(), json!({ "foo": "HERE" }))));
    let text = text.expect("text");
    let expected = interpret(text.as_bytes(), at(2), READER).expect("readable");
    assert!(is_over(&expected));
    let deep = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for odd in ["1e400".into(), "-9e999".into(), deep(200), deep(5000), format!("{{\"a\":{}}}", deep(300))] {
        let text = text.replace("\"HERE\"", &odd);
        assert_eq!(interpret(text.as_bytes(), at(2), READER).expect("readable"), expected, "{}", &odd[..5]);
        assert!(super::super::read_envelope(text.as_bytes()).is_ok(), "{}", &odd[..5]);
    }
}

#[test]
fn what_may_be_number_or_text_is_read_as_both() {
    let ending = with(old(), json!({ "cancel_at_period_end": true }));
    for written in [json!("true"), json!(1), json!("1")] {
        assert_eq!(subscription_in(&with(old(), json!({ "cancel_at_period_end": written }))), subscription_in(&ending));
    }
    for written in [json!("false"), json!(0), json!(null), json!("perhaps")] {
        assert_eq!(subscription_in(&with(old(), json!({ "cancel_at_period_end": written }))), subscription_in(&old()));
    }
    let end = old()["current_period_end"].as_i64().expect("a number");
    for written in
        [json!(format!("{end}")), json!(format!("{end}.5")), serde_json::from_str(&format!("{end}.5")).expect("it")]
    {
        let written: Value = written;
        assert_eq!(subscription_in(&with(old(), json!({ "current_period_end": written }))), subscription_in(&old()));
    }
}

#[test]
fn a_moment_that_access_depends_on_and_cannot_be_read_is_asked_for_and_every_other_is_absent() {
    let trial = with(old(), json!({ "status": "trialing", "trial_end": super::CREATED + 500 }));
    let mut of_item = basil();
    of_item["items"]["data"][0]["current_period_end"] = json!("soon");
    for object in [
        with(old(), json!({ "current_period_end": "soon" })),
        with(old(), json!({ "current_period_end": 1e300 })),
        with(old(), json!({ "current_period_end": "9999-01-01T00:00:00Z" })),
        with(old(), json!({ "cancel_at": [] })),
        with(old(), json!({ "cancel_at": u64::MAX })),
        with(trial, json!({ "trial_end": "x" })),
        with(old(), json!({ "customer": null })),
        of_item,
    ] {
        assert!(is_asked(&read("customer.subscription.updated", &object)), "{object}");
        // Asked for it, the provider must say it.
        let told = super::super::object::Told { at: at(0), received_at: at(2), metadata_key: "account" };
        if !object["customer"].is_null() {
            let answer = super::super::object::subscription(object.clone(), told).expect_err("it says too little");
            assert!(answer.to_string().contains("is not a moment"), "{answer}");
            assert!(is_over(&read("customer.subscription.deleted", &object)), "{object}");
        }
    }
    for field in ["trial_end", "start_date", "created", "canceled_at", "ended_at", "current_period_start"] {
        assert!(!is_asked(&read("customer.subscription.updated", &with(old(), json!({ field: "x" })))), "{field}");
    }
}

#[test]
fn why_an_event_is_unreadable_names_the_field() {
    for (fields, expected) in [
        (json!({ "items": { "data": [{ "price": 7 }] } }), "items.data[0].price: a number is neither an id"),
        (json!({ "plan": { "id": null } }), "plan: null is neither an id nor an object with one"),
        (json!({ "id": 7 }), "invalid type: integer `7`"),
        (json!({ "status": 7 }), "status: invalid type: integer `7`"),
    ] {
        let why = interpret(&event("customer.subscription.updated", &with(old(), fields)), at(2), READER);
        let why = why.expect_err(expected).to_string();
        assert!(why.contains(expected) && !why.contains("untagged"), "{why}");
    }
}

#[test]
fn an_event_that_names_its_payment_is_not_said_to_name_none() {
    let dispute = json!({ "id": "dp_1", "status": "lost", "amount": 700, "payment_intent": "pi_1", "charge": "ch_1" });
    let told = read("charge.dispute.closed", &dispute);
    assert!(!told.facts.is_empty() && told.nothing.contains("known already"), "{told:?}");
    let unnamed = read("charge.dispute.closed", &with(dispute, json!({ "payment_intent": null, "charge": null })));
    assert!(unnamed.facts.is_empty() && unnamed.nothing.contains("names no payment"), "{unnamed:?}");
}
