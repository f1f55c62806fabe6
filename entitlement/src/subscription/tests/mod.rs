//! The access of each state.

mod bills;

use proptest::prelude::*;

use super::*;
use crate::payment::{Invoice, Line};

fn at(day: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::days(day)
}

const GRACE: Grace = Grace {
    past_due: Duration::days(14),
    renewal: Duration::days(3),
    trial: Duration::zero(),
    authentication: Duration::days(3),
};
const ACTIVE: State = State::Active { paid_until: Some(Timestamp::UNIX_EPOCH) };

fn subscription(state: State, cancel_at: Option<i64>) -> Subscription {
    Subscription {
        id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
        customer: "cus_1".into(),
        prices: vec!["price_monthly".into()],
        items: Vec::new(),
        started_at: at(0),
        state,
        collection_paused: false,
        resumes_at: None,
        cancel_at: cancel_at.map(at),
        period_start: Some(at(0)),
        first_due: None,
        as_of: at(0),
        before: None,
    }
}

#[test]
fn each_state_gives_the_access_that_it_should() {
    let active = State::Active { paid_until: Some(at(30)) };
    let cases = [
        ("incomplete", State::Incomplete, None, None),
        ("unpaid", State::Unpaid, None, None),
        ("paused", State::Paused, None, None),
        ("of a status that nobody knows", State::Unknown, None, None),
        ("a trial ends on its day", State::Trialing { ends_at: at(14) }, None, Some((Some(14), Status::Trialing))),
        ("a canceled trial", State::Trialing { ends_at: at(14) }, Some(14), Some((Some(14), Status::Canceling))),
        ("a late renewal has grace", active, None, Some((Some(33), Status::Active))),
        ("a scheduled end has none", active, Some(30), Some((Some(30), Status::Canceling))),
        ("no period told", State::Active { paid_until: None }, None, Some((None, Status::Active))),
        ("past due", State::PastDue { since: at(30) }, None, Some((Some(44), Status::PastDue))),
        ("past due, then canceled", State::PastDue { since: at(30) }, Some(35), Some((Some(35), Status::PastDue))),
        ("no longer listed", State::Lapsed { at: at(9) }, None, Some((Some(9), Status::Active))),
        ("ended by a person", State::WrittenOff { at: at(9) }, None, Some((Some(9), Status::Active))),
        ("ended", State::Ended { at: at(7) }, None, Some((Some(7), Status::Active))),
        ("ended before it began", State::Ended { at: at(0) }, None, None),
    ];
    for (what, state, cancel_at, expected) in cases {
        let access = subscription(state, cancel_at).access(&GRACE, &Policy::default(), &[]);
        let expected =
            expected.map(|(until, status): (Option<i64>, Status)| Access { from: at(0), until: until.map(at), status });
        assert_eq!(access, expected, "{what}");
    }
}

/// The day until which there is access: 0 when there is none, -1 when it is open.
fn until(subscription: &Subscription, policy: &Policy, setbacks: &[Setback]) -> i64 {
    match subscription.access(&GRACE, policy, setbacks) {
        None => 0,
        Some(Access { until: None, .. }) => -1,
        Some(Access { until: Some(until), .. }) => (until - at(0)).num_days(),
    }
}

#[test]
fn policy_says_what_each_setback_does() {
    let strict = Policy::default();
    let mild = Policy { refund: Loss::Keep, dispute: Hold::Keep, pause: Hold::Keep, unpaid: Hold::Keep };
    let second_period =
        Subscription { period_start: Some(at(30)), ..subscription(State::Active { paid_until: Some(at(60)) }, None) };
    let cases: [(&str, &[Setback], i64, i64); 9] = [
        ("nothing", &[], 63, 63),
        ("the current period is refunded", &[Setback::Refunded { at: at(40), covers_from: at(30) }], 40, 63),
        ("an earlier period is refunded", &[Setback::Refunded { at: at(40), covers_from: at(0) }], 63, 63),
        ("a payment is disputed", &[Setback::Disputed { since: at(41) }], 41, 63),
        ("a dispute about this period is lost", &[Setback::Lost { at: at(42), covers_from: at(30) }], 42, 63),
        ("a dispute about an earlier one is lost", &[Setback::Lost { at: at(42), covers_from: at(0) }], 63, 63),
        ("its bill is written off", &[Setback::WrittenOff { at: at(42), covers_from: at(30) }], 42, 63),
        ("an earlier bill is written off", &[Setback::WrittenOff { at: at(42), covers_from: at(0) }], 63, 63),
        ("the customer is gone", &[Setback::CustomerGone { at: at(43) }], 43, 43),
    ];
    for (what, setbacks, under_strict, under_mild) in cases {
        assert_eq!(until(&second_period, &strict, setbacks), under_strict, "{what}");
        assert_eq!(until(&second_period, &mild, setbacks), under_mild, "{what}, mildly");
    }
    let paused = Subscription { collection_paused: true, ..second_period };
    assert_eq!((until(&paused, &strict, &[]), until(&paused, &mild, &[])), (0, 63), "collection is paused");
    let pause_kept = Policy { pause: Hold::Keep, ..strict };
    let off = [Setback::WrittenOff { at: at(42), covers_from: at(30) }];
    assert_eq!(until(&paused, &pause_kept, &off), 63, "what is billed during a pause is written off");
    let unpaid = subscription(State::Unpaid, None);
    assert_eq!((until(&unpaid, &strict, &[]), until(&unpaid, &mild, &[])), (0, -1), "unpaid");
}

