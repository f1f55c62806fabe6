//! The parts of Stripe's invoices, charges, refunds and disputes that Tollgate reads.

use entitlement::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Moment, Name, Reference, lenient};
use crate::provider::text::{lenient_number, number};

/// Why an invoice was made, when it is for a whole period.
const RENEWALS: [&str; 2] = ["subscription_create", "subscription_cycle"];

/// Why an invoice was made, when it is for what was used within a period.
const THRESHOLD: &str = "subscription_threshold";

/// Most lines of an invoice that are kept: a subscription has at most 20 items.
const LINES_MAX: usize = 250;

/// An invoice as it stands in a subscription: its id alone, or with its dates.
#[derive(Debug, Deserialize)]
pub struct Bill {
    #[serde(default, deserialize_with = "lenient")]
    collection_method: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    due_date: Option<Moment>,
}

impl Bill {
    /// The day by which the customer should have paid it, where it was sent to be paid.
    pub fn due_at(&self) -> Option<Moment> {
        self.due_date.filter(|_| self.collection_method.as_deref() == Some("send_invoice"))
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
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Moment>,
    #[serde(default, deserialize_with = "lenient_number")]
    pub amount_paid: Option<i64>,
    /// What the customer had, below 0, or owed before and after.
    #[serde(default, deserialize_with = "lenient_number")]
    starting_balance: Option<i64>,
    #[serde(default, deserialize_with = "lenient_number")]
    ending_balance: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "lenient_number")]
    pub attempt_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    collection_method: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    status_transitions: Option<Transitions>,
    #[serde(default, deserialize_with = "lenient")]
    lines: Option<Page<Line>>,
    /// Until 2025-03-31 (basil); then below `payments`.
    #[serde(default, deserialize_with = "lenient")]
    payment_intent: Option<Attempt>,
    #[serde(default, deserialize_with = "lenient")]
    charge: Option<Attempt>,
    #[serde(default, deserialize_with = "lenient")]
    payments: Option<Page<InvoicePayment>>,
}

/// When its status became what it is.
#[derive(Debug, Deserialize)]
struct Transitions {
    #[serde(default, deserialize_with = "lenient")]
    marked_uncollectible_at: Option<Moment>,
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
    #[serde(default, deserialize_with = "lenient")]
    id: Option<Name>,
    /// `subscription` or `invoiceitem`, until 2025-03-31 (basil).
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient_number")]
    amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    period: Option<LinePeriod>,
    #[serde(default, deserialize_with = "lenient")]
    proration: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    subscription_item: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    price: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    plan: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    pricing: Option<Pricing>,
    #[serde(default, deserialize_with = "lenient")]
    parent: Option<LineParent>,
}

#[derive(Debug, Deserialize)]
struct LinePeriod {
    #[serde(default, deserialize_with = "lenient")]
    start: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    end: Option<Moment>,
}

/// Where a line names its price since 2025-03-31 (basil).
#[derive(Debug, Deserialize)]
struct Pricing {
    #[serde(default, deserialize_with = "lenient")]
    price_details: Option<PriceDetails>,
}

#[derive(Debug, Deserialize)]
struct PriceDetails {
    #[serde(default, deserialize_with = "lenient")]
    price: Option<Reference>,
}

/// Where a line says since 2025-03-31 (basil) whether it is for a change within a period.
#[derive(Debug, Deserialize)]
struct LineParent {
    #[serde(default, deserialize_with = "lenient")]
    subscription_item_details: Option<ItemDetails>,
    #[serde(default, deserialize_with = "lenient")]
    invoice_item_details: Option<ItemDetails>,
}

#[derive(Debug, Deserialize)]
struct ItemDetails {
    #[serde(default, deserialize_with = "lenient")]
    proration: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    subscription_item: Option<Reference>,
}

impl Line {
    /// Since 2025-03-31 (basil); a change within a period may also be an item of the invoice.
    fn details(&self) -> Option<&ItemDetails> {
        let parent = self.parent.as_ref()?;
        parent.subscription_item_details.as_ref().or(parent.invoice_item_details.as_ref())
    }

    fn is_proration(&self) -> bool {
        self.proration.or_else(|| self.details().and_then(|details| details.proration)).unwrap_or(false)
    }

    /// Whether it was put on the invoice by itself, and is for no item of the subscription.
    fn is_single(&self) -> bool {
        let of_invoice = self
            .parent
            .as_ref()
            .is_some_and(|parent| parent.invoice_item_details.is_some() && parent.subscription_item_details.is_none());
        self.kind.as_deref() == Some("invoiceitem") || of_invoice
    }

    fn starts(&self) -> Option<Timestamp> {
        self.period.as_ref()?.start.map(|Moment(at)| at)
    }

    fn read(&self, place: usize) -> Option<entitlement::payment::Line> {
        let from = self.starts()?;
        let pricing = || self.pricing.as_ref()?.price_details.as_ref()?.price.clone();
        let item = || self.details().and_then(|details| details.subscription_item.clone());
        let price = self.price.clone().or_else(|| self.plan.clone()).or_else(pricing);
        Some(entitlement::payment::Line {
            id: self.id.as_ref().map_or_else(|| format!("{place}"), |Name(id)| id.clone()),
            item: self.subscription_item.clone().or_else(item).map(Reference::into_id),
            price: price.map(Reference::into_id),
            from,
            until: self.period.as_ref().and_then(|period| period.end).map(|Moment(at)| at),
            whole: !self.is_proration() && !self.is_single(),
            amount: self.amount.unwrap_or(0),
        })
    }
}

