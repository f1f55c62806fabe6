//! One provider subscription, in our words: a state that carries its dates, and the access that it grants.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::catalog::Provider;
use crate::timeline::Status;

/// A provider's subscription id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionId {
    pub provider: Provider,
    pub id: String,
}

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum State {
    /// Created, but the first payment has not gone through: no access.
    Incomplete,
    /// Free until `ends_at`.
    Trialing { ends_at: Timestamp },
    /// Paid up to `paid_until`; the provider does not always say until when.
    Active { paid_until: Option<Timestamp> },
    /// A renewal failed first at `since`; the provider retries.
    PastDue { since: Timestamp },
    /// The provider gave up retrying, but keeps the subscription.
    Unpaid,
    /// Collection is paused.
    Paused,
    /// At that moment the provider's list of what runs did not name it. It may come back.
    Lapsed { at: Timestamp },
    /// Over for good: this subscription id never comes back.
    Ended { at: Timestamp },
}

/// A subscription as its provider last told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    /// The provider's customer id.
    pub customer: String,
    /// The prices (Polar: products) of its items.
    pub prices: Vec<String>,
    /// When its access began.
    pub started_at: Timestamp,
    pub state: State,
    /// Whether its provider was told not to collect for now: the state does not show it.
    pub collection_paused: bool,
    /// When it is scheduled to end.
    pub cancel_at: Option<Timestamp>,
    /// Start of the billing period that this was told about; it only moves forward.
    pub period_start: Option<Timestamp>,
    /// The provider's clock when it was told.
    pub as_of: Timestamp,
    /// How it stood before the change that was told, when the provider says so.
    pub before: Option<Box<Standing>>,
}

/// What can change of a subscription while it runs, so that two of its moments can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub prices: Vec<String>,
    pub state: State,
    pub collection_paused: bool,
    pub cancel_at: Option<Timestamp>,
    pub period_start: Option<Timestamp>,
}

/// How long access goes on after a date has passed with no word from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// After the first failed renewal.
    pub past_due: Duration,
    /// After a paid period whose renewal has not been told yet.
    pub renewal: Duration,
    /// After a trial whose first payment has not been told yet.
    pub trial: Duration,
}

/// What takes access from a subscription although its state would give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// The whole payment for the period that began at `covers_from` went back.
    Refunded { at: Timestamp, covers_from: Timestamp },
    /// The cardholder's bank has taken a payment back for now.
    Disputed { since: Timestamp },
    /// The bank has decided for the cardholder about the payment for the period that began at `covers_from`.
    Lost { at: Timestamp, covers_from: Timestamp },
    /// The provider no longer has the customer, so nothing of theirs runs.
    CustomerGone { at: Timestamp },
}

/// What becomes of access while nobody pays for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// None until it is over.
    #[default]
    Suspend,
    /// As before.
    Keep,
}

/// What becomes of access when the money for it went back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It ends at that moment.
    #[default]
    End,
    /// It goes on to the end of the period.
    Keep,
}

/// What refunds, disputes, pauses and unpaid subscriptions do to access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A full refund of the current period.
    pub refund: Loss,
    /// A dispute: while it is open, and, once it is lost, for its period.
    pub dispute: Hold,
    /// Collection is paused.
    pub pause: Hold,
    /// The provider gave up retrying, but keeps the subscription.
    pub unpaid: Hold,
}

/// The access of one subscription: from, until (open when `None`), and how to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub status: Status,
}

impl Subscription {
    /// The interval in which this subscription gives access, if it gives any.
    #[must_use]
    pub fn access(&self, grace: &Grace, policy: &Policy, setbacks: &[Setback]) -> Option<Access> {
        let (until, status) = self.state_access(grace, policy)?;
        let (until, status) = match self.cancel_at {
            Some(end) => (earlier(until, end), canceling(status)),
            None => (until, status),
        };
        let cuts = setbacks.iter().filter_map(|setback| self.cut(*setback, policy));
        let until = cuts.fold(until, earlier);
        let open = until.is_none_or(|until| self.started_at < until);
        open.then_some(Access { from: self.started_at, until, status })
    }

    /// Until when the state alone gives access.
    fn state_access(&self, grace: &Grace, policy: &Policy) -> Option<(Option<Timestamp>, Status)> {
        let runs = !self.collection_paused || policy.pause == Hold::Keep;
        match self.state {
            State::Unpaid if policy.unpaid == Hold::Keep && runs => Some((None, Status::PastDue)),
            State::Incomplete | State::Unpaid | State::Paused => None,
            State::Lapsed { at } | State::Ended { at } => Some((Some(at), Status::Active)),
            _ if !runs => None,
            State::Trialing { ends_at } => Some((Some(ends_at + grace.trial), Status::Trialing)),
            State::Active { paid_until } => Some((paid_until.map(|end| end + grace.renewal), Status::Active)),
            State::PastDue { since } => Some((Some(since + grace.past_due), Status::PastDue)),
        }
    }

