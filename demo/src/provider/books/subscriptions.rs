//! Subscriptions: begun, changed by their owner or by a call, and ended at once or later.

use chrono::{Duration, Months};
use serde_json::Value;

use super::Books;
use super::invoices::period_lines;
use super::lifecycle::next_turn;
use super::model::{BillingMode, Card, Ending, Item, Items, Metadata, Period, Status, Subscription, TrialEnd};
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::{Price, Shape, Telling};

/// What a subscription begins with.
pub struct NewSubscription {
    pub customer: String,
    /// At least one price, each with its quantity; all of one cadence and currency.
    pub items: Vec<(Price, u32)>,
    /// Free days before the first charge; `None` or 0: it is charged at once.
    pub trial_days: Option<u32>,
    pub trial_end: TrialEnd,
    pub metadata: Metadata,
}

/// The end of the period that begins at `start`: whole cadences after `anchor`, the 31st meaning the last day.
pub fn period_end(anchor: Timestamp, start: Timestamp, months: u32) -> Timestamp {
    let mut ends = (1..).map_while(|count: u32| anchor.checked_add_months(Months::new(count.checked_mul(months)?)));
    let thirty_days = Duration::days(30 * i64::from(months));
    ends.find(|end| *end > start).unwrap_or(start + thirty_days)
}

/// What may stand together in one subscription: one cadence, one currency.
pub(super) fn check_together(items: &Items) -> Result<(), Refusal> {
    let first = &items.first().price;
    let fits = |item: &Item| item.price.cadence == first.cadence && item.price.currency == first.currency;
    if items.iter().all(fits) {
        return Ok(());
    }
    Err(Refusal::invalid("items", "All prices of a subscription have one interval and one currency."))
}

impl Books {
    /// A subscription without a checkout. A declined card leaves it incomplete.
    pub fn subscribe(&mut self, new: NewSubscription) -> Result<String, Refusal> {
        self.check_room(1)?;
        self.customer(&new.customer, "customer")?;
        let (subscription, invoice) = self.open_subscription(new)?;
        self.start_subscription(&subscription, &invoice);
        Ok(subscription)
    }

    /// Writes down a subscription and its first invoice, and tells neither yet.
    pub(super) fn open_subscription(&mut self, new: NewSubscription) -> Result<(String, String), Refusal> {
        let now = self.now;
        let items = self.items_of(new.items)?;
        let trial = new.trial_days.filter(|days| *days > 0).map(|days| now + Duration::days(i64::from(days)));
        let anchor = trial.unwrap_or(now);
        let end = trial.unwrap_or_else(|| period_end(anchor, now, items.first().price.cadence.months()));
        let mut lines = period_lines(&items);
        if trial.is_some() {
            lines.iter_mut().for_each(|line| line.amount = 0);
        }
        let id = self.ids.next("sub");
        let billing = if self.view.shape >= Shape::Clover { BillingMode::Flexible } else { BillingMode::Classic };
        self.subscriptions.insert(Subscription {
            id: id.clone(),
            items,
            customer: new.customer,
            status: if trial.is_some() { Status::Trialing } else { Status::Incomplete },
            metadata: new.metadata,
            billing,
            created: now,
            anchor,
            period: Period { start: now, end },
            trial: trial.map(|end| Period { start: now, end }),
            trial_end: new.trial_end,
            trial_end_told: false,
            ending: None,
            canceled_at: None,
            cancel_reason: None,
            ended_at: None,
            latest_invoice: None,
            dunning: None,
            is_processing: false,
            paused: None,
            schedule: None,
        });
        self.set_subscription(&id, |_| {});
        let invoice = self.draft_invoice(&id, "subscription_create", lines);
        Ok((id, invoice))
    }

    fn items_of(&mut self, items: Vec<(Price, u32)>) -> Result<Items, Refusal> {
        let created = self.now;
        let mut items = items.into_iter().map(|(price, quantity)| {
            let id = self.ids.next("si");
            Item { id, price, quantity, created }
        });
        let mut made = Items::new(items.next().ok_or_else(|| Refusal::missing("items"))?);
        items.for_each(|item| made.push(item));
        check_together(&made)?;
        Ok(made)
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
            (_, Card::Declined | Card::Missing) => self.fail_invoice(invoice, None),
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
            self.agenda.set(id, next_turn(subscription));
        }
    }

    /// A subscription as it would be told now.
    pub(super) fn snapshot(&self, id: &str) -> Value {
        self.subscriptions.get(id).map_or(Value::Null, |subscription| render::subscription(subscription, &self.view))
    }

    /// Tells a subscription that was `before`.
    pub(super) fn tell_amended(&mut self, id: &str, before: Value) {
        if self.manner().telling == Telling::Silent {
            return;
        }
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
        let schedule = self.living(id)?.schedule.clone();
        let now = self.now;
        self.set_subscription(id, |subscription| {
            subscription.status = Status::Canceled;
            subscription.ended_at = Some(now);
            subscription.canceled_at.get_or_insert(now);
            subscription.cancel_reason.get_or_insert(reason);
            subscription.dunning = None;
        });
        self.tell_subscription(id, "customer.subscription.deleted");
        if let Some(schedule) = schedule {
            self.cancel_schedule(&schedule);
        }
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
    /// (<https://docs.stripe.com/billing/subscriptions/billing-mode/compare>).
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
}
