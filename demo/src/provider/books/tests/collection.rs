//! How a running subscription is paid for, or not.

use chrono::Duration;

use super::{FAILED, RENEWED, books, on, subscribed, told};
use crate::provider::books::model::{Card, Pause, PauseBehavior, Status, TrialEnd};
use crate::provider::books::{Books, NewCustomer, NewSubscription};
use crate::provider::settings::{Exhausted, Shape};

fn status(books: &Books, id: &str) -> Status {
    books.subscription(id).expect("a subscription").status
}

#[test]
fn a_paused_collection_leaves_the_status_and_sets_invoices_aside() {
    let cases = [
        (PauseBehavior::Void, vec!["invoice.created[draft]", "invoice.finalized[open]", "invoice.voided[void]"]),
        (
            PauseBehavior::MarkUncollectible,
            vec!["invoice.created[draft]", "invoice.finalized[open]", "invoice.marked_uncollectible[uncollectible]"],
        ),
        (PauseBehavior::KeepAsDraft, vec!["invoice.created[draft]"]),
    ];
    for (behavior, aside) in cases {
        let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
        books.pause_collection(&id, Pause { behavior, resumes_at: None }).expect("paused");
        let events = books.take_emitted();
        assert_eq!(events[0].body["data"]["object"]["pause_collection"]["behavior"], behavior.name());
        books.play_until(on(2, 28)).expect("played");
        assert_eq!(told(&mut books), [&["customer.subscription.updated[active]"], &aside[..]].concat(), "{behavior:?}");
        books.unpause_collection(&id).expect("it goes on");
        assert_eq!(told(&mut books), ["customer.subscription.updated[active]"]);
        books.play_until(on(3, 31)).expect("played");
        assert_eq!(told(&mut books), RENEWED, "{behavior:?}");
    }
}

#[test]
fn a_paused_collection_goes_on_by_itself_at_its_moment() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    let pause = |moment| Pause { behavior: PauseBehavior::Void, resumes_at: Some(moment) };
    assert!(books.pause_collection(&id, pause(on(1, 31))).is_err(), "not in the past");
    books.pause_collection(&id, pause(on(2, 10))).expect("paused");
    told(&mut books);
    books.play_until(on(2, 10)).expect("played");
    let events = books.take_emitted();
    assert_eq!((events.len(), events[0].created), (1, on(2, 10)));
    assert!(events[0].body["data"]["object"]["pause_collection"].is_null());
}

#[test]
fn what_follows_the_last_failed_try_was_decided_beforehand() {
    for (exhausted, last, after) in [
        (Exhausted::Cancel, vec!["customer.subscription.deleted[canceled]"], Status::Canceled),
        (Exhausted::Unpaid, vec!["customer.subscription.updated[unpaid]"], Status::Unpaid),
        (Exhausted::LeavePastDue, vec![], Status::PastDue),
    ] {
        let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
        books.exhausted = exhausted;
        books.set_card(&customer, Card::Declined).expect("a card");
        books.play_until(on(2, 28) + Duration::days(15) - Duration::seconds(1)).expect("played");
        told(&mut books);
        assert_eq!(books.invoices.iter().last().map(|invoice| invoice.attempts), Some(3));
        books.play_until(on(2, 28) + Duration::days(15)).expect("played");
        assert_eq!(told(&mut books), [&FAILED[..], &last[..]].concat(), "{exhausted:?}");
        assert_eq!(status(&books, &id), after);
        books.play_until(on(3, 30)).expect("played");
        assert!(told(&mut books).is_empty(), "nothing more in this period");
    }
}

#[test]
fn an_unpaid_subscription_only_drafts_until_somebody_pays() {
    let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.exhausted = Exhausted::Unpaid;
    books.set_card(&customer, Card::Declined).expect("a card");
    books.play_until(on(3, 30)).expect("played");
    told(&mut books);
    books.set_card(&customer, Card::Good).expect("a card");
    books.play_until(on(3, 31)).expect("played");
    assert_eq!(told(&mut books), ["customer.subscription.updated[unpaid]", "invoice.created[draft]"]);
    let [first, latest] = [1, 2].map(|place| books.invoices.iter().nth(place).expect("an invoice").id.clone());
    books.collect(&first).expect("paid");
    assert_eq!(status(&books, &id), Status::Unpaid, "only the latest one counts");
    told(&mut books);
    books.collect(&latest).expect("paid");
    assert_eq!(status(&books, &id), Status::Active);
    assert_eq!(told(&mut books).last().map(String::as_str), Some("customer.subscription.updated[active]"));
    assert!(books.collect(&latest).is_err(), "it is paid once");
}

