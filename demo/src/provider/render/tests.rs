//! The three shapes, and that the newest one satisfies the types of `async-stripe`.

use chrono::Duration;
use serde_json::{Value, json};

use super::View;
use crate::Timestamp;
use crate::provider::books::{Books, NewCustomer, NewSession, NewSubscription};
use crate::provider::settings::{Cadence, Price, Shape};

fn view(shape: Shape) -> View {
    View { shape, base_url: "http://127.0.0.1:1".to_owned() }
}

/// Books with a customer, a completed and an open session, and so a subscription and an invoice.
fn books(shape: Shape, trial_days: Option<u32>) -> Books {
    let price = Price {
        id: "price_monthly".to_owned(),
        amount: 700,
        currency: "gbp".to_owned(),
        cadence: Cadence::Month,
        product: "Paid plan".to_owned(),
    };
    let opened = Timestamp::from_timestamp(1_767_225_600, 0).expect("a moment");
    let mut books = Books::new(view(shape), vec![price.clone()], opened);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    for _ in 0..2 {
        let new = NewSession {
            customer: Some(customer.clone()),
            customer_email: None,
            client_reference_id: Some("alice".to_owned()),
            price: price.clone(),
            quantity: 1,
            trial_days,
            metadata: [("account".to_owned(), "alice".to_owned())].into(),
            subscription_metadata: [("account".to_owned(), "alice".to_owned())].into(),
            success_url: "https://read.example/back".to_owned(),
            cancel_url: Some("https://read.example/".to_owned()),
            promotion_codes: Some(true),
            expires_at: None,
        };
        books.open_session(new).expect("a session");
    }
    let first = books.sessions.iter().next().expect("a session").id.clone();
    books.complete_session(&first).expect("completed");
    books
}

fn subscription(books: &Books, shape: Shape) -> Value {
    super::subscription(books.subscriptions.iter().next().expect("a subscription"), &view(shape))
}

fn invoice(books: &Books, shape: Shape) -> Value {
    super::invoice(books.invoices.iter().next().expect("an invoice"), &view(shape))
}

#[test]
fn the_period_moved_from_the_subscription_to_its_items() {
    for (shape, on_subscription) in [(Shape::Acacia, true), (Shape::Basil, false), (Shape::Endive, false)] {
        let object = subscription(&books(shape, None), shape);
        let item = &object["items"]["data"][0];
        assert_eq!(object.get("current_period_end").is_some(), on_subscription, "{shape:?}");
        assert_eq!(item.get("current_period_end").is_some(), !on_subscription, "{shape:?}");
        let (owner, start) = if on_subscription { (&object, &object["created"]) } else { (item, &item["created"]) };
        assert_eq!(&owner["current_period_start"], start, "{shape:?}");
    }
}

#[test]
fn an_invoice_names_its_subscription_where_its_version_does() {
    for (shape, on_invoice) in [(Shape::Acacia, true), (Shape::Basil, false), (Shape::Endive, false)] {
        let books = books(shape, None);
        let (object, id) = (invoice(&books, shape), subscription(&books, shape)["id"].clone());
        let parent = object.pointer("/parent/subscription_details/subscription");
        assert_eq!(object.get("subscription"), on_invoice.then_some(&id), "{shape:?}");
        assert_eq!(parent, (!on_invoice).then_some(&id), "{shape:?}");
        assert_eq!(object.get("charge").is_some(), on_invoice, "{shape:?}");
    }
}

#[test]
fn billing_is_flexible_in_the_newest_shape_only() {
    let modes = [(Shape::Acacia, Value::Null), (Shape::Basil, json!("classic")), (Shape::Endive, json!("flexible"))];
    for (shape, mode) in modes {
        let object = subscription(&books(shape, None), shape);
        assert_eq!(object["billing_mode"]["type"], mode, "{shape:?}");
        assert_eq!(object.get("billing_schedules").is_some(), shape == Shape::Endive);
    }
}