#[test]
fn one_moment_is_recognised_whatever_we_made_of_the_first_failure() {
    let standing = |state| subscription(state, None).standing();
    let (one, other) = (State::PastDue { since: at(1) }, State::PastDue { since: at(2) });
    assert!(standing(one).is_same(&standing(other)));
    assert!(!standing(ACTIVE).is_same(&standing(State::Active { paid_until: Some(at(1)) })));
    assert!(!standing(one).is_same(&subscription(one, Some(3)).standing()));
}

fn item(from: i64, until: i64) -> Item {
    Item { id: Some("si_1".into()), price: "price_monthly".into(), from: Some(at(from)), until: Some(at(until)) }
}

fn bill(lines: &[(&str, i64, i64, i64)], settled: bool) -> Invoice {
    let line = |(place, (price, from, until, amount)): (usize, &(&str, i64, i64, i64))| Line {
        id: format!("il_{place}"),
        item: Some("si_1".into()),
        price: Some((*price).into()),
        from: at(*from),
        until: Some(at(*until)),
        whole: (until - from) % 30 == 0,
        amount: *amount,
    };
    let lines: Vec<Line> = lines.iter().enumerate().map(line).collect();
    let sum: i64 = lines.iter().map(|line| line.amount).sum();
    Invoice {
        id: "in_1".into(),
        subscription: "sub_1".into(),
        customer: "cus_1".into(),
        renews: true,
        covers_from: lines.iter().map(|line| line.from).max().unwrap_or(at(0)),
        paid: if settled { sum.max(0) } else { 0 },
        balance: 0,
        currency: None,
        settled,
        lines,
        attempts: 1,
        failed_at: None,
        needs_action: false,
        written_off_at: None,
        voided: false,
    }
}

#[test]
fn each_item_has_the_period_that_is_its_own() {
    let mixed = subscription(State::Active { paid_until: Some(at(365)) }, None);
    let until = |item: &Item| mixed.access_to(item, &Dues::default(), (&GRACE, &Policy::default()), &[]);
    assert_eq!(until(&item(0, 30)).and_then(|access| access.until), Some(at(33)), "by the month");
    assert_eq!(until(&item(0, 365)).and_then(|access| access.until), Some(at(368)), "by the year");
    let addon = Item { id: Some("si_2".into()), price: "price_addon".into(), ..item(0, 365) };
    let prices = vec!["price_monthly".into(), "price_addon".into(), "price_of_once".into()];
    let of_once = Item { id: None, price: "price_of_once".into(), from: None, until: None };
    let both = Subscription { items: vec![item(0, 30), addon, of_once], prices, ..mixed.clone() };
    for (price, expected) in [("price_monthly", 30), ("price_addon", 365), ("price_of_once", 99), ("another", 99)] {
        assert_eq!(both.price_paid_until(price, at(99)), at(expected), "{price}");
    }
    let refunded = [Setback::Refunded { at: at(40), covers_from: at(0) }];
    let cut = |item: &Item| mixed.access_to(item, &Dues::default(), (&GRACE, &Policy::default()), &refunded);
    assert_eq!(cut(&item(30, 60)).and_then(|access| access.until), Some(at(63)), "the month before went back");
    assert_eq!(cut(&item(0, 365)).and_then(|access| access.until), Some(at(40)), "this year went back");
}