#[test]
fn a_subscription_left_past_due_is_active_again_when_a_later_period_is_paid() {
    let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.exhausted = Exhausted::LeavePastDue;
    books.set_card(&customer, Card::Declined).expect("a card");
    books.play_until(on(3, 30)).expect("played");
    told(&mut books);
    books.set_card(&customer, Card::Good).expect("a card");
    books.play_until(on(3, 31)).expect("played");
    assert_eq!(told(&mut books), RENEWED);
    assert_eq!(status(&books, &id), Status::Active);
}

#[test]
fn a_declined_card_collects_nothing_and_counts_the_try() {
    let mut books = books(Shape::Endive);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    books.set_card(&customer, Card::Declined).expect("a card");
    let items = vec![(books.price("price_monthly", "price").expect("a price").clone(), 1)];
    let new = NewSubscription {
        customer: customer.clone(),
        items,
        trial_days: None,
        trial_end: TrialEnd::default(),
        metadata: [].into(),
    };
    let id = books.subscribe(new).expect("a subscription");
    let invoice = books.invoices.iter().next().expect("an invoice").id.clone();
    told(&mut books);
    let refused = books.collect(&invoice).expect_err("it is declined");
    assert_eq!(refused.status().as_u16(), 402);
    assert_eq!(told(&mut books), FAILED);
    assert_eq!(books.invoice(&invoice).map(|invoice| invoice.attempts), Ok(2));
    books.set_card(&customer, Card::Good).expect("a card");
    books.collect(&invoice).expect("paid");
    assert_eq!(status(&books, &id), Status::Active, "a first payment that comes late begins the subscription");
}

/// A trial of a fortnight whose customer names no card.
fn cardless(trial_end: TrialEnd) -> (Books, String, String) {
    let mut books = books(Shape::Endive);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    books.set_card(&customer, Card::Missing).expect("no card");
    let items = vec![(books.price("price_monthly", "price").expect("a price").clone(), 1)];
    let new =
        NewSubscription { customer: customer.clone(), items, trial_days: Some(14), trial_end, metadata: [].into() };
    let id = books.subscribe(new).expect("a subscription");
    books.play_until(on(2, 14) - Duration::seconds(1)).expect("played");
    books.take_emitted();
    (books, customer, id)
}

#[test]
fn a_trial_without_a_card_ends_as_was_agreed() {
    let pauses = ["customer.subscription.updated[paused]", "customer.subscription.paused[paused]"];
    let (mut books, ..) = cardless(TrialEnd::Pause);
    books.play_until(on(5, 31)).expect("played");
    assert_eq!(told(&mut books), pauses, "and nothing happens afterwards");

    let (mut books, ..) = cardless(TrialEnd::Cancel);
    books.play_until(on(2, 14)).expect("played");
    assert_eq!(told(&mut books), ["customer.subscription.deleted[canceled]"]);

    let (mut books, ..) = cardless(TrialEnd::CreateInvoice);
    books.play_until(on(2, 14)).expect("played");
    assert_eq!(told(&mut books).last().map(String::as_str), Some("customer.subscription.updated[past_due]"));
}

#[test]
fn a_paused_subscription_is_resumed_by_a_card() {
    let (mut books, customer, id) = cardless(TrialEnd::Pause);
    books.play_until(on(3, 1)).expect("played");
    told(&mut books);
    assert!(books.resume(&id).is_err(), "there still is no card");
    books.set_card(&customer, Card::Good).expect("a card");
    books.resume(&id).expect("resumed");
    let lines = told(&mut books);
    assert_eq!(lines[..RENEWED.len()], RENEWED);
    assert_eq!(lines[RENEWED.len()..], ["customer.subscription.resumed[active]"]);
    let own = books.subscription(&id).expect("a subscription");
    assert_eq!((own.period.start, own.period.end), (on(3, 1), on(4, 1)));
    assert!(books.resume(&id).is_err(), "it runs");
}
