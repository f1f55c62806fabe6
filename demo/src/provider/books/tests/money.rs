//! Money that goes back.

use serde_json::Value;

use super::{subscribed, told};
use crate::provider::books::Books;
use crate::provider::books::model::{Card, DisputeStatus, RefundStatus, Status};
use crate::provider::settings::Shape;

/// The kinds of events since the last call, with one field of the object.
fn told_with(books: &mut Books, field: &str) -> Vec<(String, Value)> {
    let line = |event: &std::sync::Arc<crate::delivery::Event>| {
        (event.kind.clone(), event.body["data"]["object"][field].clone())
    };
    books.take_emitted().iter().map(line).collect()
}

fn charge(books: &Books) -> String {
    books.charges.iter().next().expect("a charge").id.clone()
}

#[test]
fn money_goes_back_once_and_the_subscription_stays() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    let charge = books.charges.iter().next().expect("a charge").id.clone();
    books.give_back(&charge, Some(200), RefundStatus::Succeeded).expect("a part");
    books.give_back(&charge, None, RefundStatus::Succeeded).expect("the rest");
    assert!(books.give_back(&charge, None, RefundStatus::Succeeded).is_err(), "nothing is left");
    let charges: Vec<_> = books
        .take_emitted()
        .iter()
        .filter(|event| event.kind == "charge.refunded")
        .map(|event| event.body["data"]["object"]["amount_refunded"].clone())
        .collect();
    assert_eq!(charges, [200, 700]);
    assert_eq!(books.subscription(&id).map(|own| own.status), Ok(Status::Active));
}

#[test]
fn a_refund_that_fails_is_taken_back_from_the_charge() {
    let (mut books, ..) = subscribed(Shape::Endive, "price_monthly", None);
    let charge = charge(&books);
    let refund = books.give_back(&charge, Some(200), RefundStatus::Pending).expect("on its way");
    assert_eq!(told(&mut books), ["charge.refunded[succeeded]", "refund.created[pending]"]);
    assert_eq!(books.charge(&charge).map(|charge| charge.refunded), Ok(200), "it counts while it is on its way");
    books.set_refund(&refund, RefundStatus::Succeeded).expect("it came");
    assert_eq!(told(&mut books), ["refund.updated[succeeded]", "charge.refund.updated[succeeded]"]);
    books.set_refund(&refund, RefundStatus::Failed).expect("the bank sends it back");
    let kinds: Vec<_> = told(&mut books);
    let expected = [
        "refund.updated[failed]",
        "charge.refund.updated[failed]",
        "refund.failed[failed]",
        "charge.updated[succeeded]",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(books.charge(&charge).map(|charge| charge.refunded), Ok(0));
    assert!(books.set_refund(&refund, RefundStatus::Succeeded).is_err(), "what failed stays so");
    books.give_back(&charge, None, RefundStatus::Succeeded).expect("all of it can be given back again");
    assert_eq!(books.charge(&charge).map(|charge| charge.refunded), Ok(700));
}

#[test]
fn a_dispute_takes_the_money_and_gives_it_back_when_it_is_won() {
    let (mut books, _, id) = subscribed(Shape::Endive, "price_monthly", None);
    let invoice = books.invoices.iter().next().expect("an invoice").id.clone();
    for (status, expected) in [
        (
            DisputeStatus::NeedsResponse,
            vec![
                "charge.updated[succeeded]",
                "charge.dispute.created[needs_response]",
                "charge.dispute.funds_withdrawn[needs_response]",
            ],
        ),
        (DisputeStatus::UnderReview, vec!["charge.dispute.updated[under_review]"]),
        (DisputeStatus::Won, vec!["charge.dispute.closed[won]", "charge.dispute.funds_reinstated[won]"]),
    ] {
        books.dispute_invoice(&invoice, status).expect("it moves on");
        assert_eq!(told(&mut books), expected, "{status:?}");
    }
    assert!(books.dispute_invoice(&invoice, DisputeStatus::Lost).is_err(), "it is decided");
    assert_eq!(books.disputes.len(), 1);
    assert_eq!(books.subscription(&id).map(|own| own.status), Ok(Status::Active));
}

#[test]
fn a_question_of_the_bank_moves_no_money_until_it_becomes_a_dispute() {
    let first = |books: &Books| books.invoices.iter().next().expect("an invoice").id.clone();
    let (mut books, ..) = subscribed(Shape::Endive, "price_monthly", None);
    let invoice = first(&books);
    books.dispute_invoice(&invoice, DisputeStatus::WarningNeedsResponse).expect("a question");
    books.dispute_invoice(&invoice, DisputeStatus::WarningClosed).expect("answered");
    let kinds = told(&mut books);
    assert!(kinds.iter().all(|kind| !kind.contains("funds")), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("charge.dispute.closed[warning_closed]"));

    let (mut books, ..) = subscribed(Shape::Endive, "price_monthly", None);
    let invoice = first(&books);
    books.dispute_invoice(&invoice, DisputeStatus::WarningNeedsResponse).expect("a question");
    told(&mut books);
    books.dispute_invoice(&invoice, DisputeStatus::NeedsResponse).expect("a dispute");
    let expected = ["charge.dispute.funds_withdrawn[needs_response]", "charge.dispute.updated[needs_response]"];
    assert_eq!(told(&mut books), expected);
    assert!(books.dispute_invoice(&invoice, DisputeStatus::WarningClosed).is_err(), "no question any more");
    books.dispute_invoice(&invoice, DisputeStatus::Lost).expect("lost");
    assert_eq!(told(&mut books), ["charge.dispute.closed[lost]"]);
}

#[test]
fn a_bill_stands_alone() {
    let (mut books, customer, _) = subscribed(Shape::Endive, "price_monthly", None);
    let id = books.bill(&customer, 500, "Setting up").expect("a bill");
    let told = told_with(&mut books, "billing_reason");
    assert!(told.contains(&("invoice.paid".to_owned(), Value::from("manual"))), "{told:?}");
    let invoice = books.invoice(&id).expect("an invoice");
    assert!(invoice.subscription.is_none() && invoice.paid_at.is_some());
    books.set_card(&customer, Card::Declined).expect("a card");
    let id = books.bill(&customer, 500, "Setting up").expect("a bill");
    assert!(books.paid_charge(&id).is_err(), "nothing was paid");
    assert!(books.bill(&customer, 0, "Nothing").is_err());
}

#[test]
fn deleting_a_customer_ends_their_subscriptions() {
    let (mut books, customer, id) = subscribed(Shape::Endive, "price_monthly", None);
    books.delete_customer(&customer).expect("deleted");
    assert_eq!(told(&mut books), ["customer.subscription.deleted[canceled]", "customer.deleted"]);
    assert!(books.customer(&customer, "customer").is_err() && books.living(&id).is_err());
}
