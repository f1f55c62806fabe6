//! Customers: whose they are, what of theirs runs, and that they are gone.

use chrono::Duration;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Event, Fact, Object};
use entitlement::subscription::{State, Subscription};
use serde_json::{Value, json};

use super::{at, customer, facts, read, subscription, told, try_read, with};

fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("an id")
}

fn stated(id: &str, second: i64) -> Option<Claim> {
    Some(Claim::Reference { account: account(id), stated_at: at(second) })
}

fn found(id: &str) -> Option<Claim> {
    Some(Claim::Metadata(account(id)))
}

#[test]
fn an_account_is_named_by_the_external_id_then_by_metadata_never_by_e_mail() {
    let bob = json!({ "account": "bob", "number": 7 });
    let cases = [
        ("the site's own id", json!({}), json!({ "metadata": bob }), stated("ann", -500)),
        ("it has no date", json!({ "created_at": null }), json!({}), stated("ann", 0)),
        ("what stands beside what was sold", json!({ "external_id": null }), json!({ "metadata": bob }), found("bob")),
        ("what stands beside the customer", json!({ "external_id": null, "metadata": bob }), json!({}), found("bob")),
        (
            "what was sold comes first",
            json!({ "external_id": null, "metadata": { "account": "eve" } }),
            json!({ "metadata": bob }),
            found("bob"),
        ),
        ("an id that is none", json!({ "external_id": "x".repeat(256) }), json!({ "metadata": bob }), found("bob")),
        ("an empty id", json!({ "external_id": "" }), json!({}), None),
        ("an id that is a number", json!({ "external_id": 7 }), json!({ "metadata": bob }), stated("7", -500)),
        ("an id of the wrong type", json!({ "external_id": [7] }), json!({ "metadata": bob }), found("bob")),
        (
            "metadata that is a number",
            json!({ "external_id": null }),
            json!({ "metadata": { "account": 7 } }),
            found("7"),
        ),
        ("metadata of the wrong type", json!({ "external_id": null }), json!({ "metadata": { "account": {} } }), None),
        ("only an e-mail address", json!({ "external_id": null }), json!({}), None),
    ];
    for (what, of_customer, of_subscription, expected) in cases {
        let customer = with(&customer(), &of_customer);
        let sold = with(&with(&subscription(), &of_subscription), &json!({ "customer": customer }));
        assert_eq!(read("subscription.active", &sold).claim, expected, "{what}");
    }
}

#[test]
fn a_customer_links_itself_when_it_names_an_account() {
    for kind in ["customer.created", "customer.updated"] {
        let event = read(kind, &customer());
        assert_eq!((event.claim, event.facts), (stated("ann", -500), vec![Fact::Linked { subscription: None }]));
        let unnamed = read(kind, &with(&customer(), &json!({ "external_id": null })));
        assert!(unnamed.is_nothing() && unnamed.customer.as_deref() == Some("c-1"), "{unnamed:?}");
        for id in [json!(null), json!(7), json!("")] {
            assert!(try_read(kind, &with(&customer(), &json!({ "id": id }))).is_err(), "{id}");
        }
    }
}

#[test]
fn a_deleted_customer_is_gone_whichever_event_says_so() {
    let gone = |second| vec![Fact::CustomerGone { customer: "c-1".into(), at: at(second) }];
    assert_eq!(facts("customer.deleted", &customer()), gone(0));
    let deleted = with(&customer(), &json!({ "deleted_at": told(-3) }));
    for kind in ["customer.deleted", "customer.updated"] {
        let event = read(kind, &deleted);
        assert_eq!((event.facts, event.claim, event.objects), (gone(-3), stated("ann", -500), vec![]), "{kind}");
    }
    let ahead = with(&customer(), &json!({ "deleted_at": told(90_000) }));
    assert_eq!(facts("customer.deleted", &ahead), gone(2));
    let state = with(&deleted, &json!({ "active_subscriptions": [] }));
    assert_eq!(facts("customer.state_changed", &state)[1..], gone(-3));
}

/// As it stands in its customer's state: without the customer.
fn listed(id: &str, fields: &Value) -> Value {
    with(&subscription(), &with(fields, &json!({ "id": id, "customer_id": null, "customer": null })))
}

fn state(subscriptions: &[Value]) -> Value {
    with(&customer(), &json!({ "active_subscriptions": subscriptions, "granted_benefits": [], "active_meters": [] }))
}

fn running(event: Event) -> (Vec<Subscription>, entitlement::Timestamp) {
    match event.facts.into_iter().next() {
        Some(Fact::Running { customer, subscriptions, at }) if customer == "c-1" => (subscriptions, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_customers_state_is_everything_that_runs() {
    let trial = json!({ "status": "trialing", "trial_end": told(40), "modified_at": told(-90) });
    let event = read("customer.state_changed", &state(&[listed("s-1", &json!({})), listed("s-2", &trial)]));
    assert_eq!(event.claim, stated("ann", -500));
    assert_eq!(event.objects, [Object::Customer("c-1".into())]);
    let (subscriptions, moment) = running(event);
    assert_eq!(moment, at(0));
    let [one, other] = subscriptions.as_slice() else { panic!("{subscriptions:?}") };
    assert_eq!((one.id.id.as_str(), one.customer.as_str(), one.as_of), ("s-1", "c-1", moment), "it is still so");
    assert_eq!(one.state, State::Active { paid_until: Some(at(1000)) });
    assert_eq!(one.prices, ["p-paid"]);
    assert_eq!((other.id.id.as_str(), other.state), ("s-2", State::Trialing { ends_at: at(40) }));
    let (none, _) = running(read("customer.state_changed", &state(&[])));
    assert!(none.is_empty());
}

#[test]
fn a_state_from_a_clock_ahead_is_of_the_moment_at_which_it_came() {
    let body = super::body("customer.state_changed", &state(&[]));
    let early = super::interpret(&body, at(0) - Duration::seconds(30), "account").expect("readable");
    assert_eq!(running(early).1, at(-30));
}

#[test]
fn a_state_of_which_a_part_is_unknown_ends_nothing() {
    let odd = listed("s-2", &json!({ "status": "hibernating" }));
    let event = read("customer.state_changed", &state(&[listed("s-1", &json!({})), odd]));
    assert!(event.facts.is_empty(), "{event:?}");
    assert_eq!(event.objects, [Object::Customer("c-1".into())], "but it can be asked for");
    for subscriptions in [json!(null), json!({}), json!("none"), json!([7]), json!([[]])] {
        let state = with(&customer(), &json!({ "active_subscriptions": subscriptions }));
        assert!(try_read("customer.state_changed", &state).is_err(), "{subscriptions}");
    }
    assert!(try_read("customer.state_changed", &customer()).is_err(), "no list is not an empty list");
}
