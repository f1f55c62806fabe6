//! The parts of Stripe's invoices, charges, refunds and disputes that Tollgate reads.

use entitlement::Timestamp;
use serde::Deserialize;

use super::{Moment, Name, Reference, lenient};

/// Why an invoice was made, when it is for a whole period.
const RENEWALS: [&str; 2] = ["subscription_create", "subscription_cycle"];

/// An invoice as it stands in a subscription: its id alone, or with its dates.
#[derive(Debug, Deserialize)]
pub struct Bill {
    #[serde(default, deserialize_with = "lenient")]
    created: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    status_transitions: Option<Transitions>,
}

#[derive(Debug, Deserialize)]
struct Transitions {
    finalized_at: Option<Moment>,
}

impl Bill {
    /// When it was first to be paid.
    pub fn due_since(&self) -> Option<Moment> {
        self.status_transitions.as_ref().and_then(|transitions| transitions.finalized_at).or(self.created)
    }
}

/// An invoice, as of any version of the API.
#[derive(Debug, Deserialize)]
pub struct Invoice {
    pub id: Name,
    pub customer: Option<Reference>,
    /// Until 2025-03-31 (basil); then below `parent`.
    subscription: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    parent: Option<Parent>,
    #[serde(default, deserialize_with = "lenient")]
    billing_reason: Option<String>,
    pub created: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub amount_paid: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub attempt_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    lines: Option<Page<Line>>,
    /// Until 2025-03-31 (basil); then below `payments`.
    #[serde(default, deserialize_with = "lenient")]
    payment_intent: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    charge: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    payments: Option<Page<InvoicePayment>>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    #[serde(default, deserialize_with = "lenient")]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Debug, Deserialize)]
struct SubscriptionDetails {
    subscription: Option<Reference>,
}

/// A page of a list inside an object.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    #[serde(default = "Vec::new")]
    pub data: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Line {
    period: Option<LinePeriod>,
    #[serde(default, deserialize_with = "lenient")]
    proration: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    parent: Option<LineParent>,
}

#[derive(Debug, Deserialize)]
struct LinePeriod {
    start: Option<Moment>,
}

/// Where a line says since 2025-03-31 (basil) whether it is for a change within a period.
#[derive(Debug, Deserialize)]
struct LineParent {
    #[serde(default, deserialize_with = "lenient")]
    subscription_item_details: Option<ItemDetails>,
}

#[derive(Debug, Deserialize)]
struct ItemDetails {
    #[serde(default, deserialize_with = "lenient")]
    proration: Option<bool>,
}

impl Line {
    fn is_proration(&self) -> bool {
        let of_item = self.parent.as_ref().and_then(|parent| parent.subscription_item_details.as_ref());
        self.proration.or_else(|| of_item.and_then(|details| details.proration)).unwrap_or(false)
    }
}

impl Invoice {
    /// The subscription that it is for, if it is for one.
    pub fn subscription_id(&self) -> Option<String> {
        let of_parent = || self.parent.as_ref()?.subscription_details.as_ref()?.subscription.clone();
        self.subscription.clone().or_else(of_parent).map(Reference::into_id)
    }

    /// Whether it is for a whole period; when it does not say why it was made, it is taken to be.
    pub fn renews(&self) -> bool {
        self.billing_reason.as_deref().is_none_or(|reason| RENEWALS.contains(&reason))
    }

    /// When the period began that it is for: the invoice's own dates are those of the period before.
    pub fn period_start(&self) -> Option<Timestamp> {
        let lines = self.lines.iter().flat_map(|lines| &lines.data).filter(|line| !line.is_proration());
        lines.filter_map(|line| line.period.as_ref()?.start).map(|Moment(at)| at).max()
    }

    /// The payments that it names.
    pub fn payment_ids(&self) -> Vec<String> {
        let own = self.payment_intent.clone().or_else(|| self.charge.clone()).map(Reference::into_id);
        let listed = self.payments.iter().flat_map(|payments| &payments.data).filter_map(|one| one.payment.id());
        own.into_iter().chain(listed).collect()
    }
}

/// Which payment paid an invoice (<https://docs.stripe.com/api/invoice-payment/object>).
#[derive(Debug, Deserialize)]
pub struct InvoicePayment {
    pub invoice: Option<Reference>,
    pub payment: PaymentRef,
}

#[derive(Debug, Deserialize)]
pub struct PaymentRef {
    payment_intent: Option<Reference>,
    charge: Option<Reference>,
}

impl PaymentRef {
    pub fn id(&self) -> Option<String> {
        self.payment_intent.clone().or_else(|| self.charge.clone()).map(Reference::into_id)
    }
}

/// A charge: one try to take money.
#[derive(Debug, Deserialize)]
pub struct Charge {
    pub id: Name,
    pub customer: Option<Reference>,
    pub payment_intent: Option<Reference>,
    /// Until 2025-03-31 (basil).
    pub invoice: Option<Reference>,
    pub amount: Option<i64>,
    pub amount_captured: Option<i64>,
    pub amount_refunded: Option<i64>,
    pub created: Option<Moment>,
    /// Part of it until 2022-11-15; then only when asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub refunds: Option<Page<Refund>>,
}

/// Money that goes back.
#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: Name,
    pub charge: Option<Reference>,
    pub payment_intent: Option<Reference>,
    pub amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    pub created: Option<Moment>,
}

/// A payment that the cardholder's bank disputes.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    pub id: Name,
    pub charge: Option<Reference>,
    pub payment_intent: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    pub created: Option<Moment>,
}
