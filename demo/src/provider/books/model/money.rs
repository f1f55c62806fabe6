//! Money: invoices, the charges that pay them, and what goes back by refund or dispute.

use serde::Deserialize;

use super::{Metadata, Period, Row};
use crate::Timestamp;
use crate::provider::settings::Price;

pub struct Invoice {
    pub id: String,
    pub number: String,
    pub customer: String,
    /// `None`: a single bill.
    pub subscription: Option<String>,
    /// The subscription's metadata when the invoice was made.
    pub subscription_metadata: Metadata,
    pub lines: Vec<Line>,
    pub currency: String,
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
    pub payment_intent: String,
    /// The id of its invoice payment, which links it to the payment intent.
    pub payment: String,
    /// The latest charge: there is none before the first try, or when nothing is due.
    pub charge: Option<String>,
}

impl Row for Invoice {
    const KIND: &'static str = "invoice";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// One line of an invoice.
#[derive(Clone, Debug)]
pub struct Line {
    pub description: String,
    /// In minor units.
    pub amount: i64,
    pub quantity: u32,
    pub source: Source,
}

/// What a line is charged for.
#[derive(Clone, Debug)]
pub enum Source {
    /// A whole period of a subscription's item.
    Period { item: String, price: Price },
    /// The difference that a change in the middle of a period makes.
    Proration { item: String, price: Price },
    /// Something outside any subscription.
    Single,
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

/// One try to move the money of an invoice.
pub struct Charge {
    pub id: String,
    pub invoice: String,
    pub customer: String,
    pub payment_intent: String,
    /// In minor units.
    pub amount: i64,
    pub currency: String,
    pub created: Timestamp,
    pub outcome: Outcome,
    /// How much was given back or is on its way, in minor units.
    pub refunded: i64,
    pub dispute: Option<String>,
    /// Oldest first.
    pub refunds: Vec<String>,
}

impl Row for Charge {
    const KIND: &'static str = "charge";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed,
    Pending,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

pub struct Refund {
    pub id: String,
    pub charge: String,
    pub payment_intent: String,
    pub customer: String,
    /// In minor units.
    pub amount: i64,
    pub currency: String,
    pub status: RefundStatus,
    pub created: Timestamp,
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

/// Where a refund stands; the names are Stripe's.
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

    /// Whether the money goes, or went, back.
    pub const fn is_standing(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

pub struct Dispute {
    pub id: String,
    pub charge: String,
    pub payment_intent: String,
    pub customer: String,
    /// In minor units.
    pub amount: i64,
    pub currency: String,
    pub status: DisputeStatus,
    pub created: Timestamp,
    /// How much the bank has taken: nothing while it only asks.
    pub withdrawn: i64,
}

impl Row for Dispute {
    const KIND: &'static str = "dispute";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// Where a dispute stands; the names are Stripe's. Those with a warning are only a question of the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeStatus {
    pub const ALL: [Self; 7] = [
        Self::WarningNeedsResponse,
        Self::WarningUnderReview,
        Self::WarningClosed,
        Self::NeedsResponse,
        Self::UnderReview,
        Self::Won,
        Self::Lost,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// Whether the bank only asks, and has taken nothing.
    pub const fn is_warning(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }

    pub const fn is_closed(self) -> bool {
        matches!(self, Self::WarningClosed | Self::Won | Self::Lost)
    }
}

impl Invoice {
    /// Whether there is a payment of it: a draft has none, nor has one over nothing.
    pub fn has_payment(&self) -> bool {
        self.status != InvoiceStatus::Draft && self.amount > 0
    }
}
