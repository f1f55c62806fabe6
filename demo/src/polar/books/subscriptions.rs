//! Polar's subscriptions: begun, changed, canceled and taken back, paused and resumed, revoked.
//!
//! Every change is told as `subscription.updated` with the final status, and then by its own name
//! (<https://polar.sh/docs/integrate/webhooks/events>).

use chrono::Duration;

use super::lifecycle::next_turn;
use super::model::{Period, Status, Subscription};
use super::{Books, NewCustomer, new_id};
use crate::Timestamp;
use crate::polar::refusal::Refusal;
use crate::polar::render;
use crate::polar::settings::Product;
use crate::provider::{Metadata, period_end};

/// A subscription to begin.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    pub customer: String,
    pub product: String,
    /// 0: charged at once.
    #[serde(default)]
    pub trial_days: u32,
    #[serde(default)]
    pub metadata: Metadata,
}

/// How many paying customers to write down.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub count: u32,
    pub product: String,
    /// The site's own id of each customer; `{n}` becomes the row's number, counted from 0.
    pub external_id: String,
}

impl Books {
    /// Begins a subscription; answers the id. A declined card leaves it incomplete.
    pub fn subscribe(&mut self, new: Subscribe) -> Result<String, Refusal> {
        self.check_room(1)?;
        self.customer(&new.customer)?;
        let product = self.product(&new.product)?.clone();
        let (customer, trial_days) = (new.customer, new.trial_days);
        let id = self.write_subscription(&customer, product, trial_days, new.metadata);
        self.tell_subscription(&id, "subscription.created");
        let order = self.write_order(&id, "subscription_create");
        self.tell_order(&order, "order.created");
        if trial_days > 0 || self.has_good_card(&customer) {
            let now = self.tick();
            let status = if trial_days > 0 { Status::Trialing } else { Status::Active };
            self.set_subscription(&id, |own| {
                own.status = status;
                own.started = Some(now);
                own.modified = Some(now);
            });
            self.tell_change(&id, "subscription.active");
            self.pay_order(&order);
        }
        self.tell_state(&customer);
        Ok(id)
    }

    /// Writes a subscription down, incomplete, and tells nothing.
    fn write_subscription(&mut self, customer: &str, product: Product, trial_days: u32, metadata: Metadata) -> String {
        let (id, now) = (new_id(), self.tick());
        let trial = (trial_days > 0).then(|| Period { start: now, end: now + Duration::days(i64::from(trial_days)) });
        let anchor = trial.map_or(now, |trial| trial.end);
        let end = trial.map_or_else(|| period_end(now, now, product.cadence.months()), |trial| trial.end);
        self.subscriptions.insert(Subscription {
            id: id.clone(),
            customer: customer.to_owned(),
            product,
            metadata,
            status: Status::Incomplete,
            created: now,
            modified: None,
            anchor,
            period: Period { start: now, end },
            trial,
            is_ending: false,
            canceled: None,
            started: None,
            ends: None,
            ended: None,
            past_due: None,
            is_pausing: false,
            paused: None,
            resumes: None,
            dunning: None,
        });
        self.set_subscription(&id, |_| {});
        id
    }

    /// Writes down `count` customers, each with an active and paid subscription; answers the ids of the subscriptions.
    /// No event is made.
    pub fn seed(&mut self, seed: &Seed) -> Result<Vec<String>, Refusal> {
        let product = self.product(&seed.product)?.clone();
        self.check_room(usize::try_from(seed.count).unwrap_or(usize::MAX))?;
        let one = |number: u32| {
            let external_id = Some(seed.external_id.replace("{n}", &number.to_string()));
            let customer = self.write_customer(NewCustomer { external_id, ..NewCustomer::default() })?;
            let id = self.write_subscription(&customer, product.clone(), 0, Metadata::new());
            let order = self.write_order(&id, "subscription_create");
            let now = self.tick();
            self.set_subscription(&id, |own| {
                own.status = Status::Active;
                own.started = Some(now);
            });
            self.settle_order(&order);
            Ok(id)
        };
        (0..seed.count).map(one).collect()
    }

    /// The subscription, if it is not over.
    pub fn living(&self, id: &str) -> Result<&Subscription, Refusal> {
        let subscription = self.subscription(id)?;
        if subscription.status.is_over() { Err(Refusal::AlreadyCanceled) } else { Ok(subscription) }
    }

