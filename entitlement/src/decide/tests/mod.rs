//! Which word stands: a table, and whole lives in any order.

mod items;
mod words;

use chrono::Duration;
use proptest::prelude::*;

use super::*;
use crate::catalog::Provider;
use crate::subscription::SubscriptionId;

use self::items::{item, of_items};

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::seconds(second)
}

/// A subscription told at `as_of`, in the period that began at `period`.
fn told(as_of: i64, period: i64, state: State) -> Subscription {
    Subscription {
        id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
        customer: "cus_1".into(),
        prices: vec!["price_monthly".into()],
        items: Vec::new(),
        started_at: at(0),
        state,
        collection_paused: false,
        resumes_at: None,
        cancel_at: None,
        period_start: Some(at(period)),
        first_due: None,
        as_of: at(as_of),
        before: None,
    }
}

/// The same change, with how it stood before.
fn after(before: &Subscription, seen: Subscription) -> Subscription {
    Subscription { before: Some(Box::new(before.standing())), ..seen }
}

fn after_nothing(seen: Subscription) -> Subscription {
    Subscription { before: Some(Box::new(Standing::nothing())), ..seen }
}

fn active(until: i64) -> State {
    State::Active { paid_until: Some(at(until)) }
}

/// The rank of the tier that a price buys.
fn rank(price: &str) -> Option<u32> {
    price.strip_prefix("price_tier_")?.parse().ok()
}

const EVENT: Evidence = Evidence::Told { arrival: 1 };