impl Invoice {
    /// The subscription that it is for, if it is for one.
    pub fn subscription_id(&self) -> Option<String> {
        let of_parent = || self.parent.as_ref()?.subscription_details.as_ref()?.subscription.clone();
        self.subscription.clone().or_else(of_parent).map(Reference::into_id)
    }

    /// Whether it is for a whole period: by its lines, and where it has none by the reason for which it was made; when that is not
    /// told either, it is taken to be. What was used is charged beside it.
    pub fn renews(&self) -> bool {
        match self.read_lines() {
            _ if self.billing_reason.as_deref() == Some(THRESHOLD) => false,
            lines if lines.is_empty() => self.billing_reason.as_deref().is_none_or(|reason| RENEWALS.contains(&reason)),
            lines => lines.iter().any(|line| line.whole),
        }
    }

    /// When the period began that it is for: the invoice's own dates are those of the period before.
    pub fn period_start(&self) -> Option<Timestamp> {
        let lines = self.lines.iter().flat_map(|lines| &lines.data).filter(|line| !line.is_proration());
        lines.filter_map(Line::starts).max()
    }

    /// Its lines, sorted by their ids.
    pub fn read_lines(&self) -> Vec<entitlement::payment::Line> {
        let lines = self.lines.iter().flat_map(|lines| &lines.data).take(LINES_MAX).enumerate();
        let mut lines: Vec<_> = lines.filter_map(|(place, line)| line.read(place)).collect();
        lines.sort();
        lines.dedup_by(|one, kept| one.id == kept.id);
        lines
    }

    /// Whether it is no bill yet.
    pub fn is_draft(&self) -> bool {
        self.status.as_deref() == Some("draft")
    }

    /// When it was no longer collected; `covers_from` where that is not told. One that was never tried is of a pause, during
    /// which its seller asks for nothing (<https://docs.stripe.com/billing/subscriptions/pause-payment>).
    pub fn written_off_at(&self, covers_from: Timestamp) -> Option<Timestamp> {
        let is_sent = self.collection_method.as_deref() == Some("send_invoice");
        if self.status.as_deref() != Some("uncollectible") || (self.attempt_count == Some(0) && !is_sent) {
            return None;
        }
        let marked = self.status_transitions.as_ref().and_then(|transitions| transitions.marked_uncollectible_at);
        Some(marked.map_or(covers_from, |Moment(at)| at))
    }

    /// What of it came from what the customer had; below 0 what was owed from before.
    pub fn balance_used(&self) -> i64 {
        match (self.starting_balance, self.ending_balance) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => 0,
        }
    }

    /// The payments that it names.
    pub fn payment_ids(&self) -> Vec<String> {
        let own = self.payment_intent.as_ref().or(self.charge.as_ref()).map(Attempt::id);
        let listed = self.payments.iter().flat_map(|payments| &payments.data).filter_map(|one| one.payment.id());
        own.into_iter().chain(listed).collect()
    }

    /// Whether one of its payments waits for the buyer, where they are shown whole.
    pub fn needs_action(&self) -> bool {
        let own = [&self.payment_intent, &self.charge];
        let payments = self.payments.iter().flat_map(|payments| &payments.data).map(|one| &one.payment);
        let listed = payments.flat_map(|payment| [&payment.payment_intent, &payment.charge]);
        own.into_iter().chain(listed).flatten().any(|attempt| attempt.needs_action)
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
    payment_intent: Option<Attempt>,
    charge: Option<Attempt>,
}

impl PaymentRef {
    pub fn id(&self) -> Option<String> {
        self.payment_intent.as_ref().or(self.charge.as_ref()).map(Attempt::id)
    }
}

/// A payment intent or a charge: its id, or the whole of it, which says whether the bank wants to hear from the buyer first
/// (<https://docs.stripe.com/declines/codes>).
#[derive(Debug)]
struct Attempt {
    of: Reference,
    needs_action: bool,
}

/// The word of a bank that wants to hear from the buyer first.
const AUTHENTICATION: &str = "authentication_required";

impl<'de> Deserialize<'de> for Attempt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = serde_json::Value::deserialize(deserializer)?;
        let error = told.get("last_payment_error");
        let of_error = |name: &str| error.and_then(|error| error.get(name));
        let reasons = [of_error("code"), of_error("decline_code"), told.get("failure_code")];
        let needs_action = told.get("status").is_some_and(|status| status == "requires_action")
            || reasons.into_iter().flatten().any(|reason| reason == AUTHENTICATION);
        let of = serde_json::from_value(told).map_err(serde::de::Error::custom)?;
        Ok(Self { of, needs_action })
    }
}

impl Attempt {
    fn id(&self) -> String {
        self.of.clone().into_id()
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
    #[serde(default, deserialize_with = "number")]
    pub amount: Option<i64>,
    #[serde(default, deserialize_with = "number")]
    pub amount_captured: Option<i64>,
    #[serde(default, deserialize_with = "number")]
    pub amount_refunded: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
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
    #[serde(default, deserialize_with = "number")]
    pub amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Moment>,
}

/// A payment that the cardholder's bank disputes.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    pub id: Name,
    pub charge: Option<Reference>,
    pub payment_intent: Option<Reference>,
    #[serde(default, deserialize_with = "lenient_number")]
    pub amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Moment>,
}
