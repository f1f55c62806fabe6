//! What Polar keeps: plain data, in our own words; `render` gives it Polar's.

use serde::Deserialize;

use crate::Timestamp;
use crate::polar::settings::Product;
use crate::provider::{Card, Metadata};
use crate::table::Row;

pub struct Customer {
    pub id: String,
    /// The site's own id of its customer.
    pub external_id: Option<String>,
    pub email: String,
    pub name: Option<String>,
    pub metadata: Metadata,
    pub card: Card,
    pub created: Timestamp,
    pub modified: Option<Timestamp>,
    pub deleted: Option<Timestamp>,
}

impl Row for Customer {
    const KIND: &'static str = "customer";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Clone)]
pub struct Subscription {
    pub id: String,
    pub customer: String,
    pub product: Product,
    pub metadata: Metadata,
    pub status: Status,
    pub created: Timestamp,
    pub modified: Option<Timestamp>,
    /// Periods are whole months from here, so that the 31st comes back after a short month.
    pub anchor: Timestamp,
    pub period: Period,
    pub trial: Option<Period>,
    /// Whether it ends with the period; with [`Subscription::canceled`] and [`Subscription::ends`].
    pub is_ending: bool,
    pub canceled: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub ends: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub past_due: Option<Timestamp>,
    /// Whether it pauses with the period.
    pub is_pausing: bool,
    pub paused: Option<Timestamp>,
    pub resumes: Option<Timestamp>,
    pub dunning: Option<Dunning>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A subscription's status; the names are Polar's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Paused,
    Canceled,
    Unpaid,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
            Self::Unpaid => "unpaid",
        }
    }

    /// What Polar calls active: it stands in its customer's state.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Trialing | Self::Active)
    }

    pub const fn is_over(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled | Self::Unpaid)
    }
}

/// Retries of a failed renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dunning {
    pub order: String,
    pub failed: usize,
    /// When the first try failed.
    pub began: Timestamp,
    pub next: Timestamp,
}

pub struct Order {
    pub id: String,
    pub customer: String,
    pub product: Product,
    pub subscription: Option<String>,
    /// In minor units.
    pub amount: i64,
    /// How much was given back, in minor units.
    pub refunded: i64,
    /// Polar's `billing_reason`.
    pub reason: &'static str,
    pub is_paid: bool,
    pub created: Timestamp,
    pub modified: Option<Timestamp>,
    pub next_attempt: Option<Timestamp>,
    pub number: usize,
}

impl Order {
    /// Polar's `status`.
    pub const fn status(&self) -> &'static str {
        match (self.is_paid, self.refunded) {
            (false, _) => "pending",
            (true, 0) => "paid",
            (true, refunded) if refunded < self.amount => "partially_refunded",
            (true, _) => "refunded",
        }
    }
}

impl Row for Order {
    const KIND: &'static str = "order";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// A hosted checkout of one product.
pub struct Checkout {
    pub id: String,
    /// Stands in its URL.
    pub secret: String,
    pub product: Product,
    pub external_customer_id: Option<String>,
    pub metadata: Metadata,
    pub customer_metadata: Metadata,
    pub allow_discount_codes: bool,
    /// 0: charged at once.
    pub trial_days: u32,
    pub success_url: Option<String>,
    pub return_url: Option<String>,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Who bought, and what: once it was paid.
    pub customer: Option<String>,
    pub subscription: Option<String>,
}

impl Row for Checkout {
    const KIND: &'static str = "checkout";

    fn id(&self) -> &str {
        &self.id
    }
}

pub struct Refund {
    pub id: String,
    pub order: String,
    pub customer: String,
    pub subscription: Option<String>,
    /// In minor units.
    pub amount: i64,
    pub currency: String,
    pub status: RefundStatus,
    pub reason: RefundReason,
    pub created: Timestamp,
    pub modified: Option<Timestamp>,
}

impl Row for Refund {
    const KIND: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// Where a refund stands; the names are Polar's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
    Canceled,
}

impl RefundStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// Why money goes back. Polar gives it back by itself when a dispute is likely to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    #[default]
    CustomerRequest,
    DisputePrevention,
}

impl RefundReason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::CustomerRequest => "customer_request",
            Self::DisputePrevention => "dispute_prevention",
        }
    }
}