#[test]
fn an_event_names_the_version_of_its_shape() {
    for shape in [Shape::Acacia, Shape::Basil, Shape::Endive] {
        let books = books(shape, None);
        for event in books.events() {
            assert_eq!(event.body["api_version"], shape.api_version());
            assert_eq!((&event.body["object"], &event.body["livemode"]), (&json!("event"), &json!(false)));
        }
    }
}

/// The library is strict: one missing field, and nothing is read.
fn reads<T: miniserde::Deserialize>(what: &str, object: &Value) {
    let text = object.to_string();
    assert!(miniserde::json::from_str::<T>(&text).is_ok(), "async-stripe cannot read this {what}: {object:#}");
}

#[test]
fn the_newest_shape_satisfies_async_stripe() {
    for trial_days in [None, Some(14)] {
        let mut books = books(Shape::Endive, trial_days);
        books.play_until(books.now() + Duration::days(40)).expect("played");
        for row in books.subscriptions.iter() {
            reads::<stripe_shared::Subscription>("subscription", &super::subscription(row, books.view()));
        }
        for row in books.invoices.iter() {
            reads::<stripe_shared::Invoice>("invoice", &super::invoice(row, books.view()));
            reads::<stripe_shared::Charge>("charge", &super::charge(row));
        }
        for row in books.sessions.iter() {
            reads::<stripe_shared::CheckoutSession>("session", &super::session(row, books.view()));
        }
        for row in books.customers.iter() {
            reads::<stripe_shared::Customer>("customer", &super::customer(row));
        }
        for row in books.prices() {
            reads::<stripe_shared::Price>("price", &super::price(row, books.opened()));
            reads::<stripe_shared::Product>("product", &super::product(row, books.opened()));
        }
        for event in books.events() {
            reads::<stripe_shared::Event>("event", &event.body);
        }
        let customer = books.customers.iter().next().expect("a customer").id.clone();
        let portal = super::portal(books.open_portal(&customer, None).expect("a portal"), &view(Shape::Endive));
        assert_eq!(
            portal["url"],
            json!(format!("http://127.0.0.1:1/portal/{}", portal["id"].as_str().expect("an id")))
        );
    }
}

#[test]
fn an_old_shape_does_not_which_shows_that_reading_is_strict() {
    let old = subscription(&books(Shape::Acacia, None), Shape::Acacia).to_string();
    assert!(miniserde::json::from_str::<stripe_shared::Subscription>(&old).is_err());
}

#[test]
fn a_canceled_subscription_satisfies_async_stripe_too() {
    let mut books = books(Shape::Endive, None);
    let id = books.subscriptions.iter().next().expect("a subscription").id.clone();
    books.cancel_in_portal(&id).expect("scheduled");
    reads::<stripe_shared::Subscription>("subscription", &subscription(&books, Shape::Endive));
    books.cancel_now(&id, "cancellation_requested").expect("canceled");
    reads::<stripe_shared::Subscription>("subscription", &subscription(&books, Shape::Endive));
    let price = books.price("price_monthly", "price").expect("a price").clone();
    let customer = books.customers.iter().next().expect("a customer").id.clone();
    let new = NewSubscription { customer, price, quantity: 1, trial_days: None, metadata: [].into() };
    let id = books.subscribe(new).expect("another");
    books.amend(&id, |own| own.paused = Some("void".to_owned()));
    let paused = super::subscription(books.subscription(&id).expect("it"), books.view());
    assert_eq!(paused["pause_collection"]["behavior"], "void");
    reads::<stripe_shared::Subscription>("subscription", &paused);
}

#[test]
fn what_did_not_change_is_not_among_the_previous_attributes() {
    let previous = super::previous_attributes;
    assert_eq!(previous(&json!({ "a": 1, "b": 2 }), &json!({ "a": 1, "b": 3 })), Some(json!({ "b": 2 })));
    assert_eq!(previous(&json!({ "a": 1 }), &json!({ "a": 1 })), None);
    assert_eq!(previous(&Value::Null, &json!({ "a": 1 })), None);
}
