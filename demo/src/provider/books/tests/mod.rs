//! What the provider tells, step by step, as tables.

mod checkout;
mod collection;
mod items;
mod money;
mod telling;

use chrono::{Duration, TimeZone, Utc};
use serde_json::Value;

use super::model::{Card, Ending, TrialEnd};
use super::subscriptions::period_end;
use super::{Books, NewCustomer, NewSession, NewSubscription, Proration};
use crate::Timestamp;
use crate::provider::render::View;
use crate::provider::settings::{Cadence, Price, Shape};

/// Noon of a day of 2026, or of the years after it: `(13, 1)` is January 2027.
fn on(month: u32, day: u32) -> Timestamp {
    let year = 2026 + i32::try_from((month - 1) / 12).expect("a year");
    Utc.with_ymd_and_hms(year, (month - 1) % 12 + 1, day, 12, 0, 0).single().expect("a day")
}

fn price(id: &str, amount: i64, cadence: Cadence) -> Price {
    Price { id: id.to_owned(), amount, currency: "gbp".to_owned(), cadence, product: "Paid".to_owned(), metered: false }
}

fn books(shape: Shape) -> Books {
    let prices = vec![price("price_monthly", 700, Cadence::Month), price("price_annual", 7000, Cadence::Year)];
    Books::new(View { shape, base_url: "http://127.0.0.1:1".to_owned(), livemode: false }, prices, on(1, 31))
}

/// The kinds of events since the last call, with the status of the object where it has one.
fn told(books: &mut Books) -> Vec<String> {
    let status = |body: &Value| body["data"]["object"]["status"].as_str().map(|status| format!("[{status}]"));
    let line = |kind: &str, body: &Value| format!("{kind}{}", status(body).unwrap_or_default());
    books.take_emitted().iter().map(|event| line(&event.kind, &event.body)).collect()
}

/// A customer with a subscription, whose beginning has been told.
fn subscribed(shape: Shape, price: &str, trial_days: Option<u32>) -> (Books, String, String) {
    let mut books = books(shape);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    let price = books.price(price, "price").expect("a price").clone();
    let new = NewSubscription {
        customer: customer.clone(),
        items: vec![(price, 1)],
        trial_days,
        trial_end: TrialEnd::default(),
        metadata: [].into(),
    };
    let subscription = books.subscribe(new).expect("a subscription");
    books.take_emitted();
    (books, customer, subscription)
}

fn session(books: &mut Books, trial_days: Option<u32>) -> String {
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    books.take_emitted();
    let new = NewSession {
        customer: Some(customer),
        customer_email: None,
        client_reference_id: Some("alice".to_owned()),
        price: books.price("price_monthly", "price").expect("a price").clone(),
        quantity: 1,
        trial_days,
        trial_end: TrialEnd::default(),
        metadata: [].into(),
        subscription_metadata: [("account".to_owned(), "alice".to_owned())].into(),
        success_url: "https://read.example/back".to_owned(),
        cancel_url: None,
        promotion_codes: None,
        expires_at: None,
    };
    books.open_session(new).expect("a session").id.clone()
}

const RENEWED: [&str; 8] = [
    "customer.subscription.updated[active]",
    "invoice.created[draft]",
    "invoice.finalized[open]",
    "charge.succeeded[succeeded]",
    "payment_intent.succeeded[succeeded]",
    "invoice_payment.paid[paid]",
    "invoice.paid[paid]",
    "invoice.payment_succeeded[paid]",
];

const FAILED: [&str; 3] =
    ["charge.failed[failed]", "payment_intent.payment_failed[requires_payment_method]", "invoice.payment_failed[open]"];

#[test]
fn a_paid_checkout_is_told_in_stripes_order() {
    let mut books = books(Shape::Endive);
    let id = session(&mut books, None);
    books.complete_session(&id).expect("paid");
    assert_eq!(
        told(&mut books),
        [
            "checkout.session.completed[complete]",
            "customer.subscription.created[incomplete]",
            "invoice.created[draft]",
            "invoice.finalized[open]",
            "customer.subscription.updated[active]",
            "charge.succeeded[succeeded]",
            "payment_intent.succeeded[succeeded]",
            "invoice_payment.paid[paid]",
            "invoice.paid[paid]",
            "invoice.payment_succeeded[paid]",
        ]
    );
    assert!(books.complete_session(&id).is_err(), "a session is paid once");
    assert!(told(&mut books).is_empty());
    let subscription = books.subscriptions.iter().next().expect("a subscription");
    assert_eq!(subscription.metadata.get("account").map(String::as_str), Some("alice"));
}