    /// When a setback ends the access; never when it does not concern what runs now.
    fn cut(&self, setback: Setback, policy: &Policy) -> Option<Timestamp> {
        let is_current = |covers_from| self.period_start.is_none_or(|start| covers_from >= start);
        match setback {
            Setback::Refunded { at, covers_from } => {
                (policy.refund == Loss::End && is_current(covers_from)).then_some(at)
            }
            Setback::Disputed { since } => (policy.dispute == Hold::Suspend).then_some(since),
            Setback::Lost { at, covers_from } => {
                (policy.dispute == Hold::Suspend && is_current(covers_from)).then_some(at)
            }
            Setback::CustomerGone { at } => Some(at),
        }
    }

    /// What of it can change.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            prices: self.prices.clone(),
            state: self.state,
            collection_paused: self.collection_paused,
            cancel_at: self.cancel_at,
            period_start: self.period_start,
        }
    }

    /// Whether it is over for good.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }
}

impl Standing {
    /// How a subscription stood before it was there.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            prices: Vec::new(),
            state: State::Incomplete,
            collection_paused: false,
            cancel_at: None,
            period_start: None,
        }
    }

    /// Whether both are one moment of a subscription. The date of a first failed payment is ours to keep, so it may
    /// differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let undated = |standing: &Self| match standing.state {
            State::PastDue { .. } => {
                Self { state: State::PastDue { since: Timestamp::UNIX_EPOCH }, ..standing.clone() }
            }
            _ => standing.clone(),
        };
        undated(self) == undated(other)
    }
}

fn earlier(until: Option<Timestamp>, end: Timestamp) -> Option<Timestamp> {
    Some(until.map_or(end, |until| until.min(end)))
}

/// A failed payment matters more to its owner than a scheduled end.
const fn canceling(status: Status) -> Status {
    match status {
        Status::PastDue => Status::PastDue,
        _ => Status::Canceling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::days(day)
    }

    const GRACE: Grace = Grace { past_due: Duration::days(14), renewal: Duration::days(3), trial: Duration::zero() };
    const ACTIVE: State = State::Active { paid_until: Some(Timestamp::UNIX_EPOCH) };

    fn subscription(state: State, cancel_at: Option<i64>) -> Subscription {
        Subscription {
            id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
            customer: "cus_1".into(),
            prices: vec!["price_monthly".into()],
            started_at: at(0),
            state,
            collection_paused: false,
            cancel_at: cancel_at.map(at),
            period_start: Some(at(0)),
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
            ("a trial ends on its day", State::Trialing { ends_at: at(14) }, None, Some((Some(14), Status::Trialing))),
            ("a canceled trial", State::Trialing { ends_at: at(14) }, Some(14), Some((Some(14), Status::Canceling))),
            ("a late renewal has grace", active, None, Some((Some(33), Status::Active))),
            ("a scheduled end has none", active, Some(30), Some((Some(30), Status::Canceling))),
            ("no period told", State::Active { paid_until: None }, None, Some((None, Status::Active))),
            ("past due", State::PastDue { since: at(30) }, None, Some((Some(44), Status::PastDue))),
            ("past due, then canceled", State::PastDue { since: at(30) }, Some(35), Some((Some(35), Status::PastDue))),
            ("no longer listed", State::Lapsed { at: at(9) }, None, Some((Some(9), Status::Active))),
            ("ended", State::Ended { at: at(7) }, None, Some((Some(7), Status::Active))),
            ("ended before it began", State::Ended { at: at(0) }, None, None),
        ];
        for (what, state, cancel_at, expected) in cases {
            let access = subscription(state, cancel_at).access(&GRACE, &Policy::default(), &[]);
            let expected = expected.map(|(until, status): (Option<i64>, Status)| Access {
                from: at(0),
                until: until.map(at),
                status,
            });
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
        let second_period = Subscription {
            period_start: Some(at(30)),
            ..subscription(State::Active { paid_until: Some(at(60)) }, None)
        };
        let cases: [(&str, &[Setback], i64, i64); 7] = [
            ("nothing", &[], 63, 63),
            ("the current period is refunded", &[Setback::Refunded { at: at(40), covers_from: at(30) }], 40, 63),
            ("an earlier period is refunded", &[Setback::Refunded { at: at(40), covers_from: at(0) }], 63, 63),
            ("a payment is disputed", &[Setback::Disputed { since: at(41) }], 41, 63),
            ("a dispute about this period is lost", &[Setback::Lost { at: at(42), covers_from: at(30) }], 42, 63),
            ("a dispute about an earlier one is lost", &[Setback::Lost { at: at(42), covers_from: at(0) }], 63, 63),
            ("the customer is gone", &[Setback::CustomerGone { at: at(43) }], 43, 43),
        ];
        for (what, setbacks, under_strict, under_mild) in cases {
            assert_eq!(until(&second_period, &strict, setbacks), under_strict, "{what}");
            assert_eq!(until(&second_period, &mild, setbacks), under_mild, "{what}, mildly");
        }
        let paused = Subscription { collection_paused: true, ..second_period };
        assert_eq!((until(&paused, &strict, &[]), until(&paused, &mild, &[])), (0, 63), "collection is paused");
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
}