fn by_event(known: Option<&Subscription>, seen: Subscription) -> Decision {
    decide(known.map(|known| Known { subscription: known.clone(), observation: 0 }).as_ref(), seen, EVENT, rank)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_event_ends_as_this_table_says() {
    use Decision::{Apply, Confirm, Ignore};
    use Ignored::{Older, Unproven};
    let ended = |second| State::Ended { at: at(second) };
    let past_due = |second| State::PastDue { since: at(second) };
    let lapsed = |second| State::Lapsed { at: at(second) };
    let (paid, paused) = (told(9, 0, active(30)), told(9, 0, State::Paused));
    let cases = [
        ("the first word", None, told(5, 0, active(30)), Apply(told(5, 0, active(30)))),
        ("incomplete after active", Some(told(5, 0, active(30))), told(6, 0, State::Incomplete), Ignore(Older)),
        (
            "active after incomplete, of an earlier second",
            Some(told(5, 0, State::Incomplete)),
            told(4, 0, active(30)),
            Apply(told(5, 0, active(30))),
        ),
        ("the next period", Some(paid.clone()), told(31, 30, active(60)), Apply(told(31, 30, active(60)))),
        ("an earlier period, late", Some(told(31, 30, active(60))), told(40, 0, active(30)), Ignore(Older)),
        ("an earlier moment of the period", Some(paused.clone()), told(8, 0, active(30)), Ignore(Older)),
        ("less access in the same second, without proof", Some(paid.clone()), paused.clone(), Ignore(Unproven)),
        ("and the other way round", Some(paused.clone()), paid.clone(), Apply(paid.clone())),
        (
            "less after the creation in its second, without proof",
            Some(after_nothing(paid.clone())),
            told(9, 0, State::Unpaid),
            Ignore(Unproven),
        ),
        (
            "and the other way round, with the creation",
            Some(told(9, 0, State::Unpaid)),
            after_nothing(paid.clone()),
            Apply(after_nothing(paid.clone())),
        ),
        (
            "another change of the same second, in the order of arrival",
            Some(paid.clone()),
            told(9, 0, active(20)),
            Apply(told(9, 0, active(20))),
        ),
        (
            "a revocation of the same second that changed something else",
            Some(paid.clone()),
            after(&told(9, 0, active(20)), paused.clone()),
            Ignore(Unproven),
        ),
        (
            "the creation, after a change of its second",
            Some(paid.clone()),
            after_nothing(paused.clone()),
            Ignore(Older),
        ),
        (
            "a change of the second of the creation",
            Some(after_nothing(paid.clone())),
            told(9, 0, active(20)),
            Apply(told(9, 0, active(20))),
        ),
        (
            "access of the same second that changed something else",
            Some(paused.clone()),
            after(&told(9, 0, active(20)), paid.clone()),
            Apply(after(&told(9, 0, active(20)), paid.clone())),
        ),
        (
            "a revocation of the same second that says what it changed",
            Some(paid.clone()),
            after(&paid, paused.clone()),
            Apply(after(&paid, paused.clone())),
        ),
        ("what that revocation changed", Some(after(&paid, paused.clone())), paid.clone(), Ignore(Older)),
        ("the same again, later", Some(paid.clone()), told(12, 0, active(30)), Confirm(told(12, 0, active(30)))),
        ("the very same", Some(paid.clone()), paid.clone(), Confirm(paid.clone())),
        ("the end", Some(paid.clone()), told(10, 0, ended(10)), Apply(told(10, 0, ended(10)))),
        (
            "an end that was overtaken",
            Some(told(12, 30, active(60))),
            told(10, 0, ended(10)),
            Apply(told(12, 0, ended(10))),
        ),
        ("a late update after the end", Some(told(10, 0, ended(10))), told(99, 30, active(60)), Ignore(Ignored::Ended)),
        ("the end again", Some(told(10, 0, ended(10))), told(11, 0, ended(11)), Ignore(Ignored::Ended)),
        ("an earlier end", Some(told(11, 0, ended(11))), told(10, 0, ended(10)), Apply(told(11, 0, ended(10)))),
        (
            "a second failed payment",
            Some(told(10, 0, past_due(10))),
            told(20, 0, past_due(20)),
            Confirm(told(20, 0, past_due(10))),
        ),
        (
            "the first failed payment, late",
            Some(told(20, 0, past_due(20))),
            told(10, 0, past_due(10)),
            Apply(told(20, 0, past_due(10))),
        ),
        (
            "a failed payment of an earlier period, late",
            Some(told(40, 30, past_due(40))),
            told(10, 0, past_due(10)),
            Ignore(Older),
        ),
        (
            "the same of the same second, made of something else",
            Some(paid.clone()),
            after(&told(9, 0, active(20)), paid.clone()),
            Confirm(after(&told(9, 0, active(20)), paid.clone())),
        ),
        (
            "active at the moment when it was not listed",
            Some(told(5, 0, lapsed(9))),
            told(9, 0, active(30)),
            Ignore(Older),
        ),
        ("payment recovered", Some(told(10, 0, past_due(10))), told(20, 0, active(30)), Apply(told(20, 0, active(30)))),
        ("active before it was not listed", Some(told(5, 0, lapsed(9))), told(8, 0, active(30)), Ignore(Older)),
        (
            "past due when it was not listed",
            Some(told(5, 0, lapsed(9))),
            told(8, 0, past_due(8)),
            Apply(told(8, 0, past_due(8))),
        ),
        (
            "active after it was not listed",
            Some(told(5, 0, lapsed(9))),
            told(10, 0, active(30)),
            Apply(told(10, 0, active(30))),
        ),
    ];
    for (what, known, seen, expected) in cases {
        assert_eq!(by_event(known.as_ref(), seen), expected, "{what}");
    }
}

#[test]
fn an_answer_is_ordered_by_when_it_was_asked_for_and_by_nothing_else() {
    let known = Known { subscription: told(40, 30, active(60)), observation: 7 };
    let unpaid = told(5, 0, State::Unpaid);
    let asked = |observation| decide(Some(&known), unpaid.clone(), Evidence::Asked { observation }, rank);
    assert_eq!(asked(7), Decision::Ignore(Ignored::Older));
    assert_eq!(asked(8), Decision::Apply(Subscription { as_of: at(40), ..unpaid.clone() }));
    let event = |arrival| decide(Some(&known), told(50, 30, State::Unpaid), Evidence::Told { arrival }, rank);
    assert_eq!(event(6), Decision::Ignore(Ignored::Older), "the answer was given after the event had arrived");
    assert!(matches!(event(8), Decision::Apply(_)));
    let ended = Known { subscription: told(10, 0, State::Ended { at: at(10) }), observation: 0 };
    let back = decide(Some(&ended), told(50, 30, active(60)), Evidence::Asked { observation: 9 }, rank);
    assert_eq!(back, Decision::Ignore(Ignored::Ended));
    let end = decide(Some(&known), told(10, 0, State::Ended { at: at(10) }), Evidence::Told { arrival: 1 }, rank);
    assert!(matches!(end, Decision::Apply(_)), "an end is an end, whenever it arrives");
}

#[test]
fn a_scheduled_end_and_its_withdrawal_are_both_applied() {
    let known = told(5, 0, active(30));
    let canceling = Subscription { cancel_at: Some(at(30)), as_of: at(6), ..known.clone() };
    assert_eq!(by_event(Some(&known), canceling.clone()), Decision::Apply(canceling.clone()));
    let back = Subscription { cancel_at: None, as_of: at(7), ..canceling.clone() };
    assert_eq!(by_event(Some(&canceling), back.clone()), Decision::Apply(back));
}

#[test]
fn two_failures_are_two_though_the_recovery_between_was_lost() {
    let past_due = |as_of, period| told(as_of, period, State::PastDue { since: at(as_of) });
    let since = |decision| match decision {
        Decision::Apply(Subscription { state: State::PastDue { since }, .. })
        | Decision::Confirm(Subscription { state: State::PastDue { since }, .. }) => Some(since),
        _ => None,
    };
    let first = past_due(1, 0);
    let asked = |known: &Subscription, seen| {
        let known = Known { subscription: known.clone(), observation: 0 };
        decide(Some(&known), seen, Evidence::Asked { observation: 9 }, rank)
    };
    assert_eq!(since(by_event(Some(&first), past_due(20, 0))), Some(at(1)), "the same period");
    assert_eq!(since(by_event(Some(&first), past_due(31, 30))), Some(at(31)), "another period");
    let recovered = after(&told(30, 30, active(60)), past_due(31, 30));
    assert_eq!(since(asked(&first, recovered)), Some(at(31)), "it was paid right before");
    let still = after(&past_due(30, 30), past_due(31, 30));
    assert_eq!(since(by_event(Some(&first), still)), Some(at(1)), "it was not");
    assert_eq!(since(asked(&first, past_due(31, 30))), Some(at(1)), "an answer goes on");
}

#[test]
fn an_end_is_final_whoever_tells_of_it() {
    let ended = told(3, 0, State::Ended { at: at(3) });
    for evidence in [Evidence::Told { arrival: 1 }, Evidence::Asked { observation: 1 }] {
        let known = Known { subscription: told(40, 30, active(60)), observation: 7 };
        assert!(matches!(decide(Some(&known), ended.clone(), evidence, rank), Decision::Apply(_)), "{evidence:?}");
    }
}

#[test]
fn a_first_charge_that_never_went_through_was_due_from_the_start() {
    let incomplete = Subscription { first_due: Some(at(0)), ..told(1, 0, State::Incomplete) };
    let past_due = told(2, 0, State::PastDue { since: at(2) });
    let Decision::Apply(known) = by_event(Some(&incomplete), past_due.clone()) else { panic!("it is news") };
    assert_eq!(known.first_due, Some(at(0)));
    let paid = told(3, 0, active(30));
    let Decision::Apply(known) = by_event(Some(&known), paid) else { panic!("it is news") };
    assert_eq!(known.first_due, None, "it was paid");
    let again = Subscription { as_of: at(4), ..past_due };
    assert!(matches!(by_event(Some(&known), again), Decision::Apply(Subscription { first_due: None, .. })));
}

fn some_state() -> impl Strategy<Value = State> {
    prop_oneof![
        (0..90_i64).prop_map(|s| State::Trialing { ends_at: at(s) }),
        (0..90_i64).prop_map(active),
        (0..90_i64).prop_map(|s| State::PastDue { since: at(s) }),
        Just(State::Paused),
        Just(State::Unpaid),
    ]
}

/// A whole life as its provider tells it: first incomplete or not, then changes, seconds apart or two in one second
/// (then the second says what it changed), in periods that only move forward, then perhaps the end.
fn life() -> impl Strategy<Value = Vec<Subscription>> {
    let change = (0..3_i64, any::<bool>(), any::<bool>(), prop::option::of(30..90_i64), some_state());
    (any::<bool>(), prop::collection::vec(change, 1..8), any::<bool>()).prop_map(|(incomplete, changes, ends)| {
        let mut told_so_far = Vec::new();
        let (mut second, mut period, mut tied) = (1, 0, false);
        if incomplete {
            told_so_far.push(after_nothing(told(second, period, State::Incomplete)));
        }
        for (gap, paused, renews, cancel_at, state) in changes {
            let next =
                Subscription { collection_paused: paused, cancel_at: cancel_at.map(at), ..told(second, period, state) };
            // Three in one second could not be told apart, nor could there and back.
            let back =
                told_so_far.iter().nth_back(1).is_some_and(|it: &Subscription| it.standing().is_same(&next.standing()));
            let gap = if tied || back || told_so_far.is_empty() { gap.max(1) } else { gap };
            tied = gap == 0;
            second += gap;
            period += i64::from(renews && gap > 0) * 30;
            let next = Subscription { as_of: at(second), period_start: Some(at(period)), ..next };
            match told_so_far.last() {
                Some(last) => told_so_far.push(after(last, next)),
                None => told_so_far.push(after_nothing(next)),
            }
        }
        if ends {
            told_so_far.push(told(second + 1, period, State::Ended { at: at(second + 1) }));
        }
        told_so_far
    })
}

/// The lives of two items in one subscription: each renews by itself, and the second comes and goes.
fn life_of_items() -> impl Strategy<Value = Vec<Subscription>> {
    prop::collection::vec((0..4_u8, 1..4_i64), 1..9).prop_map(|steps| {
        let (mut second, mut tier, mut addon) = (1, 0, None);
        let mut life = vec![after_nothing(of_items(second, &[item("si_tier", tier)]))];
        for (place, (step, gap)) in steps.into_iter().enumerate() {
            second += gap;
            match (step, addon) {
                (0, _) => tier += 30,
                (1, Some((id, from))) => addon = Some((id, from + 30)),
                // What is bought again is another item.
                (2, None) => addon = Some((place, second)),
                (3, Some(_)) => addon = None,
                _ => {}
            }
            let items: Vec<Item> = addon
                .map(|(id, from)| item(&format!("si_addon_{id}"), from))
                .into_iter()
                .chain([item("si_tier", tier)])
                .collect();
            let next = of_items(second, &items);
            let last = life.last().map(Subscription::standing);
            life.push(Subscription { before: last.map(Box::new), ..next });
        }
        life
    })
}

/// Everything of a life, some of it twice, in any order.
fn shuffled() -> impl Strategy<Value = (Vec<Subscription>, Vec<Subscription>)> {
    life().prop_flat_map(|life| {
        let copies = prop::collection::vec(1..3_usize, life.len());
        copies.prop_flat_map(move |copies| {
            let told = life.iter().zip(copies).flat_map(|(event, copies)| vec![event.clone(); copies]);
            (Just(life.clone()), Just(told.collect::<Vec<_>>()).prop_shuffle())
        })
    })
}

fn next(known: Option<Subscription>, seen: &Subscription) -> Option<Subscription> {
    match by_event(known.as_ref(), seen.clone()) {
        Decision::Apply(next) | Decision::Confirm(next) => Some(next),
        Decision::Ignore(_) => known,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn items_that_come_and_go_end_as_they_were_told_last(
        arrived in life_of_items().prop_flat_map(|life| (Just(life.clone()), Just(life).prop_shuffle())),
    ) {
        let (life, arrived) = arrived;
        let known = arrived.iter().fold(None, next).expect("something was told");
        prop_assert_eq!(&known.items, &life.last().expect("a life").items);
    }

    #[test]
    fn whatever_arrives_in_whatever_order_the_last_word_stands((life, arrived) in shuffled()) {
        let mut known = None;
        let mut over = false;
        for event in &arrived {
            known = next(known, event);
            let is_ended = known.as_ref().is_some_and(Subscription::is_ended);
            prop_assert!(is_ended || !over, "an ended subscription came back");
            over = is_ended;
        }
        let (known, last) = (known.expect("something was told"), life.last().expect("a life"));
        prop_assert!(known.standing().is_same(&last.standing()), "{:?} instead of {:?}", known, last);
    }
}
