//! A subscription: what it is for, where it stands, and what time will do to it.

use serde::Deserialize;

use super::{Metadata, Row};
use crate::Timestamp;
use crate::provider::settings::Price;

#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    pub items: Items,
    pub customer: String,
    pub status: Status,
    pub metadata: Metadata,
    pub billing: BillingMode,
    pub created: Timestamp,
    /// Periods are whole months from here, so that the 31st comes back after a short month.
    pub anchor: Timestamp,
    pub period: Period,
    pub trial: Option<Period>,
    /// What happens when the trial ends and there is no card.
    pub trial_end: TrialEnd,
    /// Whether `customer.subscription.trial_will_end` was sent.
    pub trial_end_told: bool,
    pub ending: Option<Ending>,
    /// When its end was asked for.
    pub canceled_at: Option<Timestamp>,
    /// Why it ends, in Stripe's words.
    pub cancel_reason: Option<&'static str>,
    pub ended_at: Option<Timestamp>,
    pub latest_invoice: Option<String>,
    pub dunning: Option<Dunning>,
    /// While its first payment takes days, it does not expire.
    pub is_processing: bool,
    pub paused: Option<Pause>,
    /// The schedule that manages it.
    pub schedule: Option<String>,
}

impl Row for Subscription {
    const KIND: &'static str = "subscription";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// One price of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub price: Price,
    pub quantity: u32,
    pub created: Timestamp,
}

impl Item {
    /// What one period of it costs, in minor units: of usage nothing is reported here.
    pub fn amount(&self) -> i64 {
        if self.price.metered { 0 } else { self.price.amount * i64::from(self.quantity) }
    }
}

/// What a subscription is for: at least one item. The first one's cadence is the subscription's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    first: Item,
    rest: Vec<Item>,
}

impl Items {
    pub const fn new(first: Item) -> Self {
        Self { first, rest: Vec::new() }
    }

    pub const fn first(&self) -> &Item {
        &self.first
    }

    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub fn len(&self) -> usize {
        1 + self.rest.len()
    }

    /// The item with this id, or with this price.
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.iter().find(|item| item.id == name || item.price.id == name)
    }

    /// As [`Items::get`].
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Item> {
        std::iter::once(&mut self.first).chain(&mut self.rest).find(|item| item.id == name || item.price.id == name)
    }

    pub fn push(&mut self, item: Item) {
        self.rest.push(item);
    }

    /// Takes an item away; `None` when there is none of this id, or no other one.
    pub fn remove(&mut self, id: &str) -> Option<Item> {
        if self.first.id == id {
            let next = (!self.rest.is_empty()).then(|| self.rest.remove(0))?;
            return Some(std::mem::replace(&mut self.first, next));
        }
        let place = self.rest.iter().position(|item| item.id == id)?;
        Some(self.rest.remove(place))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A subscription's status; the names are Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }

    pub const fn is_over(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
    }

    /// Whether a payment of its latest invoice makes it active.
    pub const fn is_owing(self) -> bool {
        matches!(self, Self::Incomplete | Self::PastDue | Self::Unpaid)
    }
}

/// What a trial without a card ends in: Stripe's `trial_settings.end_behavior.missing_payment_method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialEnd {
    #[default]
    CreateInvoice,
    Cancel,
    Pause,
}

impl TrialEnd {
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateInvoice => "create_invoice",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
        }
    }
}

/// How a scheduled end is written down, which depends on who asked and on the billing mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `cancel_at_period_end: true`.
    PeriodEnd,
    /// `cancel_at` alone.
    At(Timestamp),
}

/// Stripe's `billing_mode.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingMode {
    Classic,
    Flexible,
}

/// Retries of a failed renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dunning {
    pub invoice: String,
    pub failed: usize,
    pub next: Timestamp,
}

/// Stripe's `pause_collection`: the status stays, and invoices are set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub behavior: PauseBehavior,
    /// When collection goes on by itself.
    pub resumes_at: Option<Timestamp>,
}

/// What becomes of the invoices of a paused collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseBehavior {
    KeepAsDraft,
    MarkUncollectible,
    Void,
}

impl PauseBehavior {
    pub const ALL: [Self; 3] = [Self::KeepAsDraft, Self::MarkUncollectible, Self::Void];

    pub const fn name(self) -> &'static str {
        match self {
            Self::KeepAsDraft => "keep_as_draft",
            Self::MarkUncollectible => "mark_uncollectible",
            Self::Void => "void",
        }
    }
}