#[test]
fn a_checkout_with_a_trial_moves_no_money() {
    let mut books = books(Shape::Endive);
    let id = session(&mut books, Some(14));
    books.complete_session(&id).expect("completed");
    let events = books.take_emitted();
    assert_eq!(events[0].body["data"]["object"]["payment_status"], "no_payment_required");
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert!(!kinds.contains(&"charge.succeeded") && !kinds.contains(&"customer.subscription.updated"), "{kinds:?}");
    assert_eq!(events[1].body["data"]["object"]["status"], "trialing");
    assert_eq!(books.invoices.iter().map(|invoice| invoice.amount).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_checkout_that_nobody_completes_expires_after_a_day() {
    let mut books = books(Shape::Endive);
    let id = session(&mut books, None);
    books.play_until(on(1, 31) + Duration::hours(23)).expect("played");
    assert!(told(&mut books).is_empty());
    books.play_until(on(1, 31) + Duration::hours(24)).expect("played");
    assert_eq!(told(&mut books), ["checkout.session.expired[expired]"]);
    assert!(books.complete_session(&id).is_err());
}

#[test]
fn periods_keep_the_day_of_the_month() {
    let ends: Vec<_> = [on(1, 31), on(2, 28), on(3, 31)].map(|start| period_end(on(1, 31), start, 1)).to_vec();
    assert_eq!(ends, [on(2, 28), on(3, 31), on(4, 30)]);
    assert_eq!(period_end(on(1, 31), on(1, 31), 12), on(13, 31));
}

#[test]
fn every_period_of_a_long_step_is_played_in_order() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.play_until(on(4, 30)).expect("played");
    let starts: Vec<_> = books
        .take_emitted()
        .iter()
        .filter(|event| event.kind == "customer.subscription.updated")
        .map(|event| (event.created, event.body["data"]["object"]["items"]["data"][0]["current_period_start"].clone()))
        .collect();
    let expected: Vec<_> =
        [on(2, 28), on(3, 31), on(4, 30)].map(|start| (start, Value::from(start.timestamp()))).to_vec();
    assert_eq!(starts, expected);
    let numbers: Vec<_> = books.invoices.iter().map(|invoice| (invoice.reason, invoice.amount)).collect();
    assert_eq!(numbers[0], ("subscription_create", 700));
    assert_eq!(numbers[1..], [("subscription_cycle", 700); 3]);
    assert_eq!(books.subscription(&id).map(|own| own.period.end), Ok(on(5, 31)));
}

#[test]
fn a_renewal_says_what_was_before() {
    let (mut books, ..) = subscribed(Shape::Acacia, "price_monthly", None);
    books.play_until(on(2, 28)).expect("played");
    let events = books.take_emitted();
    let previous = &events[0].body["data"]["previous_attributes"];
    assert_eq!(previous["current_period_end"], on(2, 28).timestamp());
    assert_eq!(previous["status"], Value::Null, "the status did not change");
    assert!(previous.as_object().is_some_and(|previous| previous.len() == 2), "{previous}");
}

#[test]
fn a_trial_is_announced_and_then_paid() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_annual", Some(14));
    books.play_until(on(2, 11) - Duration::seconds(1)).expect("played");
    assert!(told(&mut books).is_empty());
    books.play_until(on(2, 11)).expect("played");
    assert_eq!(told(&mut books), ["customer.subscription.trial_will_end[trialing]"]);
    books.play_until(on(2, 14)).expect("played");
    assert_eq!(told(&mut books), RENEWED);
    let own = books.subscription(&id).expect("a subscription");
    assert_eq!((own.period.start, own.period.end), (on(2, 14), on(14, 14)));
    assert_eq!(own.trial.map(|trial| trial.end), Some(on(2, 14)), "the trial's end is remembered");
}

#[test]
fn a_short_trial_is_announced_at_once() {
    let (mut books, ..) = subscribed(Shape::Endive, "price_monthly", Some(2));
    books.play_until(on(1, 31)).expect("played");
    assert_eq!(told(&mut books), ["customer.subscription.trial_will_end[trialing]"]);
}

#[test]
fn a_declined_renewal_is_retried_and_then_given_up() {
    for (price, trial_days, fails_on) in [("price_monthly", None, on(2, 28)), ("price_annual", Some(28), on(2, 28))] {
        let (mut books, customer, id) = subscribed(Shape::Endive, price, trial_days);
        books.set_card(&customer, Card::Declined).expect("a card");
        books.play_until(fails_on).expect("played");
        let mut first = told(&mut books);
        first.retain(|line| !line.contains("trial_will_end"));
        assert_eq!(
            first,
            [
                "invoice.created[draft]",
                "invoice.finalized[open]",
                "charge.failed[failed]",
                "payment_intent.payment_failed[requires_payment_method]",
                "invoice.payment_failed[open]",
                "customer.subscription.updated[past_due]",
            ]
        );
        for days in [3, 5] {
            let due = books.now() + Duration::days(days);
            books.play_until(due - Duration::seconds(1)).expect("played");
            assert!(told(&mut books).is_empty(), "{price} {days}");
            books.play_until(due).expect("played");
            assert_eq!(told(&mut books), FAILED, "{price} {days}");
        }
        books.play_until(books.now() + Duration::days(7)).expect("played");
        assert_eq!(told(&mut books), [&FAILED[..], &["customer.subscription.deleted[canceled]"]].concat());
        assert_eq!(books.subscription(&id).map(|own| own.ended_at), Ok(Some(fails_on + Duration::days(15))));
        books.play_until(on(24, 1)).expect("played");
        assert!(told(&mut books).is_empty(), "what is over stays over");
    }
}