#[test]
fn an_upgrade_that_was_not_paid_leaves_what_was_last_paid_for() {
    let past_due = subscription(State::PastDue { since: at(10) }, None);
    let basic = bill(&[("price_basic", 0, 30, 700)], true);
    let lines = [("price_basic", 10, 30, -400), ("price_business", 10, 30, 900)];
    let price = |bills: &[Invoice]| Dues::of(&past_due, &item(0, 30), bills).price;
    assert_eq!(price(&[basic.clone(), bill(&lines, false)]).as_deref(), Some("price_basic"));
    assert_eq!(price(&[basic.clone(), bill(&lines, true)]).as_deref(), Some("price_business"), "it was paid");
    assert_eq!(price(&[basic]).as_deref(), Some("price_basic"), "its bill is not known yet");
    assert_eq!(price(&[]), None);
}

proptest! {
    #[test]
    fn a_missing_payment_never_takes_what_was_paid_for(
        paid in prop::collection::vec((0..40_i64, 1..60_i64, any::<bool>()), 0..5),
        since in 20..50_i64,
        first_due in prop::option::of(0..60_i64),
    ) {
        let subscription = Subscription {
            state: State::PastDue { since: at(since) },
            period_start: Some(at(30)),
            first_due: first_due.map(at),
            ..subscription(State::Incomplete, None)
        };
        let bills: Vec<Invoice> = paid
            .iter()
            .enumerate()
            .map(|(place, (from, days, settled))| Invoice {
                id: format!("in_{place}"),
                ..bill(&[("price_monthly", *from, from + days, 700)], *settled)
            })
            .collect();
        let item = item(30, 60);
        let dues = Dues::of(&subscription, &item, &bills);
        let until = subscription
            .access_to(&item, &dues, (&GRACE, &Policy::default()), &[])
            .and_then(|access| access.until)
            .expect("an end");
        let of_paid = paid.iter().filter(|(.., settled)| *settled).map(|(from, days, _)| from + days).max();
        if let Some(end) = of_paid {
            prop_assert!(!dues.never_paid);
            prop_assert_eq!(until, at(end.max(since + 14)), "paid until {}", end);
        } else {
            prop_assert!(until == at(since) || until == at(since + 14));
        }
    }

    #[test]
    fn a3_grace_counts_from_the_failure_and_is_short_where_nothing_was_ever_paid(
        open in prop::collection::vec((20..60_i64, 0..2_i64, prop::option::of(25..60_i64), any::<bool>()), 0..4),
        paid in prop::collection::vec((0..40_i64, 1..60_i64, any::<bool>()), 0..3),
        since in 30..50_i64,
        first_due in prop::option::of(25..55_i64),
    ) {
        // The period began at 30. Each open bill: from when, for a whole period or for a change, its failure, and whether the bank asks.
        let past_due = Subscription {
            state: State::PastDue { since: at(since) },
            period_start: Some(at(30)),
            first_due: first_due.map(at),
            ..subscription(State::Incomplete, None)
        };
        let open_bill = |(from, change, failed_at, asks): &(i64, i64, Option<i64>, bool)| Invoice {
            failed_at: failed_at.map(at),
            needs_action: *asks,
            ..bill(&[("price_monthly", *from, from + 30 - change, 700)], false)
        };
        let paid_bill = |(from, days, is_free): &(i64, i64, bool)| {
            bill(&[("price_monthly", *from, from + days, if *is_free { 0 } else { 700 })], true)
        };
        let bills: Vec<Invoice> = open.iter().map(open_bill).chain(paid.iter().map(paid_bill)).collect();
        let dues = Dues::of(&past_due, &item(30, 60), &bills);
        let access = past_due.access_to(&item(30, 60), &dues, (&GRACE, &Policy::default()), &[]);

        let of_period: Vec<_> = open.iter().filter(|(from, ..)| *from >= 30).collect();
        let failed = of_period.iter().filter_map(|(_, _, failed_at, _)| *failed_at).chain([since]).min().unwrap_or(since);
        let billed = of_period.iter().map(|(from, ..)| *from).max().unwrap_or(since).max(since);
        let is_first = first_due.is_some_and(|first| (30..=billed).contains(&first));
        // All began at 0.
        let was_given = paid.contains(&(0, 30, true));
        let never_paid = (is_first || was_given)
            && paid.iter().all(|(.., is_free)| *is_free)
            && of_period.iter().all(|(_, change, ..)| *change == 0);
        let paid_until = paid.iter().map(|(from, days, _)| from + days).max().filter(|until| *until > 30);
        let expected = match never_paid {
            true if of_period.iter().any(|(.., asks)| *asks) => failed + GRACE.authentication.num_days(),
            true => failed + GRACE.trial.num_days(),
            false => paid_until.unwrap_or(0).max(failed + GRACE.past_due.num_days()),
        };
        prop_assert_eq!(access.and_then(|access| access.until), Some(at(expected)));
    }

    #[test]
    fn an_item_gives_access_for_its_own_period_whatever_the_others_have(
        periods in prop::collection::vec((0..30_i64, 31..400_i64), 1..6),
    ) {
        let last = periods.iter().map(|(_, until)| *until).max().unwrap_or(0);
        let whole = subscription(State::Active { paid_until: Some(at(last)) }, None);
        for (from, until) in periods {
            let access = whole.access_to(&item(from, until), &Dues::default(), (&GRACE, &Policy::default()), &[]);
            prop_assert_eq!(access.and_then(|access| access.until), Some(at(until + 3)));
        }
    }
}

