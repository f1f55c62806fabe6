//! Stripe's invoices, charges, refunds and disputes in our words.
//!
//! A dispute and a refund name only a charge and a payment intent. Since 2025-03-31 (basil) the charge no longer names
//! its invoice either: then the invoice's payments do.

use entitlement::Timestamp;
use entitlement::event::{Fact, Object};
use entitlement::payment::{Dispute, DisputeState, Invoice, Payment, Refund, RefundState};

use super::interpret::Told;
use super::payload::{self, Moment, Name, Reference};
use crate::provider::text::currency;

/// Seconds by which an invoice may be older than the period that it pays for, when it does not name the period.
const INVOICE_LEAD_SECONDS: i64 = 3600;

/// That a payment failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub at: Timestamp,
    /// Whether the bank wants to hear from the buyer first.
    pub needs_action: bool,
}

/// An invoice, and which payments paid it. Nothing when it is not for a subscription.
pub fn invoice(seen: payload::Invoice, failure: Option<Failure>) -> (Vec<Fact>, Option<Object>) {
    let customer = seen.customer.clone().map(Reference::into_id);
    let subscription = seen.subscription_id();
    let Name(id) = seen.id.clone();
    let mut facts: Vec<Fact> =
        seen.payment_ids().into_iter().map(|payment| Fact::Payment(paid_by(payment, &id, customer.clone()))).collect();
    let Some(subscription) = subscription else { return (facts, None) };
    // Stripe says whose it is.
    let Some(customer) = customer else { return (facts, Some(Object::Invoice(id))) };
    let created = seen.created.map(|Moment(at)| at + chrono::Duration::seconds(INVOICE_LEAD_SECONDS));
    let Some(covers_from) = seen.period_start().or(created) else { return (facts, None) };
    let object = Object::Subscription(subscription.clone());
    if seen.is_draft() {
        return (facts, Some(object));
    }
    facts.push(Fact::Invoice(Invoice {
        id,
        subscription,
        customer,
        renews: seen.renews(),
        covers_from,
        paid: seen.amount_paid.unwrap_or(0).max(0),
        balance: seen.balance_used(),
        currency: currency(seen.currency.as_deref()),
        settled: seen.status.as_deref() == Some("paid"),
        lines: seen.read_lines(),
        attempts: seen.attempt_count.unwrap_or(0).clamp(0, i64::from(i32::MAX)).try_into().unwrap_or(i32::MAX),
        failed_at: failure.map(|failure| failure.at),
        needs_action: failure.is_some_and(|failure| failure.needs_action) || seen.needs_action(),
        written_off_at: seen.written_off_at(covers_from),
        voided: seen.status.as_deref() == Some("void"),
    }));
    (facts, Some(object))
}

/// That a payment paid an invoice.
fn paid_by(payment: String, invoice: &str, customer: Option<String>) -> Payment {
    Payment {
        id: payment,
        customer,
        invoice: Some(invoice.to_owned()),
        amount: 0,
        currency: None,
        made_at: None,
        refunded: 0,
        refunded_at: None,
    }
}

/// `invoice_payment.paid`: which payment paid which invoice.
pub fn invoice_payment(seen: payload::InvoicePayment) -> Option<Fact> {
    let payment = seen.payment.id()?;
    Some(Fact::Payment(paid_by(payment, &seen.invoice?.into_id(), None)))
}

/// A charge, what went back of it, and its single refunds where they are part of it.
pub fn charge(seen: payload::Charge, told: &Told<'_>) -> Vec<Fact> {
    let id = seen.payment_intent.clone().map_or_else(|| seen.id.0.clone(), Reference::into_id);
    let refunded = seen.amount_refunded.unwrap_or(0).max(0);
    let refunds = seen.refunds.iter().flat_map(|refunds| &refunds.data);
    let mut facts: Vec<Fact> = refunds.filter_map(|seen| refund_of(seen, Some(&id), told)).map(Fact::Refund).collect();
    facts.push(Fact::Payment(Payment {
        customer: seen.customer.map(Reference::into_id),
        invoice: seen.invoice.map(Reference::into_id),
        // What was never captured was never paid.
        amount: seen.amount_captured.or(seen.amount).unwrap_or(0).max(0),
        currency: currency(seen.currency.as_deref()),
        made_at: seen.created.map(|Moment(at)| at.min(told.received_at)),
        refunded,
        refunded_at: (refunded > 0).then(|| told.at.min(told.received_at)),
        id,
    }));
    facts
}

/// One refund; nothing when it names no payment.
pub fn refund(seen: &payload::Refund, told: &Told<'_>) -> Option<Fact> {
    refund_of(seen, None, told).map(Fact::Refund)
}

/// <https://docs.stripe.com/api/refunds/object#refund_object-status>
fn refund_of(seen: &payload::Refund, payment: Option<&str>, told: &Told<'_>) -> Option<Refund> {
    let named = seen.payment_intent.clone().or_else(|| seen.charge.clone()).map(Reference::into_id);
    let state = match seen.status.as_deref() {
        Some("pending" | "requires_action") => RefundState::Pending,
        Some("failed" | "canceled") => RefundState::Failed,
        // Before there were states, a refund was made when it was there.
        _ => RefundState::Made,
    };
    Some(Refund {
        id: seen.id.0.clone(),
        payment: payment.map(str::to_owned).or(named)?,
        amount: seen.amount.unwrap_or(0).max(0),
        state,
        at: seen.created.map_or(told.at, |Moment(at)| at).min(told.received_at),
    })
}

/// A dispute; nothing when it names no payment.
pub fn dispute(seen: payload::Dispute, told: &Told<'_>) -> Option<Fact> {
    // <https://docs.stripe.com/api/disputes/object#dispute_object-status>: a warning is an inquiry, which takes no money.
    let state = match seen.status.as_deref()? {
        "needs_response" | "under_review" => DisputeState::Open,
        // What was refunded instead is told as a refund.
        "won" | "prevented" | "charge_refunded" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        _ => DisputeState::Inquiry,
    };
    let payment = seen.payment_intent.or(seen.charge).map(Reference::into_id)?;
    Some(Fact::Dispute(Dispute {
        id: seen.id.0,
        payment,
        amount: seen.amount.unwrap_or(0).max(0),
        state,
        opened_at: seen.created.map_or(told.at, |Moment(at)| at).min(told.received_at),
        as_of: told.at,
    }))
}