#[test]
fn a_card_that_works_again_ends_dunning_at_the_next_try() {
    let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.set_card(&customer, Card::Declined).expect("a card");
    books.play_until(on(2, 28)).expect("played");
    books.set_card(&customer, Card::Good).expect("a card");
    told(&mut books);
    books.play_until(on(3, 3)).expect("played");
    assert_eq!(
        told(&mut books),
        [
            "charge.succeeded[succeeded]",
            "payment_intent.succeeded[succeeded]",
            "invoice_payment.paid[paid]",
            "invoice.paid[paid]",
            "invoice.payment_succeeded[paid]",
            "customer.subscription.updated[active]",
        ]
    );
    assert_eq!(books.subscription(&id).map(|own| own.period.end), Ok(on(3, 31)), "the period did not move");
}

#[test]
fn a_declined_first_payment_gives_nothing_and_expires() {
    let mut books = books(Shape::Endive);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    books.set_card(&customer, Card::Declined).expect("a card");
    let price = books.price("price_monthly", "price").expect("a price").clone();
    let new = NewSubscription {
        customer,
        items: vec![(price, 1)],
        trial_days: None,
        trial_end: TrialEnd::default(),
        metadata: [].into(),
    };
    books.subscribe(new).expect("a subscription");
    assert_eq!(
        told(&mut books)[1..],
        [
            "customer.subscription.created[incomplete]",
            "invoice.created[draft]",
            "invoice.finalized[open]",
            "charge.failed[failed]",
            "payment_intent.payment_failed[requires_payment_method]",
            "invoice.payment_failed[open]",
        ]
    );
    books.play_until(on(2, 5)).expect("played");
    assert_eq!(told(&mut books), ["customer.subscription.updated[incomplete_expired]"]);
}

#[test]
fn the_portal_cancels_as_the_billing_mode_says() {
    let cases = [
        (Shape::Acacia, Ending::PeriodEnd, true),
        (Shape::Basil, Ending::PeriodEnd, true),
        (Shape::Endive, Ending::At(on(2, 28)), false),
    ];
    for (shape, ending, at_period_end) in cases {
        let (mut books, _, id) = subscribed(shape, "price_monthly", None);
        books.cancel_in_portal(&id).expect("scheduled");
        assert_eq!(books.subscription(&id).map(|own| own.ending), Ok(Some(ending)));
        let events = books.take_emitted();
        let object = &events[0].body["data"]["object"];
        assert_eq!(object["cancel_at_period_end"], at_period_end, "{shape:?}");
        assert_eq!(object["cancel_at"], on(2, 28).timestamp(), "{shape:?}");
        assert_eq!(object["status"], "active");

        books.play_until(on(2, 28)).expect("played");
        assert_eq!(told(&mut books), ["customer.subscription.deleted[canceled]"], "no renewal, {shape:?}");
    }
}

#[test]
fn a_scheduled_end_can_be_taken_back() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.cancel_in_portal(&id).expect("scheduled");
    books.reactivate(&id).expect("taken back");
    books.take_emitted();
    books.reactivate(&id).expect("nothing to take back");
    assert!(told(&mut books).is_empty(), "what changes nothing is not told");
    books.play_until(on(2, 28)).expect("played");
    assert_eq!(told(&mut books), RENEWED);
}

#[test]
fn a_canceled_trial_ends_with_the_trial() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_annual", Some(14));
    books.cancel_in_portal(&id).expect("scheduled");
    told(&mut books);
    books.play_until(on(3, 31)).expect("played");
    assert_eq!(
        told(&mut books),
        ["customer.subscription.trial_will_end[trialing]", "customer.subscription.deleted[canceled]"]
    );
}

#[test]
fn another_cadence_begins_a_new_period_and_charges_the_difference() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.play_until(on(2, 14)).expect("played");
    let annual = books.price("price_annual", "price").expect("a price").clone();
    books.change_price(&id, annual, Proration::None).expect("changed");
    let own = books.subscription(&id).expect("a subscription");
    assert_eq!((own.period.start, own.period.end), (on(2, 14), on(14, 14)));
    let last = books.invoices.iter().last().expect("an invoice");
    // Half of the month of 28 days was left.
    assert_eq!((last.reason, last.amount), ("subscription_update", 7000 - 350));
}

#[test]
fn the_clock_never_goes_back() {
    let (mut books, ..) = subscribed(Shape::Endive, "price_monthly", None);
    books.play_until(on(2, 10)).expect("played");
    books.play_until(on(2, 1)).expect("played");
    assert_eq!(books.now(), on(2, 10));
}
