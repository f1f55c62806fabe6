//! Subscriptions: begun, changed by their owner or by a call, and ended at once or later.

use chrono::{Duration, Months};
use serde_json::Value;

use super::Books;
use super::lifecycle::retry_delay;
use super::model::{BillingMode, Card, Dunning, Ending, Metadata, Period, Status, Subscription};
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::{Price, Shape};

/// What a subscription begins with.
pub struct NewSubscription {
    pub customer: String,
    pub price: Price,
    pub quantity: u32,
    /// Free days before the first charge; `None` or 0: it is charged at once.
    pub trial_days: Option<u32>,
    pub metadata: Metadata,
}

/// What a change of price costs in the running period: Stripe's `proration_behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proration {
    /// Nothing.
    None,
    /// The difference, at once.
    AlwaysInvoice,
}

/// The end of the period that begins at `start`: whole cadences after `anchor`, the 31st meaning the last day.
pub fn period_end(anchor: Timestamp, start: Timestamp, months: u32) -> Timestamp {
    let mut ends = (1..).map_while(|count: u32| anchor.checked_add_months(Months::new(count.checked_mul(months)?)));
    let thirty_days = Duration::days(30 * i64::from(months));
    ends.find(|end| *end > start).unwrap_or(start + thirty_days)
}

impl Books {
    /// A subscription without a checkout. A declined card leaves it incomplete.
    pub fn subscribe(&mut self, new: NewSubscription) -> Result<String, Refusal> {
        self.check_room()?;
        self.customer(&new.customer, "customer")?;
        let (subscription, invoice) = self.open_subscription(new);
        self.start_subscription(&subscription, &invoice);
        Ok(subscription)
    }

    /// Writes down a subscription and its first invoice, and tells neither yet.
    pub(super) fn open_subscription(&mut self, new: NewSubscription) -> (String, String) {
        let now = self.now;
        let trial = new.trial_days.filter(|days| *days > 0).map(|days| now + Duration::days(i64::from(days)));
        let anchor = trial.unwrap_or(now);
        let end = trial.unwrap_or_else(|| period_end(anchor, now, new.price.cadence.months()));
        let amount = if trial.is_some() { 0 } else { new.price.amount * i64::from(new.quantity) };
        let id = self.ids.next("sub");
        self.subscriptions.insert(Subscription {
            id: id.clone(),
            item: self.ids.next("si"),
            customer: new.customer,
            price: new.price,
            quantity: new.quantity,
            status: if trial.is_some() { Status::Trialing } else { Status::Incomplete },
            metadata: new.metadata,
            billing: if self.view.shape == Shape::Endive { BillingMode::Flexible } else { BillingMode::Classic },
            created: now,
            anchor,
            period: Period { start: now, end },
            trial: trial.map(|end| Period { start: now, end }),
            trial_end_told: false,
            ending: None,
            canceled_at: None,
            cancel_reason: None,
            ended_at: None,
            latest_invoice: None,
            dunning: None,
            paused: None,
        });
        let invoice = self.draft_invoice(&id, "subscription_create", amount);
        (id, invoice)
    }

    /// Tells a new subscription, charges its first invoice, and tells what came of that.
    pub(super) fn start_subscription(&mut self, id: &str, invoice: &str) {
        self.tell_subscription(id, "customer.subscription.created");
        let Some((status, customer)) = self.subscriptions.get(id).map(|s| (s.status, s.customer.clone())) else {
            return;
        };
        self.finalize_invoice(invoice);
        match (status, self.card(&customer)) {
            (Status::Trialing, _) => self.pay_invoice(invoice),
            (_, Card::Good) => {
                self.amend(id, |subscription| subscription.status = Status::Active);
                self.pay_invoice(invoice);
            }
            (_, Card::Declined) => self.fail_invoice(invoice, None),
        }
    }

    /// Changes a subscription and tells it, with what was different before. What changes nothing is not told.
    pub fn amend(&mut self, id: &str, change: impl FnOnce(&mut Subscription)) {
        let before = self.snapshot(id);
        self.set_subscription(id, change);
        self.tell_amended(id, before);
    }

