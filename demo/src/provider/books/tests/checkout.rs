//! Checkouts whose money takes days, and trials that need none.

use serde_json::Value;

use super::{books, on, session, told};
use crate::provider::books::model::{Card, Status, TrialEnd};
use crate::provider::books::{Books, NewSession, Settled, WhileProcessing};
use crate::provider::settings::Shape;

fn only(books: &Books) -> (String, Status) {
    let own = books.subscriptions.iter().next().expect("a subscription");
    (own.id.clone(), own.status)
}

fn payment_status(books: &Books, id: &str) -> Value {
    crate::provider::render::session(books.session(id).expect("a session"), books.view())["payment_status"].clone()
}

#[test]
fn a_debit_completes_the_session_unpaid_and_pays_it_days_later() {
    for (meanwhile, status) in
        [(WhileProcessing::Incomplete, Status::Incomplete), (WhileProcessing::Active, Status::Active)]
    {
        let mut books = books(Shape::Endive);
        let id = session(&mut books, None);
        books.complete_session_later(&id, meanwhile).expect("ordered");
        let events = books.take_emitted();
        assert_eq!(events[0].kind, "checkout.session.completed");
        assert_eq!(events[0].body["data"]["object"]["payment_status"], "unpaid");
        assert!(events.iter().all(|event| event.kind != "invoice.paid"));
        assert_eq!(only(&books).1, status);
        books.play_until(on(2, 3)).expect("played");
        assert!(told(&mut books).is_empty(), "it does not expire while the money is on its way");

        books.settle_session(&id, Settled::Paid).expect("it came");
        let kinds = told(&mut books);
        assert!(kinds.contains(&"invoice.paid[paid]".to_owned()), "{kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("checkout.session.async_payment_succeeded[complete]"));
        assert_eq!((only(&books).1, payment_status(&books, &id)), (Status::Active, Value::from("paid")));
        assert_eq!(books.charges.len(), 1, "the charge that was pending went through");
        assert!(books.settle_session(&id, Settled::Failed).is_err(), "it is settled once");
    }
}

#[test]
fn a_debit_that_fails_gives_nothing() {
    for (meanwhile, status) in
        [(WhileProcessing::Incomplete, Status::IncompleteExpired), (WhileProcessing::Active, Status::PastDue)]
    {
        let mut books = books(Shape::Endive);
        let id = session(&mut books, None);
        books.complete_session_later(&id, meanwhile).expect("ordered");
        books.play_until(on(2, 3)).expect("played");
        told(&mut books);
        books.settle_session(&id, Settled::Failed).expect("it did not come");
        let kinds = told(&mut books);
        assert!(kinds.contains(&"invoice.payment_failed[open]".to_owned()), "{kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("checkout.session.async_payment_failed[complete]"));
        books.play_until(on(2, 4)).expect("played");
        assert_eq!((only(&books).1, payment_status(&books, &id)), (status, Value::from("unpaid")));
    }
}

#[test]
fn a_trial_begins_without_a_card_and_is_paused_at_its_end() {
    let mut books = books(Shape::Endive);
    let paid = session(&mut books, None);
    assert!(books.complete_session_without_card(&paid).is_err(), "only a trial");
    let customer = books.session(&paid).expect("a session").customer.clone().expect("a customer");
    let new = NewSession {
        customer: Some(customer.clone()),
        customer_email: None,
        client_reference_id: None,
        price: books.price("price_monthly", "price").expect("a price").clone(),
        quantity: 1,
        trial_days: Some(14),
        trial_end: TrialEnd::Pause,
        metadata: [].into(),
        subscription_metadata: [].into(),
        success_url: "https://read.example/back".to_owned(),
        cancel_url: None,
        promotion_codes: None,
        expires_at: None,
    };
    let trial = books.open_session(new).expect("a session").id.clone();
    assert!(books.complete_session_later(&trial, WhileProcessing::Active).is_err(), "a trial has nothing to pay");
    books.complete_session_without_card(&trial).expect("begun");
    assert_eq!(payment_status(&books, &trial), "no_payment_required");
    assert_eq!(books.customer(&customer, "customer").map(|customer| customer.card), Ok(Card::Missing));
    books.play_until(on(2, 14)).expect("played");
    assert_eq!(only(&books).1, Status::Paused);
}
