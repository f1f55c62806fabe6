//! What a subscription is for, changed while it runs: another price, another quantity, one item more or less.

use super::Books;
use super::invoices::period_lines;
use super::model::{Item, Items, Line, Period, Source, Status};
use super::subscriptions::{check_together, period_end};
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::settings::Price;

/// Stripe's limit for the items of one subscription.
const ITEMS_MAX: usize = 20;

/// What a change costs in the running period: Stripe's `proration_behavior`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proration {
    /// Nothing.
    #[default]
    None,
    /// The difference, at once.
    AlwaysInvoice,
}

/// One change of a subscription's items. An item is named by its id, or by that of its price.
pub enum ItemChange {
    Add { price: Price, quantity: u32 },
    Set { item: String, price: Option<Price>, quantity: Option<u32> },
    Remove { item: String },
}

impl Books {
    /// Moves a subscription to another price. Another cadence begins a new period, charged at once.
    pub fn change_price(&mut self, id: &str, price: Price, proration: Proration) -> Result<(), Refusal> {
        let item = self.living(id)?.items.first().id.clone();
        self.change_items(id, vec![ItemChange::Set { item, price: Some(price), quantity: None }], proration)
    }

    /// Changes the items of a subscription, all at once or, when one change is refused, none.
    pub fn change_items(&mut self, id: &str, changes: Vec<ItemChange>, proration: Proration) -> Result<(), Refusal> {
        self.check_room(1)?;
        let old = self.living(id)?.clone();
        let items = self.changed(&old.items, changes)?;
        let now = self.now;
        let restarts = items.first().price.cadence != old.items.first().price.cadence && old.status != Status::Trialing;
        let lines = change_lines(&old.items, &items, old.period, now, restarts.then_some(Restart));
        let amount: i64 = lines.iter().map(|line| line.amount).sum();
        let end = if restarts { period_end(now, now, items.first().price.cadence.months()) } else { old.period.end };
        self.amend(id, |subscription| {
            subscription.items = items;
            if restarts {
                subscription.anchor = now;
                subscription.period = Period { start: now, end };
            }
        });
        let charged = restarts || proration == Proration::AlwaysInvoice;
        if charged && amount > 0 && matches!(old.status, Status::Active | Status::PastDue) {
            let before = self.snapshot(id);
            let invoice = self.draft_invoice(id, "subscription_update", lines);
            self.charge_invoice(id, &invoice, before);
        }
        Ok(())
    }

    fn changed(&mut self, old: &Items, changes: Vec<ItemChange>) -> Result<Items, Refusal> {
        let mut items = old.clone();
        let gone = |item: &str| Refusal::no_such("subscription_item", item, "items");
        for change in changes {
            match change {
                ItemChange::Add { price, .. } if items.iter().any(|item| item.price.id == price.id) => {
                    return Err(Refusal::invalid(
                        "items",
                        format!("There is an item with the price {} already.", price.id),
                    ));
                }
                ItemChange::Add { price, quantity } => {
                    items.push(Item { id: self.ids.next("si"), price, quantity, created: self.now });
                }
                ItemChange::Set { item, price, quantity } => {
                    let found = items.get_mut(&item).ok_or_else(|| gone(&item))?;
                    found.price = price.unwrap_or_else(|| found.price.clone());
                    found.quantity = quantity.unwrap_or(found.quantity);
                }
                ItemChange::Remove { item } => {
                    let id = items.get(&item).map(|found| found.id.clone()).ok_or_else(|| gone(&item))?;
                    let last = || Refusal::invalid("items", "A subscription must have at least one item.");
                    items.remove(&id).ok_or_else(last)?;
                }
            }
        }
        if items.len() > ITEMS_MAX {
            return Err(Refusal::invalid("items", format!("A subscription has at most {ITEMS_MAX} items.")));
        }
        check_together(&items)?;
        Ok(items)
    }
}

/// A new period begins with the change.
struct Restart;

/// What a change costs: the new items for what is left of the period, or for a whole new one, less what was paid for.
fn change_lines(old: &Items, new: &Items, period: Period, now: Timestamp, restart: Option<Restart>) -> Vec<Line> {
    let share = |items: &Items, word: &str, sign: i64| -> Vec<Line> {
        let line = |item: &Item| Line {
            description: format!("{word} time on {} × {}", item.quantity, item.price.product_name()),
            amount: sign * share_left(item.amount(), period, now),
            quantity: item.quantity,
            source: Source::Proration { item: item.id.clone(), price: item.price.clone() },
        };
        items.iter().map(line).collect()
    };
    let mut lines = share(old, "Unused", -1);
    lines.extend(if restart.is_some() { period_lines(new) } else { share(new, "Remaining", 1) });
    lines
}

/// The part of `amount` that falls on what is left of `period`, rounded down.
fn share_left(amount: i64, period: Period, now: Timestamp) -> i64 {
    let whole = i128::from((period.end - period.start).num_seconds().max(1));
    let left = i128::from((period.end - now).num_seconds().max(0)).min(whole);
    i64::try_from(i128::from(amount) * left / whole).unwrap_or(amount)
}