    /// Changes a subscription and tells nothing yet.
    pub(super) fn set_subscription(&mut self, id: &str, change: impl FnOnce(&mut Subscription)) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            change(subscription);
        }
    }

    /// A subscription as it would be told now.
    pub(super) fn snapshot(&self, id: &str) -> Value {
        self.subscriptions.get(id).map_or(Value::Null, |subscription| render::subscription(subscription, &self.view))
    }

    /// Tells a subscription that was `before`.
    pub(super) fn tell_amended(&mut self, id: &str, before: Value) {
        let after = self.snapshot(id);
        if let Some(previous) = render::previous_attributes(&before, &after) {
            self.emit("customer.subscription.updated", after, Some(previous));
        }
    }

    pub(super) fn tell_subscription(&mut self, id: &str, kind: &str) {
        let object = self.snapshot(id);
        self.emit(kind, object, None);
    }

    /// The subscription, if it has not ended.
    pub fn living(&self, id: &str) -> Result<&Subscription, Refusal> {
        let subscription = self.subscription(id)?;
        if subscription.status.is_over() {
            return Err(Refusal::wrong_state("A canceled subscription can only update its metadata."));
        }
        Ok(subscription)
    }

    /// Ends a subscription at once.
    pub fn cancel_now(&mut self, id: &str, reason: &'static str) -> Result<(), Refusal> {
        let ended = self.living(id)?.clone();
        let now = self.now;
        self.subscriptions.insert(Subscription {
            status: Status::Canceled,
            ended_at: Some(now),
            canceled_at: ended.canceled_at.or(Some(now)),
            cancel_reason: ended.cancel_reason.or(Some(reason)),
            dunning: None,
            ..ended
        });
        self.tell_subscription(id, "customer.subscription.deleted");
        Ok(())
    }

    /// Schedules the end of a subscription.
    pub fn schedule_end(&mut self, id: &str, ending: Ending) -> Result<(), Refusal> {
        self.living(id)?;
        let now = self.now;
        self.amend(id, |subscription| {
            subscription.ending = Some(ending);
            subscription.canceled_at = Some(now);
            subscription.cancel_reason = Some("cancellation_requested");
        });
        Ok(())
    }

    /// As the portal does it: flexible billing names the moment, classic billing the period
    /// (https://docs.stripe.com/billing/subscriptions/billing-mode/compare).
    pub fn cancel_in_portal(&mut self, id: &str) -> Result<(), Refusal> {
        let subscription = self.living(id)?;
        let ending = match subscription.billing {
            BillingMode::Flexible => Ending::At(subscription.period.end),
            BillingMode::Classic => Ending::PeriodEnd,
        };
        self.schedule_end(id, ending)
    }

    /// Takes a scheduled end back.
    pub fn reactivate(&mut self, id: &str) -> Result<(), Refusal> {
        self.living(id)?;
        self.amend(id, |subscription| {
            subscription.ending = None;
            subscription.canceled_at = None;
            subscription.cancel_reason = None;
        });
        Ok(())
    }

    /// Moves a subscription to another price. Another cadence begins a new period, charged at once.
    pub fn change_price(&mut self, id: &str, price: Price, proration: Proration) -> Result<(), Refusal> {
        self.check_room()?;
        let old = self.living(id)?.clone();
        let (now, quantity) = (self.now, i64::from(old.quantity));
        let restarts = price.cadence != old.price.cadence && old.status != Status::Trialing;
        let unused = share_left(old.price.amount * quantity, old.period, now);
        let amount = if restarts {
            price.amount * quantity - unused
        } else {
            share_left(price.amount * quantity, old.period, now) - unused
        };
        let end = if restarts { period_end(now, now, price.cadence.months()) } else { old.period.end };
        self.amend(id, |subscription| {
            subscription.price = price;
            if restarts {
                subscription.anchor = now;
                subscription.period = Period { start: now, end };
            }
        });
        let charged = restarts || proration == Proration::AlwaysInvoice;
        if charged && amount > 0 && old.status != Status::Trialing {
            let before = self.snapshot(id);
            let invoice = self.draft_invoice(id, "subscription_update", amount);
            self.charge_invoice(id, &invoice, before);
        }
        Ok(())
    }

    /// Charges an invoice of a running subscription that was told as `before`; a declined card begins dunning.
    pub(super) fn charge_invoice(&mut self, id: &str, invoice: &str, before: Value) {
        self.finalize_invoice(invoice);
        let Some(customer) = self.subscriptions.get(id).map(|subscription| subscription.customer.clone()) else {
            return;
        };
        match self.card(&customer) {
            Card::Good => self.pay_invoice(invoice),
            Card::Declined => {
                let next = self.now + retry_delay(1).unwrap_or_default();
                self.fail_invoice(invoice, Some(next));
                self.set_subscription(id, |subscription| {
                    subscription.status = Status::PastDue;
                    subscription.dunning = Some(Dunning { invoice: invoice.to_owned(), failed: 1, next });
                });
                self.tell_amended(id, before);
            }
        }
    }
}

/// The part of `amount` that falls on what is left of `period`, rounded down.
fn share_left(amount: i64, period: Period, now: Timestamp) -> i64 {
    let whole = i128::from((period.end - period.start).num_seconds().max(1));
    let left = i128::from((period.end - now).num_seconds().max(0)).min(whole);
    i64::try_from(i128::from(amount) * left / whole).unwrap_or(amount)
}
