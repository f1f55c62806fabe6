//! What the provider keeps: plain data, in our own words; `render` gives it Stripe's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::table::Row;
use crate::Timestamp;
use crate::provider::settings::Price;

/// Free key and value pairs of the caller.
pub type Metadata = BTreeMap<String, String>;

/// What happens when a customer's card is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    Good,
    Declined,
}

pub struct Customer {
    pub id: String,
    pub email: Option<String>,
    pub name: Option<String>,
    pub metadata: Metadata,
    pub card: Card,
    pub created: Timestamp,
    pub presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    Deleted,
}

/// A hosted checkout of one recurring price.
pub struct CheckoutSession {
    pub id: String,
    pub customer: Option<String>,
    pub customer_email: Option<String>,
    pub client_reference_id: Option<String>,
    pub price: Price,
    pub quantity: u32,
    pub trial_days: Option<u32>,
    pub metadata: Metadata,
    pub subscription_metadata: Metadata,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub promotion_codes: Option<bool>,
    pub created: Timestamp,
    pub expires_at: Timestamp,
    pub state: SessionState,
}

/// Where a checkout session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    Open,
    Complete { subscription: String, invoice: String },
    Expired,
}

/// A customer's link into the portal.
pub struct PortalSession {
    pub id: String,
    pub customer: String,
    pub return_url: Option<String>,
    pub created: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    pub item: String,
    pub customer: String,
    pub price: Price,
    pub quantity: u32,
    pub status: Status,
    pub metadata: Metadata,
    pub billing: BillingMode,
    pub created: Timestamp,
    /// Periods are whole months from here, so that the 31st comes back after a short month.
    pub anchor: Timestamp,
    pub period: Period,
    pub trial: Option<Period>,
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
    /// Stripe's `pause_collection.behavior`, while collection is paused.
    pub paused: Option<String>,
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
            Self::Canceled => "canceled",
        }
    }

    pub const fn is_over(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
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

pub struct Invoice {
    pub id: String,
    pub number: String,
    pub customer: String,
    pub subscription: String,
    pub price: Price,
    pub quantity: u32,
    /// In minor units.
    pub amount: i64,
    /// Stripe's `billing_reason`.
    pub reason: &'static str,
    pub status: InvoiceStatus,
    pub attempts: u32,
    pub next_attempt: Option<Timestamp>,
    pub created: Timestamp,
    pub period: Period,
    pub paid_at: Option<Timestamp>,
    /// How much was given back, in minor units.
    pub refunded: i64,
    pub charge: String,
    pub payment_intent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

impl InvoiceStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
        }
    }
}

/// An event as it was sent: its body never changes afterwards.
#[derive(Debug)]
pub struct Event {
    pub id: String,
    /// Stripe's `type`.
    pub kind: String,
    pub created: Timestamp,
    pub body: Value,
}

impl Row for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for CheckoutSession {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for PortalSession {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for Subscription {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for Invoice {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for Arc<Event> {
    fn id(&self) -> &str {
        &self.id
    }
}
