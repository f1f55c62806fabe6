//! Which word stands: a table, and whole lives in any order.

use chrono::Duration;
use proptest::prelude::*;

use super::*;
use crate::catalog::Provider;
use crate::subscription::SubscriptionId;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::seconds(second)
}

/// A subscription told at `as_of`, in the period that began at `period`.
fn told(as_of: i64, period: i64, state: State) -> Subscription {
    Subscription {
        id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
        customer: "cus_1".into(),
        prices: vec!["price_monthly".into()],
        started_at: at(0),
        state,
        collection_paused: false,
        cancel_at: None,
        period_start: Some(at(period)),
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

const EVENT: Evidence = Evidence::Told { arrival: 1 };

fn by_event(known: Option<&Subscription>, seen: Subscription) -> Decision {
    decide(known.map(|known| Known { subscription: known.clone(), observation: 0 }).as_ref(), seen, EVENT)
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
        (
            "a change of the same second, in the order of arrival",
            Some(paid.clone()),
            paused.clone(),
            Apply(paused.clone()),
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
            paused.clone(),
            Apply(paused.clone()),
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
    let asked = |observation| decide(Some(&known), unpaid.clone(), Evidence::Asked { observation });
    assert_eq!(asked(7), Decision::Ignore(Ignored::Older));
    assert_eq!(asked(8), Decision::Apply(Subscription { as_of: at(40), ..unpaid.clone() }));
    let event = |arrival| decide(Some(&known), told(50, 30, State::Unpaid), Evidence::Told { arrival });
    assert_eq!(event(6), Decision::Ignore(Ignored::Older), "the answer was given after the event had arrived");
    assert!(matches!(event(8), Decision::Apply(_)));
    let ended = Known { subscription: told(10, 0, State::Ended { at: at(10) }), observation: 0 };
    let back = decide(Some(&ended), told(50, 30, active(60)), Evidence::Asked { observation: 9 });
    assert_eq!(back, Decision::Ignore(Ignored::Ended));
    let end = decide(Some(&known), told(10, 0, State::Ended { at: at(10) }), Evidence::Told { arrival: 1 });
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
