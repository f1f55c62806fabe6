//! Subscription schedules (<https://docs.stripe.com/billing/subscriptions/subscription-schedules>): made by the portal for a
//! downgrade at the period's end, changed and released by calls, and over when time has played their last phase.

use super::model::{EndBehavior, Ending, Items, Period, Phase, Schedule, ScheduleStatus};
use super::subscriptions::period_end;
use super::{Books, found};
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::Price;

impl Books {
    /// A schedule by its id.
    pub fn schedule(&self, id: &str) -> Result<&Schedule, Refusal> {
        found(&self.schedules, id)
    }

    /// Moves a subscription to another price when its period ends; answers the schedule's id.
    pub fn schedule_change(&mut self, subscription: &str, price: Price) -> Result<String, Refusal> {
        self.check_room(1)?;
        let living = self.living(subscription)?.clone();
        if let Some(schedule) = &living.schedule {
            let message =
                format!("You cannot migrate a subscription that is already attached to a schedule: `{schedule}`.");
            return Err(Refusal::wrong_state(message));
        }
        let (first, start) = (living.items.first(), living.period.end);
        let next = Period { start, end: period_end(living.anchor, start, price.cadence.months()) };
        let now = Phase { period: living.period, price: first.price.clone(), quantity: first.quantity };
        let id = self.ids.next("sub_sched");
        self.schedules.insert(Schedule {
            id: id.clone(),
            customer: living.customer.clone(),
            subscription: subscription.to_owned(),
            status: ScheduleStatus::Active,
            end_behavior: if living.ending.is_some() { EndBehavior::Cancel } else { EndBehavior::Release },
            created: self.now,
            phases: [now, Phase { period: next, price, quantity: 1 }],
            over_at: None,
        });
        let ending = living.ending.map(|_| Ending::At(next.end));
        self.amend(subscription, |subscription| {
            subscription.schedule = Some(id.clone());
            subscription.ending = ending;
        });
        self.tell_schedule(&id, "created");
        Ok(id)
    }

    /// What becomes of the subscription after the last phase: one that will be canceled says when.
    pub fn set_end_behavior(&mut self, id: &str, end_behavior: EndBehavior) -> Result<(), Refusal> {
        let schedule = self.active_schedule(id, "update")?.clone();
        let [_, last] = &schedule.phases;
        let (now, end) = (self.now, last.period.end);
        let cancels = end_behavior == EndBehavior::Cancel;
        if let Some(schedule) = self.schedules.get_mut(id) {
            schedule.end_behavior = end_behavior;
        }
        self.amend(&schedule.subscription, |subscription| {
            subscription.ending = cancels.then_some(Ending::At(end));
            subscription.canceled_at = cancels.then_some(now);
            subscription.cancel_reason = cancels.then_some("cancellation_requested");
        });
        self.tell_schedule(id, "updated");
        Ok(())
    }

    /// Lets the subscription go on without a schedule: as it is now, and without an end that the schedule has set, unless
    /// that is kept.
    pub fn release_schedule(&mut self, id: &str, keeps_end: bool) -> Result<(), Refusal> {
        let subscription = self.active_schedule(id, "release")?.subscription.clone();
        self.close_schedule(id, ScheduleStatus::Released);
        self.amend(&subscription, |subscription| {
            subscription.schedule = None;
            if !keeps_end {
                subscription.ending = None;
                subscription.canceled_at = None;
                subscription.cancel_reason = None;
            }
        });
        self.tell_schedule(id, "released");
        Ok(())
    }

    /// A schedule's subscription has been canceled: so is the schedule.
    pub(super) fn cancel_schedule(&mut self, id: &str) {
        self.close_schedule(id, ScheduleStatus::Canceled);
        self.tell_schedule(id, "canceled");
    }

    /// What a subscription is for in the period that begins now: the next phase, or what it was.
    pub(super) fn begin_phase(&mut self, subscription: &str) -> Result<(), Refusal> {
        let living = self.subscription(subscription)?.clone();
        let Some(id) = living.schedule.clone() else { return Ok(()) };
        let [_, last] = self.schedule(&id)?.phases.clone();
        let begins = last.period.start == living.period.end;
        let is_over = last.period.end <= living.period.end;
        if begins {
            let mut item = living.items.first().clone();
            (item.price, item.quantity) = (last.price, last.quantity);
            self.set_subscription(subscription, |subscription| subscription.items = Items::new(item));
        }
        if is_over {
            self.close_schedule(&id, ScheduleStatus::Completed);
            self.set_subscription(subscription, |subscription| subscription.schedule = None);
            self.tell_schedule(&id, "completed");
        }
        Ok(())
    }

    fn active_schedule(&self, id: &str, act: &str) -> Result<&Schedule, Refusal> {
        let schedule = self.schedule(id)?;
        if schedule.status != ScheduleStatus::Active {
            let status = schedule.status.name();
            let message =
                format!("You cannot {act} a subscription schedule that is currently in the `{status}` status.");
            return Err(Refusal::wrong_state(message));
        }
        Ok(schedule)
    }

    fn close_schedule(&mut self, id: &str, status: ScheduleStatus) {
        let now = self.now;
        if let Some(schedule) = self.schedules.get_mut(id) {
            schedule.status = status;
            schedule.over_at = Some(now);
        }
    }

    fn tell_schedule(&mut self, id: &str, what: &str) {
        let Some(schedule) = self.schedules.get(id) else { return };
        let object = render::schedule(schedule, self.now, &self.view);
        self.emit(&format!("subscription_schedule.{what}"), object, None);
    }
}
