//! One provider subscription, in our words: a state that carries its dates, and the access that it grants.

mod dues;
mod item;
#[cfg(test)]
mod tests;
mod withheld;

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::catalog::Provider;
use crate::timeline::Status;

pub use dues::Dues;
pub use item::Item;
pub use withheld::{WayBack, Withheld};

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
    /// At that moment the provider's list of what runs did not name it. It comes back when the provider tells of it again.
    Lapsed { at: Timestamp },
    /// A person ended it here, as the provider no longer showed it. It comes back in the same way: the person may have been wrong.
    WrittenOff { at: Timestamp },
    /// Its provider gives it a status that this build does not know: no access, and it may run.
    Unknown,
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
    /// Its items with their periods, sorted; none where only the prices are known.
    pub items: Vec<Item>,
    /// When its access began.
    pub started_at: Timestamp,
    pub state: State,
    /// Whether its provider was told not to collect for now: the state does not show it.
    pub collection_paused: bool,
    /// When it collects again by itself, where that was told.
    pub resumes_at: Option<Timestamp>,
    /// When it is scheduled to end.
    pub cancel_at: Option<Timestamp>,
    /// Start of the billing period that this was told about; it only moves forward.
    pub period_start: Option<Timestamp>,
    /// When its first charge was due, where that was not at once or had not gone through yet: nothing was paid before.
    pub first_due: Option<Timestamp>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace {
    /// After the first failed renewal.
    pub past_due: Duration,
    /// After a paid period whose renewal has not been told yet.
    pub renewal: Duration,
    /// After a trial whose first payment has not been told yet, and after a first payment that failed: nothing was ever paid.
    pub trial: Duration,
    /// The same, while the bank waits for the buyer's word.
    pub authentication: Duration,
}

impl Grace {
    /// How long a buyer has to answer the bank about a first payment, where nothing else is said.
    pub const AUTHENTICATION: Duration = Duration::days(3);

    /// The longest of each, which the database refuses to exceed: a hundred years.
    pub const MAX: Duration = Duration::days(36_500);
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
    /// The bill for the period that began at `covers_from` was written off: it is no longer collected.
    WrittenOff { at: Timestamp, covers_from: Timestamp },
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
    /// The provider gave up retrying, but keeps the subscription; or the bill for the period was written off.
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
    /// The interval in which this subscription gives access, if it gives any, whatever its items.
    #[must_use]
    pub fn access(&self, grace: &Grace, policy: &Policy, setbacks: &[Setback]) -> Option<Access> {
        let item = Item { id: None, price: String::new(), from: None, until: None };
        self.access_to(&item, &Dues::default(), (grace, policy), setbacks)
    }

    /// The interval in which this subscription gives access to one of its items, if it gives any.
    #[must_use]
    pub fn access_to(
        &self,
        item: &Item,
        dues: &Dues,
        (grace, policy): (&Grace, &Policy),
        setbacks: &[Setback],
    ) -> Option<Access> {
        let (until, status) = self.state_access(item, dues, grace, policy)?;
        let (until, status) = match self.cancel_at {
            Some(end) => (earlier(until, end), canceling(status)),
            None => (until, status),
        };
        let cuts = setbacks.iter().filter_map(|setback| self.cut(item, *setback, policy));
        let until = cuts.fold(until, earlier);
        let open = until.is_none_or(|until| self.started_at < until);
        open.then_some(Access { from: self.started_at, until, status })
    }

    /// Until when the state alone gives access.
    fn state_access(
        &self,
        item: &Item,
        dues: &Dues,
        grace: &Grace,
        policy: &Policy,
    ) -> Option<(Option<Timestamp>, Status)> {
        let runs = !self.collection_paused || policy.pause == Hold::Keep;
        match self.state {
            State::Unpaid if policy.unpaid == Hold::Keep && runs => Some((None, Status::PastDue)),
            State::Incomplete | State::Unpaid | State::Paused | State::Unknown => None,
            State::Lapsed { at } | State::WrittenOff { at } | State::Ended { at } => Some((Some(at), Status::Active)),
            _ if !runs => None,
            State::Trialing { ends_at } => Some((Some(ends_at + grace.trial), Status::Trialing)),
            State::Active { paid_until } => {
                let paid_until = paid_until.map(|end| item.until.unwrap_or(end));
                Some((paid_until.map(|end| end + grace.renewal), Status::Active))
            }
            State::PastDue { since } => {
                let since = dues.failed_at.map_or(since, |failed_at| failed_at.min(since));
                let until = match (dues.never_paid, dues.needs_action) {
                    (true, true) => since + grace.authentication,
                    (true, false) => since + grace.trial,
                    // What was paid for is not lost by another payment that fails.
                    (false, _) => dues.paid_until.unwrap_or(since).max(since + grace.past_due),
                };
                Some((Some(until), Status::PastDue))
            }
        }
    }

    /// When a setback ends the access; never when it does not concern what runs now.
    fn cut(&self, item: &Item, setback: Setback, policy: &Policy) -> Option<Timestamp> {
        let is_current = |covers_from| self.period_of(item).is_none_or(|start| covers_from >= start);
        match setback {
            Setback::Refunded { at, covers_from } => {
                (policy.refund == Loss::End && is_current(covers_from)).then_some(at)
            }
            Setback::Disputed { since } => (policy.dispute == Hold::Suspend).then_some(since),
            Setback::Lost { at, covers_from } => {
                (policy.dispute == Hold::Suspend && is_current(covers_from)).then_some(at)
            }
            // A bill during a pause is for the pause to decide.
            Setback::WrittenOff { at, covers_from } => {
                let counts = policy.unpaid == Hold::Suspend && !self.collection_paused && is_current(covers_from);
                counts.then_some(at)
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

    /// Whether it is over at `now`: by its state, or by its date.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Lapsed { .. } | State::WrittenOff { .. } | State::Ended { .. })
            || self.cancel_at.is_some_and(|end| end <= now)
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
