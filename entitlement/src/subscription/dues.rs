//! What the bills say of a payment that is missing: since when, and what was paid for before.

use std::cmp::Reverse;

use super::{Item, State, Subscription};
use crate::Timestamp;
use crate::payment::{Invoice, Line};

/// No period is shorter: one that began within it of the start is the first. A start that its provider dates ahead of our clock is
/// kept as the moment in which it was told.
const SHORTEST: chrono::Duration = chrono::Duration::days(1);

/// What was paid for an item, as far as it matters while a payment is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dues {
    /// When a payment for the running period first failed, as its bill tells.
    pub failed_at: Option<Timestamp>,
    /// Whether nothing was ever paid.
    pub never_paid: bool,
    /// Whether the bank wanted to hear from the buyer.
    pub needs_action: bool,
    /// What was last paid for: its price, where it is told.
    pub price: Option<String>,
    /// Until when that was paid, where it reaches into the running period.
    pub paid_until: Option<Timestamp>,
}

impl Dues {
    /// Reads the bills for a subscription. Their order does not matter.
    #[must_use]
    pub fn of(subscription: &Subscription, item: &Item, bills: &[Invoice]) -> Self {
        let bills: Vec<&Invoice> = bills.iter().filter(|bill| bill.subscription == subscription.id.id).collect();
        let period = subscription.period_of(item);
        let unpaid: Vec<&&Invoice> = bills
            .iter()
            .filter(|bill| !bill.is_paid() && period.is_none_or(|start| start <= bill.covers_from))
            .collect();
        let last = last_paid(subscription, item, &bills);
        let took_in = bills.iter().any(|bill| bill.is_paid() && bill.took_in() > 0);
        // A change within a period is charged for only where the period itself is paid for.
        let has_changed = unpaid.iter().any(|bill| bill.is_for_a_change());
        let is_first = match (subscription.state, subscription.first_due, period) {
            // The failure is dated by our clock, behind which its provider's may be far ahead: what is billed for, was due.
            (State::PastDue { since }, Some(first), Some(start)) => {
                let billed = unpaid.iter().map(|bill| bill.covers_from).max();
                start <= first && first <= billed.map_or(since, |billed| billed.max(since))
            }
            // Told of no first charge: the bill that is open is for the period with which all began.
            (State::PastDue { .. }, None, Some(start)) if start <= subscription.started_at => {
                let items = subscription.all_items();
                let is_named = |bill: &Invoice| bill.lines.iter().any(|line| line.whole && line.price.is_some());
                unpaid.iter().any(|bill| is_named(bill) && bill.pays_for(item, &items, period, |_| false))
            }
            _ => false,
        };
        Self {
            failed_at: unpaid.iter().filter_map(|bill| bill.failed_at).min(),
            never_paid: (is_first || was_given(subscription, item, &bills)) && !took_in && !has_changed,
            needs_action: unpaid.iter().any(|bill| bill.needs_action),
            price: last.and_then(|line| line.price.clone()),
            // What was paid for the period before says nothing of this one.
            paid_until: last.and_then(|line| line.until).filter(|until| period.is_none_or(|start| start < *until)),
        }
    }
}

/// Whether all periods of an item before the running one are known, and nothing was charged for them.
fn was_given(subscription: &Subscription, item: &Item, bills: &[&Invoice]) -> bool {
    let items = subscription.all_items();
    let free = bills.iter().filter(|bill| bill.is_paid() && bill.took_in() == 0).flat_map(|bill| &bill.lines);
    let free: Vec<&Line> = free.filter(|line| line.whole && line.is_of(item, &items)).collect();
    let Some(start) = subscription.period_of(item) else { return false };
    let mut from = start;
    while subscription.started_at + SHORTEST < from {
        let before = free.iter().find(|line| line.until == Some(from) && line.from < from);
        let Some(before) = before else { return false };
        from = before.from;
    }
    from < start
}

/// The last line for an item that was paid: the one that reaches farthest, and of such the one that began last.
fn last_paid<'a>(subscription: &Subscription, item: &Item, bills: &[&'a Invoice]) -> Option<&'a Line> {
    let items = subscription.all_items();
    let paid = bills.iter().filter(|bill| bill.is_paid()).flat_map(|bill| &bill.lines);
    // What is given back for unused time names the price that was left.
    let charged = paid.filter(|line| line.amount >= 0 && line.until.is_some() && line.is_of(item, &items));
    charged.max_by_key(|line| (line.until, line.from, Reverse(&line.id)))
}