    /// Changes a subscription and tells nothing yet.
    pub(super) fn set_subscription(&mut self, id: &str, change: impl FnOnce(&mut Subscription)) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            change(subscription);
            self.agenda.set(id, next_turn(subscription));
        }
    }

    /// Changes a subscription, and tells it as an update, by its own name, and in its customer's state.
    pub(super) fn amend(&mut self, id: &str, kind: &str, change: impl FnOnce(&mut Subscription, Timestamp)) {
        let now = self.tick();
        self.set_subscription(id, |own| {
            change(own, now);
            own.modified = Some(now);
        });
        self.tell_change(id, kind);
        if let Some(customer) = self.subscriptions.get(id).map(|own| own.customer.clone()) {
            self.tell_state(&customer);
        }
    }

    /// The catch-all comes first; without a name of its own, a change is told by it alone.
    fn tell_change(&mut self, id: &str, kind: &str) {
        self.tell_subscription(id, "subscription.updated");
        if !kind.is_empty() {
            self.tell_subscription(id, kind);
        }
    }

    pub(super) fn tell_subscription(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.subscriptions.get(id).map(|own| render::subscription(own, self)) {
            self.emit(kind, &object);
        }
    }

    /// Moves a subscription to another product, in the running period.
    pub fn change_product(&mut self, id: &str, product: &str) -> Result<(), Refusal> {
        self.living(id)?;
        let product = self.product(product)?.clone();
        self.amend(id, "", |own, _| own.product = product);
        Ok(())
    }

    /// Ends a subscription with its period.
    pub fn cancel(&mut self, id: &str) -> Result<(), Refusal> {
        if self.living(id)?.is_ending {
            return Err(Refusal::AlreadyCanceled);
        }
        self.amend(id, "subscription.canceled", |own, now| {
            own.is_ending = true;
            own.canceled = Some(now);
            own.ends = Some(own.period.end);
        });
        Ok(())
    }

    /// Takes a cancellation back.
    pub fn uncancel(&mut self, id: &str) -> Result<(), Refusal> {
        let own = self.subscription(id)?;
        if own.status.is_over() {
            return Err(Refusal::Gone);
        }
        if !own.is_ending {
            return Err(Refusal::NotCanceled);
        }
        self.amend(id, "subscription.uncanceled", |own, _| {
            own.is_ending = false;
            own.canceled = None;
            own.ends = None;
        });
        Ok(())
    }

    /// Ends a subscription at once.
    pub fn revoke(&mut self, id: &str) -> Result<(), Refusal> {
        let was_canceled = self.living(id)?.canceled.is_some();
        self.end(id, Status::Canceled, was_canceled.then_some(Known));
        Ok(())
    }

    /// Ends a subscription in this status. That it is canceled is told by name, unless that is known.
    pub(super) fn end(&mut self, id: &str, status: Status, canceled: Option<Known>) {
        let now = self.tick();
        self.set_subscription(id, |own| {
            own.status = status;
            own.canceled.get_or_insert(now);
            own.ends = Some(now);
            own.ended = Some(now);
            own.dunning = None;
        });
        if canceled.is_none() && status == Status::Canceled {
            self.tell_change(id, "subscription.canceled");
        }
        self.amend(id, "subscription.revoked", |_, _| {});
    }

    /// Pauses a subscription, now or with its period; with `resumes` it goes on by itself.
    pub fn pause(&mut self, id: &str, when: PauseAt, resumes: Option<Timestamp>) -> Result<(), Refusal> {
        let own = self.living(id)?;
        if own.status != Status::Active || resumes.is_some_and(|moment| moment <= own.period.start) {
            return Err(Refusal::invalid("pause", "Only an active subscription can be paused, until a later moment."));
        }
        self.set_subscription(id, |own| own.resumes = resumes);
        match when {
            PauseAt::PeriodEnd => self.amend(id, "", |own, _| own.is_pausing = true),
            PauseAt::Now => self.begin_pause(id),
        }
        Ok(())
    }

    pub(super) fn begin_pause(&mut self, id: &str) {
        self.amend(id, "subscription.paused", |own, now| {
            own.status = Status::Paused;
            own.is_pausing = false;
            own.paused = Some(now);
        });
    }

    /// Lets a paused subscription go on, with a new period that is charged at once.
    pub fn resume(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_room(1)?;
        let own = self.living(id)?;
        if own.status != Status::Paused {
            return Err(Refusal::invalid("resume", "The subscription is not paused."));
        }
        let months = own.product.cadence.months();
        self.amend(id, "subscription.resumed", |own, now| {
            own.status = Status::Active;
            own.paused = None;
            own.resumes = None;
            own.anchor = now;
            own.period = Period { start: now, end: period_end(now, now, months) };
        });
        self.charge(id, "subscription_cycle");
        Ok(())
    }
}

/// Something that was told before.
pub(super) struct Known;

/// When a pause begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseAt {
    Now,
    PeriodEnd,
}
