//! What the provider keeps: plain data, in our own words; `render` gives it Stripe's.

mod money;
mod schedule;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::table::Row;
use crate::Timestamp;
use crate::delivery::Event;
use crate::provider::settings::Price;

pub use self::money::{
    Charge, Dispute, DisputeStatus, Invoice, InvoiceStatus, Line, Outcome, Refund, RefundStatus, Source,
};
pub use self::schedule::{EndBehavior, Phase, Schedule, ScheduleStatus};
pub use self::subscription::{
    BillingMode, Dunning, Ending, Item, Items, Pause, PauseBehavior, Period, Status, Subscription, TrialEnd,
};

/// Free key and value pairs of the caller.
pub type Metadata = BTreeMap<String, String>;

/// What happens when a customer is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    Good,
    Declined,
    /// There is no card to charge.
    Missing,
}

impl Card {
    /// Its name on a page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Declined => "declined",
            Self::Missing => "missing",
        }
    }
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
    pub trial_end: TrialEnd,
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
    Complete { subscription: String, invoice: String, payment: SessionPayment },
    Expired,
}

/// What became of the money of a completed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPayment {
    /// It came, or none was due.
    Settled,
    /// It takes days, as a debit does.
    Pending,
    /// It never came.
    Failed,
}

/// A customer's link into the portal.
pub struct PortalSession {
    pub id: String,
    pub customer: String,
    pub return_url: Option<String>,
    pub created: Timestamp,
}

impl Row for Customer {
    const KIND: &'static str = "customer";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for CheckoutSession {
    const KIND: &'static str = "checkout.session";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for PortalSession {
    const KIND: &'static str = "billing_portal.session";

    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

impl Row for Price {
    const KIND: &'static str = "price";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for Arc<Event> {
    const KIND: &'static str = "event";

    fn id(&self) -> &str {
        &self.id
    }
}
