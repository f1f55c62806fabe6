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
    /// When it is scheduled to end.
    pub cancel_at: Option<Timestamp>,
    /// Start of the billing period that this was told about; it only moves forward.
    pub period_start: Option<Timestamp>,
    /// The provider's clock when it was told.
    pub as_of: Timestamp,
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

/// The access of one subscription: from, until (open when `None`), and how to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub status: Status,
}

impl Subscription {
    /// The interval in which this subscription gives access, if its state gives any.
    #[must_use]
    pub fn access(&self, grace: &Grace) -> Option<Access> {
        let (until, status) = match self.state {
            State::Incomplete | State::Unpaid | State::Paused => return None,
            State::Trialing { ends_at } => (Some(ends_at + grace.trial), Status::Trialing),
            State::Active { paid_until } => (paid_until.map(|end| end + grace.renewal), Status::Active),
            State::PastDue { since } => (Some(since + grace.past_due), Status::PastDue),
            State::Ended { at } => (Some(at), Status::Active),
        };
        let (until, status) = match self.cancel_at {
            Some(end) => (Some(until.map_or(end, |until| until.min(end))), canceling(status)),
            None => (until, status),
        };
        let open = until.is_none_or(|until| self.started_at < until);
        open.then_some(Access { from: self.started_at, until, status })
    }

    /// Whether this subscription can still grant something, now or later.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }
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

    fn subscription(state: State, cancel_at: Option<i64>) -> Subscription {
        Subscription {
            id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
            customer: "cus_1".into(),
            prices: vec!["price_monthly".into()],
            started_at: at(0),
            state,
            cancel_at: cancel_at.map(at),
            period_start: Some(at(0)),
            as_of: at(0),
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
            ("ended", State::Ended { at: at(7) }, None, Some((Some(7), Status::Active))),
            ("ended before it began", State::Ended { at: at(0) }, None, None),
        ];
        for (what, state, cancel_at, expected) in cases {
            let access = subscription(state, cancel_at).access(&GRACE);
            let expected = expected.map(|(until, status): (Option<i64>, Status)| Access {
                from: at(0),
                until: until.map(at),
                status,
            });
            assert_eq!(access, expected, "{what}");
        }
    }
}
