//! Our objects beside Stripe's own examples of them.
//!
//! The examples are Stripe's (<https://github.com/stripe/openapi>, `fixtures3.json`) and no part of this: the environment
//! says where they are, and without them nothing is compared.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tests::{books, troubled, view};
use crate::provider::settings::Shape;

/// Names the file.
const EXAMPLES: &str = "STRIPE_EXAMPLES";

/// What Stripe documents, and its examples leave out.
const LEFT_OUT: [&str; 6] = [
    // <https://docs.stripe.com/api/events/object#event_object-data-previous_attributes>
    "event.data.previous_attributes",
    // <https://docs.stripe.com/api/invoice-line-item/object#invoice_line_item_object-pricing-price_details>
    "invoice.lines.data[].pricing.price_details",
    // <https://docs.stripe.com/api/payment_intents/object#payment_intent_object-last_payment_error>
    "payment_intent.last_payment_error.code",
    "payment_intent.last_payment_error.message",
    // <https://docs.stripe.com/api/refunds/object#refund_object-failure_reason>
    "refund.failure_reason",
    // <https://docs.stripe.com/api/subscriptions/object#subscription_object-billing_mode-flexible>
    "subscription.billing_mode.flexible.proration_discounts",
];

/// Every kind of object that the simulated provider shows, in the newest shape, by the example's name.
fn shown() -> Vec<(&'static str, Value)> {
    let (mut fresh, troubled, view) = (books(Shape::Endive, Some(14)), troubled(Shape::Endive), view(Shape::Endive));
    let mut shown = Vec::new();
    for books in [&fresh, &troubled] {
        shown.extend(books.customers.iter().map(|row| ("customer", super::customer(row, &view))));
        shown.extend(books.sessions.iter().map(|row| ("checkout.session", super::session(row, &view))));
        shown.extend(books.subscriptions.iter().map(|row| ("subscription", super::subscription(row, &view))));
        shown.extend(books.invoices.iter().map(|row| ("invoice", super::invoice(row, &view))));
        shown.extend(books.charges.iter().map(|row| ("charge", super::charge(row, books, &view))));
        shown.extend(books.refunds.iter().map(|row| ("refund", super::refund(row, &view))));
        shown.extend(books.disputes.iter().map(|row| ("dispute", super::dispute(row, &view))));
        shown.extend(books.prices().iter().map(|row| ("price", super::price(row, books.opened(), &view))));
        shown.extend(books.products().iter().map(|row| ("product", super::product(row, &view))));
        shown.extend(books.events().map(|event| ("event", event.body.clone())));
    }
    let paid = troubled.invoices.iter().filter(|invoice| invoice.has_payment());
    shown.extend(paid.map(|row| ("payment_intent", super::payment_intent(row, &troubled, &view))));
    let customer = fresh.customers.iter().next().expect("a customer").id.clone();
    let portal = super::portal(fresh.open_portal(&customer, None).expect("a portal"), &view);
    shown.push(("billing_portal.session", portal));
    shown
}

/// What is wrong with `ours` beside `published`: a field that Stripe does not have, or a value of another kind. What the site
/// wrote itself is not looked into.
fn strange(path: &str, ours: &Value, published: &Value, found: &mut BTreeSet<String>) {
    match (ours, published) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(ours), Value::Object(published)) => {
            for (name, value) in ours {
                let path = format!("{path}.{name}");
                match published.get(name) {
                    Some(_) if name == "metadata" || path == "event.data.object" => {}
                    Some(published) => strange(&path, value, published, found),
                    None if LEFT_OUT.contains(&path.as_str()) => {}
                    None => {
                        found.insert(format!("{path} is not Stripe's"));
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(published)) => {
            for (value, published) in ours.iter().zip(published.iter().cycle()) {
                strange(&format!("{path}[]"), value, published, found);
            }
        }
        // An id in the place of what it names, or the other way round (<https://docs.stripe.com/api/expanding_objects>).
        (Value::String(_), Value::Object(_)) | (Value::Object(_), Value::String(_)) => {}
        _ if std::mem::discriminant(ours) == std::mem::discriminant(published) => {}
        _ => {
            found.insert(format!("{path} is {ours}, and Stripe's is {published}"));
        }
    }
}

#[test]
fn no_object_has_what_stripes_own_example_has_not() {
    let shown = shown();
    let kinds: BTreeSet<&str> = shown.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 12, "each kind is shown: {kinds:?}");
    let Some(path) = std::env::var_os(EXAMPLES) else {
        eprintln!("nothing was compared: {EXAMPLES} does not say where Stripe's examples are");
        return;
    };
    let examples: Value = serde_json::from_slice(&std::fs::read(path).expect("it can be read")).expect("JSON");
    let mut found = BTreeSet::new();
    for (kind, object) in shown {
        let published = &examples["resources"][kind];
        assert_eq!(published["object"], object["object"], "there is an example of {kind}");
        strange(kind, &object, published, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_field_that_is_not_stripes_is_found_wherever_it_stands() {
    let published = json!({
        "id": "in_1", "paid": true, "customer": "cus_1", "due": null, "metadata": {},
        "lines": { "data": [{ "amount": 1 }] },
    });
    let cases = [
        (json!({ "id": "in_2", "paid": false, "due": 7, "lines": { "data": [] } }), vec![]),
        (json!({ "customer": { "id": "cus_1" }, "metadata": { "account": "ann" } }), vec![]),
        (json!({ "payed": true }), vec!["invoice.payed is not Stripe's"]),
        (json!({ "paid": 1 }), vec!["invoice.paid is 1, and Stripe's is true"]),
        (
            json!({ "lines": { "data": [{ "amount": 2 }, { "sum": 3, "amount": "4" }] } }),
            vec!["invoice.lines.data[].amount is \"4\", and Stripe's is 1", "invoice.lines.data[].sum is not Stripe's"],
        ),
    ];
    for (ours, expected) in cases {
        let mut found = BTreeSet::new();
        strange("invoice", &ours, &published, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{ours}");
    }
}
