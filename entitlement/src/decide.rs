//! Whether what a provider told changes what we know of a subscription.
//!
//! Providers deliver late, twice and out of order, and a moment of theirs has only seconds. What is provably older than
//! what we know never overwrites it, and a subscription that ended never comes back.

use crate::subscription::{State, Subscription};

/// The answer for one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Store this.
    Apply(Subscription),
    /// Keep what we have.
    Ignore(Ignored),
}

/// Why an observation changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The subscription is over, and a subscription id never comes back.
    Ended,
    /// We know something newer.
    Older,
    /// We know exactly this.
    Unchanged,
}

impl Ignored {
    /// The reason as an operator reads it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ended => "the subscription has already ended",
            Self::Older => "something newer is known of the subscription",
            Self::Unchanged => "the subscription is already known like this",
        }
    }
}

/// Decides what becomes of `seen`, given what is known.
#[must_use]
pub fn decide(known: Option<&Subscription>, seen: Subscription) -> Decision {
    let Some(known) = known else { return Decision::Apply(seen) };
    if known.is_ended() {
        return Decision::Ignore(Ignored::Ended);
    }
    if !seen.is_ended() && is_older(&seen, known) {
        return Decision::Ignore(Ignored::Older);
    }
    let next = carried_over(known, seen);
    if (Subscription { as_of: known.as_of, ..next.clone() }) == *known {
        return Decision::Ignore(Ignored::Unchanged);
    }
    Decision::Apply(next)
}

/// Whether `seen` provably describes an earlier moment than `known`.
fn is_older(seen: &Subscription, known: &Subscription) -> bool {
    // A payment that went through is never followed by "not yet paid for the first time".
    if seen.state == State::Incomplete && known.state != State::Incomplete {
        return true;
    }
    match (seen.period_start, known.period_start) {
        (Some(seen), Some(known)) if seen != known => seen < known,
        // Within one period only whole seconds tell: equal ones prove nothing, and arrival decides.
        _ => seen.as_of < known.as_of,
    }
}

/// Dates that the first observation settles: the start, and the first failed payment.
fn carried_over(known: &Subscription, seen: Subscription) -> Subscription {
    let state = match (known.state, seen.state) {
        (State::PastDue { since: first }, State::PastDue { since }) => State::PastDue { since: first.min(since) },
        (_, state) => state,
    };
    Subscription { state, started_at: known.started_at.min(seen.started_at), ..seen }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
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
            cancel_at: None,
            period_start: Some(at(period)),
            as_of: at(as_of),
        }
    }

    fn active(until: i64) -> State {
        State::Active { paid_until: Some(at(until)) }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_observation_ends_as_this_table_says() {
        let ended = |second| State::Ended { at: at(second) };
        let past_due = |second| State::PastDue { since: at(second) };
        let apply = |subscription: Subscription| Decision::Apply(subscription);
        let cases = [
            ("the first word", None, told(5, 0, active(30)), apply(told(5, 0, active(30)))),
            (
                "incomplete after active",
                Some(told(5, 0, active(30))),
                told(5, 0, State::Incomplete),
                Decision::Ignore(Ignored::Older),
            ),
            (
                "active after incomplete",
                Some(told(5, 0, State::Incomplete)),
                told(5, 0, active(30)),
                apply(told(5, 0, active(30))),
            ),
            (
                "the next period",
                Some(told(5, 0, active(30))),
                told(31, 30, active(60)),
                apply(told(31, 30, active(60))),
            ),
            (
                "an earlier period, late",
                Some(told(31, 30, active(60))),
                told(40, 0, active(30)),
                Decision::Ignore(Ignored::Older),
            ),
            (
                "an earlier moment of the period",
                Some(told(9, 0, State::Paused)),
                told(8, 0, active(30)),
                Decision::Ignore(Ignored::Older),
            ),
            (
                "the same second",
                Some(told(9, 0, active(30))),
                told(9, 0, State::Paused),
                apply(told(9, 0, State::Paused)),
            ),
            (
                "the same again, later",
                Some(told(9, 0, active(30))),
                told(12, 0, active(30)),
                Decision::Ignore(Ignored::Unchanged),
            ),
            ("the end", Some(told(9, 0, active(30))), told(10, 0, ended(10)), apply(told(10, 0, ended(10)))),
            (
                "an end that was overtaken",
                Some(told(12, 30, active(60))),
                told(10, 0, ended(10)),
                apply(told(10, 0, ended(10))),
            ),
            (
                "a late update after the end",
                Some(told(10, 0, ended(10))),
                told(99, 30, active(60)),
                Decision::Ignore(Ignored::Ended),
            ),
            ("the end again", Some(told(10, 0, ended(10))), told(11, 0, ended(11)), Decision::Ignore(Ignored::Ended)),
            (
                "a second failed payment",
                Some(told(10, 0, past_due(10))),
                told(20, 0, past_due(20)),
                Decision::Ignore(Ignored::Unchanged),
            ),
            (
                "payment recovered",
                Some(told(10, 0, past_due(10))),
                told(20, 0, active(30)),
                apply(told(20, 0, active(30))),
            ),
        ];
        for (what, known, seen, expected) in cases {
            assert_eq!(decide(known.as_ref(), seen), expected, "{what}");
        }
    }

    #[test]
    fn a_scheduled_end_and_its_withdrawal_are_both_applied() {
        let known = told(5, 0, active(30));
        let canceling = Subscription { cancel_at: Some(at(30)), as_of: at(6), ..known.clone() };
        assert_eq!(decide(Some(&known), canceling.clone()), Decision::Apply(canceling.clone()));
        let back = Subscription { cancel_at: None, as_of: at(7), ..canceling.clone() };
        assert_eq!(decide(Some(&canceling), back.clone()), Decision::Apply(back));
    }

    fn any_subscription() -> impl Strategy<Value = Subscription> {
        let state = prop_oneof![
            Just(State::Incomplete),
            (0..90_i64).prop_map(|s| State::Trialing { ends_at: at(s) }),
            (0..90_i64).prop_map(active),
            (0..90_i64).prop_map(|s| State::PastDue { since: at(s) }),
            Just(State::Paused),
            Just(State::Unpaid),
            (0..90_i64).prop_map(|s| State::Ended { at: at(s) }),
        ];
        (0..90_i64, 0..3_i64, state).prop_map(|(as_of, period, state)| told(as_of, period * 30, state))
    }

    fn fold(events: &[Subscription]) -> Option<Subscription> {
        events.iter().fold(None, |known, seen| match decide(known.as_ref(), seen.clone()) {
            Decision::Apply(next) => Some(next),
            Decision::Ignore(_) => known,
        })
    }

    proptest! {
        #[test]
        fn an_ended_subscription_never_comes_back(events in prop::collection::vec(any_subscription(), 1..12)) {
            let over = events.iter().any(Subscription::is_ended);
            let result = fold(&events).expect("there was an event");
            prop_assert_eq!(result.is_ended(), over, "any end wins, wherever it stands in the order");
        }

        #[test]
        fn a_duplicate_changes_nothing(events in prop::collection::vec(any_subscription(), 1..8)) {
            let once = fold(&events);
            let doubled: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
            prop_assert_eq!(once, fold(&doubled));
        }
    }
}
