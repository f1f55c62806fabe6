//! The bills' word on a payment that is missing: a table.

use super::*;

#[test]
fn what_a_missing_payment_leaves_follows_from_the_bills() {
    let past_due = subscription(State::PastDue { since: at(42) }, None);
    let in_period = |first_due: Option<i64>| Subscription {
        period_start: Some(at(30)),
        first_due: first_due.map(at),
        ..past_due.clone()
    };
    let first = bill(&[("price_monthly", 30, 60, 700)], false);
    let asked = Invoice { needs_action: true, ..first.clone() };
    let early = Invoice { failed_at: Some(at(35)), ..first.clone() };
    let begun = |start: i64| Subscription { started_at: at(start), ..in_period(None) };
    let before = bill(&[("price_monthly", 0, 30, 700)], true);
    let free = bill(&[("price_monthly", 0, 30, 0)], true);
    let free_before = bill(&[("price_monthly", -30, 0, 0)], true);
    let paid_change = bill(&[("price_monthly", 10, 30, -350), ("price_business", 10, 30, 900)], true);
    let ahead = bill(&[("price_monthly", 50, 80, 700)], false);
    let (first_open, first_asked, paid_before) = (first.clone(), asked.clone(), before.clone());
    let of_addon = bill(&[("price_addon", 30, 60, 700)], false);
    let of_nothing = bill(&[("price_monthly", 0, 30, 0)], true);
    let change = bill(&[("price_monthly", 45, 60, -350), ("price_business", 45, 60, 900)], false);
    let yearly = bill(&[("price_monthly", 0, 360, 7000)], true);
    let of_another = Invoice { subscription: "sub_2".into(), failed_at: Some(at(35)), ..first.clone() };
    let in_part = Invoice { paid: 300, ..first.clone() };
    let mut unnamed = first.clone();
    unnamed.lines[0].price = None;
    let cases = [
        ("a renewal", in_period(None), vec![first.clone(), before.clone()], 42 + 14),
        ("nothing is known of bills", in_period(None), vec![], 42 + 14),
        ("it failed earlier than was told", in_period(None), vec![early, before.clone()], 35 + 14),
        ("after a trial", in_period(Some(30)), vec![first.clone(), of_nothing], 42),
        ("after a trial, of no bill", in_period(Some(30)), vec![], 42),
        ("after a trial, the bank asks", in_period(Some(30)), vec![asked.clone()], 42 + 3),
        ("the period after the first", in_period(Some(0)), vec![first.clone()], 42 + 14),
        ("something was paid", in_period(Some(30)), vec![first.clone(), before], 42 + 14),
        ("a change within the first period", in_period(Some(30)), vec![change.clone()], 42 + 14),
        ("the very first", begun(30), vec![first_open.clone()], 42),
        ("the very first, the bank asks", begun(30), vec![first_asked], 42 + 3),
        ("the very first, of no bill", begun(30), vec![], 42 + 14),
        ("the very first of an add-on", begun(30), vec![of_addon], 42 + 14),
        ("the very first, and something was paid", begun(30), vec![first_open.clone(), paid_before], 42 + 14),
        ("not the very first", begun(0), vec![first_open.clone()], 42 + 14),
        ("the first was free", begun(0), vec![first_open.clone(), free.clone()], 42),
        ("the first was free, and the bank asks", begun(0), vec![asked, free.clone()], 42 + 3),
        ("it began before the free one", begun(-30), vec![first_open.clone(), free.clone()], 42 + 14),
        ("two before it were free", begun(-30), vec![first_open.clone(), free.clone(), free_before], 42),
        (
            "the first was free, and a change in it was paid",
            begun(0),
            vec![first_open.clone(), free.clone(), paid_change],
            42 + 14,
        ),
        ("a trial ended ahead of our clock, of no bill", in_period(Some(50)), vec![], 42 + 14),
        (
            "a trial ended ahead of our clock",
            Subscription { period_start: Some(at(50)), ..in_period(Some(50)) },
            vec![ahead],
            42,
        ),
        ("a bill of another subscription failed", in_period(None), vec![first.clone(), of_another], 42 + 14),
        ("the very first, paid in part", begun(30), vec![in_part], 42),
        ("the very first, of no price", begun(30), vec![unnamed], 42 + 14),
        ("a change within a year that is paid", in_period(None), vec![change, yearly], 360),
    ];
    for (what, subscription, bills, expected) in cases {
        for bills in [bills.clone(), bills.into_iter().rev().collect()] {
            let item = item(30, 60);
            let dues = Dues::of(&subscription, &item, &bills);
            let access = subscription.access_to(&item, &dues, (&GRACE, &Policy::default()), &[]);
            assert_eq!(access.and_then(|access| access.until), Some(at(expected)), "{what}");
        }
    }
}
