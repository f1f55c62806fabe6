//! Polar's orders, refunds and disputes in our words. An order is a bill and its payment at once.

use entitlement::Timestamp;
use entitlement::event::Fact;
use entitlement::payment::{Dispute, DisputeState, Invoice, Payment, Refund, RefundState};

use super::interpret::Told;
use super::payload::{self, Moment, Name};
use crate::provider::text::currency;

/// Seconds by which an order may be older than the period that it pays for: the two dates can come from two of Polar's
/// machines.
const ORDER_LEAD_SECONDS: i64 = 3600;

/// Why an order that is for no subscription is ignored.
pub const NO_SUBSCRIPTION: &str = "the order is for no subscription";

/// What an order states about its subscription.
pub struct Bill {
    pub subscription: String,
    pub facts: Vec<Fact>,
}

/// An order of a customer for a subscription, and its payment; nothing when it is for no subscription, or is no bill, or not yet.
pub fn order(seen: &payload::Order, customer: &Name, told: &Told<'_>) -> Result<Bill, &'static str> {
    let Some(Name(subscription)) = seen.subscription_id.clone() else {
        return Err(NO_SUBSCRIPTION);
    };
    let is_paid = match seen.status.as_str() {
        "paid" | "refunded" | "partially_refunded" => true,
        "pending" => false,
        "draft" | "void" => return Err("the order is no bill"),
        _ => return Err("the order has a status that Tollgate does not know"),
    };
    let changed_at = seen.modified_at.map_or(seen.created_at.0, |Moment(at)| at).min(told.received_at);
    let failing = !is_paid && seen.next_payment_attempt_at.is_some();
    let paid = if is_paid { due(seen) } else { 0 };
    let Name(id) = seen.id.clone();
    let mut facts = vec![Fact::Invoice(Invoice {
        id: id.clone(),
        subscription: subscription.clone(),
        customer: customer.0.clone(),
        renews: renews(seen),
        covers_from: covers_from(seen),
        paid,
        // What the customer had is below 0 there.
        balance: if is_paid { seen.applied_balance_amount.unwrap_or(0).saturating_neg() } else { 0 },
        currency: currency(seen.currency.as_deref()),
        settled: is_paid,
        // Polar does not tell the periods of its lines.
        lines: Vec::new(),
        // Polar does not count them for us.
        attempts: i32::from(is_paid || failing),
        failed_at: failing.then_some(changed_at),
        needs_action: false,
        written_off_at: None,
        voided: false,
    })];
    if is_paid {
        let refunded = refunded(seen, paid);
        facts.push(Fact::Payment(Payment {
            customer: Some(customer.0.clone()),
            invoice: Some(id.clone()),
            amount: paid,
            currency: currency(seen.currency.as_deref()),
            made_at: Some(seen.created_at.0.min(told.received_at)),
            refunded,
            refunded_at: (refunded > 0).then_some(changed_at),
            id,
        }));
    }
    Ok(Bill { subscription, facts })
}

/// Whether an order is for a whole period: when one of its items is no proration, or, where it names none, by the reason for which it
/// was made.
fn renews(seen: &payload::Order) -> bool {
    match seen.items.as_deref() {
        Some([]) | None => matches!(
            seen.billing_reason.as_deref(),
            Some("subscription_create" | "subscription_cycle" | "subscription_cycle_after_trial")
        ),
        Some(items) => items.iter().any(|item| item.proration == Some(false)),
    }
}

/// What is paid for an order, with taxes.
fn due(seen: &payload::Order) -> i64 {
    seen.total_amount.unwrap_or(0).saturating_add(seen.applied_balance_amount.unwrap_or(0)).max(0)
}

/// What went back, with taxes.
fn refunded(seen: &payload::Order, paid: i64) -> i64 {
    let told = seen.refunded_amount.unwrap_or(0).saturating_add(seen.refunded_tax_amount.unwrap_or(0)).max(0);
    // Polar says so when all of it went back, whatever became of the last cent of the taxes.
    if seen.status == "refunded" { told.max(paid) } else { told }
}

/// When the period that an order pays for began. An order names no period; it is made when one begins, or a while later.
/// The subscription beside it is as it stands now, which is the order's period unless a later one has begun. Then the
/// order's own date still lies in the period that it was made in, and before every later one.
fn covers_from(seen: &payload::Order) -> Timestamp {
    let Moment(made_at) = seen.created_at;
    let latest = made_at + chrono::Duration::seconds(ORDER_LEAD_SECONDS);
    let period = seen.subscription.and_then(|subscription| subscription.current_period_start);
    period.map(|Moment(start)| start).filter(|start| *start <= latest).unwrap_or(made_at)
}

/// A refund, and the dispute that it was made for; nothing when its status is one that Tollgate does not know. One that
/// has not gone through yet is none: the order does not count it either.
pub fn refund(seen: &payload::Refund, told: &Told<'_>) -> Result<Vec<Fact>, &'static str> {
    let state = match seen.status.as_str() {
        "pending" => None,
        "succeeded" => Some(RefundState::Made),
        "failed" | "canceled" => Some(RefundState::Failed),
        _ => return Err("the refund has a status that Tollgate does not know"),
    };
    let refund = state.map(|state| {
        Fact::Refund(Refund {
            id: seen.id.0.clone(),
            payment: seen.order_id.0.clone(),
            amount: seen.amount.saturating_add(seen.tax_amount.unwrap_or(0)).max(0),
            state,
            at: seen.created_at.map_or(told.at, |Moment(at)| at).min(told.received_at),
        })
    });
    let dispute = seen.dispute.as_ref().map(|dispute| Fact::Dispute(disputed(dispute, &seen.order_id, told)));
    let facts: Vec<Fact> = refund.into_iter().chain(dispute).collect();
    if facts.is_empty() { Err("the refund has not gone through yet") } else { Ok(facts) }
}

fn disputed(seen: &payload::Dispute, order: &Name, told: &Told<'_>) -> Dispute {
    let state = match seen.status.as_str() {
        "needs_response" | "under_review" => DisputeState::Open,
        // What was refunded instead is told as a refund.
        "won" | "prevented" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        _ => DisputeState::Inquiry,
    };
    Dispute {
        id: seen.id.0.clone(),
        payment: seen.order_id.as_ref().unwrap_or(order).0.clone(),
        amount: seen.amount.unwrap_or(0).max(0),
        state,
        opened_at: seen.created_at.map_or(told.at, |Moment(at)| at).min(told.received_at),
        as_of: seen.modified_at.or(seen.created_at).map_or(told.at, |Moment(at)| at),
    }
}
