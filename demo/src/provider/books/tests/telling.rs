//! In which manner changes are told, and that seeding tells nothing.

use super::{books, on, subscribed, told};
use crate::provider::books::table::Paging;
use crate::provider::books::{NewCustomer, Seed};
use crate::provider::settings::{Echo, EventForm, Shape, Telling};

#[test]
fn a_thin_event_names_its_object_and_its_snapshot() {
    for (form, sent) in [(EventForm::Snapshot, 1), (EventForm::Thin, 1), (EventForm::Both, 2)] {
        let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
        books.set_manner(|manner| manner.form = form);
        books.cancel_in_portal(&id).expect("scheduled");
        let events = books.take_emitted();
        assert_eq!(events.len(), sent, "{form:?}");
        let snapshot = books.events().last().expect("an event").clone();
        if form == EventForm::Snapshot {
            assert_eq!(events[0].id, snapshot.id);
            continue;
        }
        let thin = events.last().expect("an event");
        let body = &thin.body;
        assert_ne!(thin.id, snapshot.id);
        assert_eq!(
            (&body["object"], &body["type"]),
            (&"v2.core.event".into(), &"v1.customer.subscription.updated".into())
        );
        assert_eq!(body["created"], "2026-01-31T12:00:00.000Z");
        assert_eq!(body["snapshot_event"], *snapshot.id);
        assert_eq!(body["related_object"]["id"], *id);
        assert_eq!(body["related_object"]["type"], "subscription");
        assert_eq!(body["related_object"]["url"], format!("/v1/subscriptions/{id}"));
        assert!(body.get("data").is_none() && books.thin_event(&thin.id).is_ok() && books.event(&thin.id).is_ok());
    }
}

#[test]
fn one_change_can_make_two_events() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.set_manner(|manner| manner.echo = Echo::Twice);
    books.cancel_in_portal(&id).expect("scheduled");
    let events = books.take_emitted();
    assert_eq!(events.len(), 2);
    assert_ne!(events[0].id, events[1].id);
    assert_eq!(events[0].body["data"], events[1].body["data"]);
}

#[test]
fn an_event_names_the_connected_account() {
    let mut books = books(Shape::Endive);
    books.create_customer(NewCustomer::default()).expect("a customer");
    books.set_manner(|manner| manner.account = Some("acct_other".to_owned()));
    books.create_customer(NewCustomer::default()).expect("a customer");
    let events = books.take_emitted();
    assert!(events[0].body.get("account").is_none());
    assert_eq!(events[1].body["account"], "acct_other");
}

#[test]
fn what_is_done_in_silence_is_done_but_never_told() {
    let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
    let before = books.events().count();
    books.set_manner(|manner| manner.telling = Telling::Silent);
    books.play_until(on(2, 28)).expect("played");
    books.delete_customer(&customer).expect("deleted");
    assert!(told(&mut books).is_empty() && books.events().count() == before);
    assert!(books.living(&id).is_err() && books.invoices.len() == 2);
}

#[test]
fn seeded_customers_pay_and_nobody_is_told() {
    let mut books = books(Shape::Endive);
    let metadata = [("account".to_owned(), "user-{n}".to_owned())].into();
    let seed = Seed { count: 3, price: "price_monthly".to_owned(), metadata };
    let made = books.seed(&seed).expect("seeded");
    assert!(told(&mut books).is_empty() && books.events().next().is_none());
    let accounts: Vec<_> = books.subscriptions.iter().map(|own| own.metadata["account"].clone()).collect();
    assert_eq!((made.len(), accounts), (3, ["user-0", "user-1", "user-2"].map(String::from).to_vec()));
    let invoice = books.invoices.iter().next().expect("an invoice").id.clone();
    assert!(books.paid_charge(&invoice).is_ok());
    assert!(books.seed(&Seed { count: u32::MAX, ..seed }).is_err(), "there is a limit");
    books.play_until(on(2, 28)).expect("played");
    assert_eq!(told(&mut books).len(), 3 * super::RENEWED.len(), "from then on they are like any other");
}

#[test]
fn an_event_that_was_forgotten_is_no_cursor() {
    let mut books = books(Shape::Endive);
    let first = books.emit("test", serde_json::Value::Null, None);
    for _ in 0..crate::provider::books::EVENTS_MAX {
        books.emit("test", serde_json::Value::Null, None);
    }
    assert!(books.event(&first).is_err());
    let after = |id: String| Paging { limit: 2, starting_after: Some(id), ending_before: None };
    assert!(books.event_page(&after(first), |_| true).is_err());
    let third = books.events().nth(2).expect("an event").id.clone();
    let page = books.event_page(&after(third), |_| true).expect("a page");
    let oldest: Vec<_> = books.events().take(2).map(|event| event.id.clone()).collect();
    assert_eq!(page.rows.iter().rev().map(|event| event.id.clone()).collect::<Vec<_>>(), oldest);
    assert!(!page.has_more);
}
