//! The shapes, and that the newest one satisfies the types of `async-stripe`.

use chrono::Duration;
use serde_json::{Value, json};

use super::View;
use crate::Timestamp;
use crate::provider::books::model::{Card, DisputeStatus, Pause, PauseBehavior, RefundStatus, Status, TrialEnd};
use crate::provider::books::{Books, ItemChange, NewCustomer, NewSession, NewSubscription, Proration, WhileProcessing};
use crate::provider::settings::{Cadence, Price, Shape};

pub(super) fn view(shape: Shape) -> View {
    View { shape, base_url: "http://127.0.0.1:1".to_owned(), livemode: false }
}

/// Books with a customer, a completed and an open session, and so a subscription and an invoice.
pub(super) fn books(shape: Shape, trial_days: Option<u32>) -> Books {
    let price = Price {
        id: "price_monthly".to_owned(),
        amount: 700,
        currency: "gbp".to_owned(),
        cadence: Cadence::Month,
        product: "Paid plan".to_owned(),
        metered: false,
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
            trial_end: TrialEnd::default(),
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
    for shape in Shape::ALL {
        let on_subscription = shape < Shape::Basil;
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
    for shape in Shape::ALL {
        let on_invoice = shape < Shape::Basil;
        let books = books(shape, None);
        let (object, id) = (invoice(&books, shape), subscription(&books, shape)["id"].clone());
        let parent = object.pointer("/parent/subscription_details/subscription");
        assert_eq!(object.get("subscription"), on_invoice.then_some(&id), "{shape:?}");
        assert_eq!(parent, (!on_invoice).then_some(&id), "{shape:?}");
        assert_eq!(object.get("charge").is_some(), on_invoice, "{shape:?}");
    }
}

#[test]
fn billing_is_flexible_since_clover() {
    for shape in Shape::ALL {
        let mode = match shape {
            Shape::Old2020 | Shape::Acacia => Value::Null,
            Shape::Basil => json!("classic"),
            Shape::Clover | Shape::Endive => json!("flexible"),
        };
        let object = subscription(&books(shape, None), shape);
        assert_eq!(object["billing_mode"]["type"], mode, "{shape:?}");
        assert_eq!(object.get("billing_schedules").is_some(), shape == Shape::Endive);
    }
}

#[test]
fn an_event_names_the_version_of_its_shape() {
    for shape in Shape::ALL {
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

/// Everything about payments in these books can be read.
fn reads_money(books: &Books) {
    for row in books.charges.iter() {
        reads::<stripe_shared::Charge>("charge", &super::charge(row, books, books.view()));
    }
    for row in books.refunds.iter() {
        reads::<stripe_shared::Refund>("refund", &super::refund(row, books.view()));
    }
    for row in books.disputes.iter() {
        reads::<stripe_shared::Dispute>("dispute", &super::dispute(row, books.view()));
    }
    for row in books.invoices.iter().filter(|invoice| invoice.has_payment()) {
        reads::<stripe_shared::PaymentIntent>("payment intent", &super::payment_intent(row, books, books.view()));
        reads::<stripe_shared::InvoicePayment>("invoice payment", &super::invoice_payment(row, books.view()));
    }
    for event in books.events() {
        reads::<stripe_shared::Event>("event", &event.body);
    }
}

/// Money that was charged, declined, given back in part and taken back.
pub(super) fn troubled(shape: Shape) -> Books {
    let mut books = books(shape, None);
    let charge = books.charges.iter().next().expect("a charge").id.clone();
    let first = books.invoices.iter().next().expect("an invoice").id.clone();
    books.give_back(&charge, Some(100), RefundStatus::Succeeded).expect("a part");
    books.give_back(&charge, Some(50), RefundStatus::Failed).expect("a part that fails");
    for status in [DisputeStatus::WarningNeedsResponse, DisputeStatus::NeedsResponse, DisputeStatus::Won] {
        books.dispute_invoice(&first, status).expect("a dispute");
    }
    let customer = books.customers.iter().next().expect("a customer").id.clone();
    books.bill(&customer, 500, "Setting up").expect("a bill");
    books.set_card(&customer, Card::Declined).expect("a card");
    books.bill(&customer, 500, "Nothing").expect("a bill that nobody pays");
    books.play_until(books.now() + Duration::days(32)).expect("played");
    books
}

#[test]
fn money_in_the_newest_shape_satisfies_async_stripe() {
    let books = troubled(Shape::Endive);
    assert!(books.refunds.len() == 2 && books.disputes.len() == 1 && books.charges.len() > 3);
    reads_money(&books);
    for row in books.invoices.iter() {
        reads::<stripe_shared::Invoice>("invoice", &super::invoice(row, books.view()));
    }
}

#[test]
fn a_charge_names_its_invoice_and_its_refunds_where_its_version_does() {
    for shape in Shape::ALL {
        let books = troubled(shape);
        let charge = books.charges.iter().next().expect("a charge");
        let object = super::charge(charge, &books, &view(shape));
        assert_eq!(object.get("invoice").is_some(), shape < Shape::Basil, "{shape:?}");
        assert_eq!(object.get("refunds").is_some(), shape == Shape::Old2020, "{shape:?}");
        assert_eq!(object["amount_refunded"], 100, "{shape:?}");
        let statuses: Vec<_> = books.refunds.iter().map(|refund| refund.status.name()).collect();
        assert_eq!(statuses, ["succeeded", "failed"], "{shape:?}");
        let linked = books.events().any(|event| event.kind == "invoice_payment.paid");
        assert_eq!(linked, shape >= Shape::Basil, "{shape:?}");
        let dispute = super::dispute(books.disputes.iter().next().expect("a dispute"), &view(shape));
        assert!(dispute.get("customer").is_none() && dispute["charge"] == object["id"], "{shape:?}");
    }
}

#[test]
fn a_list_inside_an_object_shows_its_first_ten_rows() {
    let mut books = books(Shape::Endive, None);
    let id = books.subscriptions.iter().next().expect("a subscription").id.clone();
    let of = |number: u32| {
        let price = books.prices()[0].clone();
        ItemChange::Add { price: Price { id: format!("price_{number}"), ..price }, quantity: 1 }
    };
    let changes = (0..11).map(of).collect();
    books.change_items(&id, changes, Proration::AlwaysInvoice).expect("more items");
    let object = subscription(&books, Shape::Endive);
    let items = &object["items"];
    assert_eq!((items["data"].as_array().map(Vec::len), &items["has_more"]), (Some(10), &json!(true)));
    reads::<stripe_shared::Subscription>("subscription", &object);
    let last = super::invoice(books.invoices.iter().last().expect("an invoice"), books.view());
    assert_eq!(last["lines"]["has_more"], true);
    reads::<stripe_shared::Invoice>("invoice", &last);
}

#[test]
fn everything_says_whether_it_is_live() {
    for livemode in [false, true] {
        let books = troubled(Shape::Endive);
        let view = View { livemode, ..view(Shape::Endive) };
        let own = books.subscriptions.iter().next().expect("a subscription");
        let objects = [
            super::subscription(own, &view),
            super::customer(books.customers.iter().next().expect("a customer"), &view),
            super::charge(books.charges.iter().next().expect("a charge"), &books, &view),
            super::dispute(books.disputes.iter().next().expect("a dispute"), &view),
            super::invoice(books.invoices.iter().next().expect("an invoice"), &view),
        ];
        for object in objects {
            assert_eq!(object["livemode"], livemode, "{object:#}");
        }
    }
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
        }
        reads_money(&books);
        for row in books.sessions.iter() {
            reads::<stripe_shared::CheckoutSession>("session", &super::session(row, books.view()));
        }
        for row in books.customers.iter() {
            reads::<stripe_shared::Customer>("customer", &super::customer(row, books.view()));
        }
        for row in books.prices() {
            reads::<stripe_shared::Price>("price", &super::price(row, books.opened(), books.view()));
        }
        for row in books.products() {
            reads::<stripe_shared::Product>("product", &super::product(&row, books.view()));
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
    let new = NewSubscription {
        customer,
        items: vec![(price, 1)],
        trial_days: None,
        trial_end: TrialEnd::default(),
        metadata: [].into(),
    };
    let id = books.subscribe(new).expect("another");
    books.pause_collection(&id, Pause { behavior: PauseBehavior::Void, resumes_at: None }).expect("paused");
    let paused = super::subscription(books.subscription(&id).expect("it"), books.view());
    assert_eq!(paused["pause_collection"]["behavior"], "void");
    reads::<stripe_shared::Subscription>("subscription", &paused);
}

#[test]
fn every_status_satisfies_async_stripe() {
    for status in [Status::Incomplete, Status::IncompleteExpired, Status::PastDue, Status::Unpaid, Status::Paused] {
        let mut books = books(Shape::Endive, Some(14));
        let id = books.subscriptions.iter().next().expect("a subscription").id.clone();
        books.amend(&id, |own| own.status = status);
        let object = subscription(&books, Shape::Endive);
        assert_eq!(object["status"], status.name());
        reads::<stripe_shared::Subscription>("subscription", &object);
    }
    let mut books = books(Shape::Endive, None);
    let open = books.sessions.iter().last().expect("a session").id.clone();
    books.complete_session_later(&open, WhileProcessing::Active).expect("ordered");
    reads_money(&books);
    let session = super::session(books.session(&open).expect("a session"), books.view());
    assert_eq!(session["payment_status"], "unpaid");
    reads::<stripe_shared::CheckoutSession>("session", &session);
}

#[test]
fn what_did_not_change_is_not_among_the_previous_attributes() {
    let previous = super::previous_attributes;
    assert_eq!(previous(&json!({ "a": 1, "b": 2 }), &json!({ "a": 1, "b": 3 })), Some(json!({ "b": 2 })));
    assert_eq!(previous(&json!({ "a": 1 }), &json!({ "a": 1 })), None);
    assert_eq!(previous(&Value::Null, &json!({ "a": 1 })), None);
}
