//! Money that came and money that went back: invoices, payments, refunds and disputes.
//!
//! Each is known in pieces that arrive in any order. Two pieces of one thing merge by a rule under which neither order
//! nor repetition matters, so that what is known at the end is the same whatever arrived when.

mod invoice;
mod period;
mod returned;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

pub use invoice::{Invoice, Line};
pub use period::{Bill, Period};
pub use returned::{Part, Returned};

/// A payment by its id: Stripe's payment intent (the charge where there is none), Polar's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: String,
    pub customer: Option<String>,
    /// The invoice that it paid.
    pub invoice: Option<String>,
    /// Minor units; 0 when it was not told.
    pub amount: i64,
    /// Three lower-case letters (ISO 4217).
    pub currency: Option<String>,
    pub made_at: Option<Timestamp>,
    /// Minor units that went back in all, as the payment itself tells.
    pub refunded: i64,
    /// The first moment at which so much had gone back.
    pub refunded_at: Option<Timestamp>,
}

/// One transfer of money back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub payment: String,
    /// Minor units.
    pub amount: i64,
    pub state: RefundState,
    pub at: Timestamp,
}

/// Where a refund stands; one that is made may still fail, and what failed stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Pending,
    Made,
    Failed,
}

/// A cardholder's bank takes a payment back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub payment: String,
    /// Minor units that the bank takes; 0 when it was not told.
    pub amount: i64,
    pub state: DisputeState,
    pub opened_at: Timestamp,
    /// The provider's clock when this was told.
    pub as_of: Timestamp,
}

/// Where a dispute stands, in the order in which one may go. An inquiry takes no money: it is no dispute yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    Inquiry,
    Open,
    Lost,
    Won,
}

impl Payment {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let refunded_at = match self.refunded.cmp(&other.refunded) {
            std::cmp::Ordering::Less => other.refunded_at,
            std::cmp::Ordering::Equal => first(self.refunded_at, other.refunded_at),
            std::cmp::Ordering::Greater => self.refunded_at,
        };
        Self {
            customer: self.customer.max(other.customer),
            invoice: self.invoice.max(other.invoice),
            amount: self.amount.max(other.amount),
            currency: self.currency.max(other.currency),
            made_at: first(self.made_at, other.made_at),
            refunded: self.refunded.max(other.refunded),
            refunded_at,
            id: self.id,
        }
    }
}

impl Refund {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            payment: self.payment.max(other.payment),
            amount: self.amount.max(other.amount),
            state: self.state.max(other.state),
            at: self.at.min(other.at),
            id: self.id,
        }
    }
}

impl Dispute {
    /// What both pieces tell together: the later decision; until there is one, that money was taken.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let rank = |dispute: &Self| {
            let is_decided = dispute.state >= DisputeState::Lost;
            (is_decided.then_some(dispute.as_of), dispute.state, dispute.as_of)
        };
        let later = rank(&self).max(rank(&other));
        Self {
            payment: self.payment.max(other.payment),
            amount: self.amount.max(other.amount),
            state: later.1,
            opened_at: self.opened_at.min(other.opened_at),
            as_of: later.2,
            id: self.id,
        }
    }
}

fn first(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