#[test]
fn each_state_that_takes_access_has_a_reason_and_a_way_back() {
    use super::{WayBack, Withheld};
    let active = State::Active { paid_until: Some(at(30)) };
    let refunded = Setback::Refunded { at: at(5), covers_from: at(0) };
    let lost = Setback::Lost { at: at(5), covers_from: at(0) };
    let disputed = Setback::Disputed { since: at(5) };
    let off = Setback::WrittenOff { at: at(5), covers_from: at(0) };
    let paused = Subscription { collection_paused: true, ..subscription(active, None) };
    let cases = [
        ("it gives access", subscription(active, None), vec![], None),
        ("refunded", subscription(active, None), vec![refunded], Some((Withheld::Refunded, WayBack::BuyAgain))),
        ("refunded while paused", paused.clone(), vec![refunded], Some((Withheld::Refunded, WayBack::BuyAgain))),
        ("lost", subscription(active, None), vec![lost], Some((Withheld::DisputeLost, WayBack::BuyAgain))),
        ("written off", subscription(active, None), vec![off], Some((Withheld::WrittenOff, WayBack::PayInvoice))),
        ("written off while paused", paused.clone(), vec![off], Some((Withheld::Paused, WayBack::Resume))),
        ("disputed", subscription(active, None), vec![disputed], Some((Withheld::Disputed, WayBack::Wait))),
        ("collection is paused", paused, vec![], Some((Withheld::Paused, WayBack::Resume))),
        ("paused", subscription(State::Paused, None), vec![], Some((Withheld::Paused, WayBack::Resume))),
        (
            "of a status that nobody knows",
            subscription(State::Unknown, None),
            vec![],
            Some((Withheld::UnknownStatus, WayBack::Wait)),
        ),
        ("unpaid", subscription(State::Unpaid, None), vec![], Some((Withheld::Unpaid, WayBack::UpdateCard))),
        (
            "past due for long",
            subscription(State::PastDue { since: at(-10) }, None),
            vec![],
            Some((Withheld::PastDue, WayBack::UpdateCard)),
        ),
        ("past due", subscription(State::PastDue { since: at(5) }, None), vec![], None),
        (
            "incomplete",
            subscription(State::Incomplete, None),
            vec![],
            Some((Withheld::Incomplete, WayBack::UpdateCard)),
        ),
        (
            "not renewed",
            subscription(State::Active { paid_until: Some(at(2)) }, None),
            vec![],
            Some((Withheld::NotRenewed, WayBack::Wait)),
        ),
        ("over", subscription(State::Ended { at: at(5) }, None), vec![refunded], None),
        ("over by its date", subscription(active, Some(9)), vec![], None),
    ];
    for (what, subscription, setbacks, expected) in cases {
        let item = Item { from: None, until: None, ..item(0, 30) };
        let rules = (&GRACE, &Policy::default());
        let withheld = subscription.withheld(&item, &Dues::default(), rules, &setbacks, at(10));
        assert_eq!(withheld.map(|withheld| (withheld, withheld.way_back())), expected, "{what}");
    }
}

#[test]
fn what_was_paid_for_the_period_before_says_nothing_of_this_one() {
    // The clock of the provider may be far ahead of ours, as in its tests.
    let behind = Subscription { period_start: Some(at(30)), ..subscription(State::PastDue { since: at(12) }, None) };
    let dues = Dues::of(&behind, &item(30, 60), &[bill(&[("price_monthly", 0, 30, 700)], true)]);
    assert_eq!((dues.paid_until, dues.price.as_deref()), (None, Some("price_monthly")));
}
