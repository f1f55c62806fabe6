//! Subscriptions of several prices.

use super::{books, on, price, subscribed, told};
use crate::provider::books::model::TrialEnd;
use crate::provider::books::{Books, ItemChange, NewCustomer, NewSubscription, Proration};
use crate::provider::settings::{Cadence, Price, Shape};

fn seats() -> Price {
    price("price_seats", 100, Cadence::Month)
}

/// The prices and quantities of the only subscription.
fn items(books: &Books) -> Vec<(String, u32)> {
    let own = books.subscriptions.iter().next().expect("a subscription");
    own.items.iter().map(|item| (item.price.id.clone(), item.quantity)).collect()
}

fn of(items: &[(&str, u32)]) -> Vec<(String, u32)> {
    items.iter().map(|(price, quantity)| ((*price).to_owned(), *quantity)).collect()
}

#[test]
fn items_come_change_and_go_and_the_renewal_charges_all_of_them() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    let add = vec![ItemChange::Add { price: seats(), quantity: 2 }];
    books.change_items(&id, add, Proration::None).expect("added");
    let events = books.take_emitted();
    assert_eq!(events[0].body["data"]["object"]["items"]["data"].as_array().map(Vec::len), Some(2));
    assert!(events[0].body["data"]["previous_attributes"]["items"].is_object());
    books.play_until(on(2, 28)).expect("played");
    let last = books.invoices.iter().last().expect("an invoice");
    assert_eq!((last.amount, last.lines.len()), (900, 2));

    let more = ItemChange::Set { item: "price_seats".to_owned(), price: None, quantity: Some(5) };
    books.change_items(&id, vec![more], Proration::None).expect("changed");
    assert_eq!(items(&books), of(&[("price_monthly", 1), ("price_seats", 5)]));
    let gone = ItemChange::Remove { item: "price_monthly".to_owned() };
    books.change_items(&id, vec![gone], Proration::None).expect("removed");
    assert_eq!(items(&books), of(&[("price_seats", 5)]));
}

#[test]
fn a_change_that_cannot_be_changes_nothing() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    let add = |price| ItemChange::Add { price, quantity: 1 };
    let annual = books.price("price_annual", "price").expect("a price").clone();
    let other = Price { currency: "eur".to_owned(), ..seats() };
    let same = books.price("price_monthly", "price").expect("a price").clone();
    let impossible = [
        vec![add(seats()), add(annual)],
        vec![add(other)],
        vec![add(same)],
        vec![ItemChange::Remove { item: "price_monthly".to_owned() }],
        vec![ItemChange::Remove { item: "si_none".to_owned() }],
    ];
    for changes in impossible {
        assert!(books.change_items(&id, changes, Proration::None).is_err());
        assert_eq!(items(&books), of(&[("price_monthly", 1)]));
    }
    assert!(told(&mut books).is_empty());
}

#[test]
fn a_difference_is_charged_at_once_when_that_is_asked_for() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.play_until(on(2, 14)).expect("played");
    let add = vec![ItemChange::Add { price: seats(), quantity: 1 }];
    books.change_items(&id, add, Proration::AlwaysInvoice).expect("added");
    let last = books.invoices.iter().last().expect("an invoice");
    // Half of the month of 28 days is left.
    assert_eq!((last.reason, last.amount), ("subscription_update", 50));
}

#[test]
fn a_subscription_begins_with_several_items() {
    let mut books = books(Shape::Endive);
    let customer = books.create_customer(NewCustomer::default()).expect("a customer");
    let monthly = books.price("price_monthly", "price").expect("a price").clone();
    let trial_end = TrialEnd::default();
    let new =
        |items| NewSubscription { customer: customer.clone(), items, trial_days: None, trial_end, metadata: [].into() };
    books.subscribe(new(vec![(monthly, 1), (seats(), 3)])).expect("a subscription");
    assert_eq!(items(&books), of(&[("price_monthly", 1), ("price_seats", 3)]));
    assert_eq!(books.invoices.iter().map(|invoice| invoice.amount).sum::<i64>(), 1000);
    assert!(books.subscribe(new(vec![])).is_err());
}
