//! What time alone does at Polar: trials and periods end, failed payments are tried again, pauses end.

use chrono::Duration;

use super::Books;
use super::model::{Dunning, Period, Status, Subscription};
use super::subscriptions::Known;
use crate::Timestamp;
use crate::polar::refusal::Refusal;
use crate::provider::{Exhausted, period_end};

/// Days from the first failure to each further try; after the last one it is given up.
const RETRY_DAYS: [i64; 4] = [2, 7, 14, 21];
/// Hours after which a first payment that failed is given up.
const INCOMPLETE_HOURS: i64 = 23;

/// What time does. Of two at one moment the first named here is played first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    IncompleteExpires,
    Ends,
    Pauses,
    Resumes,
    Retry,
    Renews,
}

/// When the `failed`th failure is followed by another try; `None`: no more.
fn next_try(began: Timestamp, failed: usize) -> Option<Timestamp> {
    RETRY_DAYS.get(failed.checked_sub(1)?).map(|days| began + Duration::days(*days))
}

impl Books {
    /// Moves the clock to `until`, playing everything that comes due on the way, in order. Never backward.
    ///
    /// # Errors
    /// When the books are full; the clock then stands where the room ended.
    pub fn play_until(&mut self, until: Timestamp) -> Result<(), Refusal> {
        while let Some((due, turn, id)) = self.agenda.next(until) {
            self.check_room(1)?;
            self.now = self.now.max(due);
            self.play(turn, &id)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn play(&mut self, turn: Turn, id: &str) -> Result<(), Refusal> {
        match turn {
            Turn::IncompleteExpires => self.amend(id, "", |own, now| {
                own.status = Status::IncompleteExpired;
                own.ended = Some(now);
            }),
            Turn::Ends => self.end(id, Status::Canceled, Some(Known)),
            Turn::Pauses => self.begin_pause(id),
            Turn::Resumes => self.resume(id)?,
            Turn::Retry => self.retry(id),
            Turn::Renews => self.renew(id)?,
        }
        Ok(())
    }

    /// Begins the next period, tells that, and only then charges for it.
    fn renew(&mut self, id: &str) -> Result<(), Refusal> {
        let old = self.subscription(id)?;
        let start = old.period.end;
        let period = Period { start, end: period_end(old.anchor, start, old.product.cadence.months()) };
        self.amend(id, "subscription.cycled", |own, _| {
            own.period = period;
            if own.status == Status::Trialing {
                own.status = Status::Active;
            }
        });
        self.charge(id, "subscription_cycle");
        Ok(())
    }

    /// Makes an order for the running period and charges it; a declined card begins dunning.
    pub(super) fn charge(&mut self, id: &str, reason: &'static str) {
        let Some(customer) = self.subscriptions.get(id).map(|own| own.customer.clone()) else { return };
        let order = self.write_order(id, reason);
        self.tell_order(&order, "order.created");
        if self.has_good_card(&customer) {
            self.pay_order(&order);
            self.recover(id);
            return;
        }
        let began = self.tick();
        let Some(next) = next_try(began, 1) else { return };
        self.fail_order(&order, Some(next));
        self.amend(id, "subscription.past_due", |own, now| {
            own.status = Status::PastDue;
            own.past_due = Some(now);
            own.dunning = Some(Dunning { order, failed: 1, began, next });
        });
    }

    /// Tries a failed payment again.
    fn retry(&mut self, id: &str) {
        let Some(own) = self.subscriptions.get(id) else { return };
        let Some(mut dunning) = own.dunning.clone() else { return };
        if self.has_good_card(&own.customer) {
            self.pay_order(&dunning.order);
            self.recover(id);
            return;
        }
        dunning.failed += 1;
        let next = next_try(dunning.began, dunning.failed);
        self.fail_order(&dunning.order, next);
        let Some(next) = next else { return self.give_up(id) };
        dunning.next = next;
        self.set_subscription(id, |own| own.dunning = Some(dunning));
    }

    /// A payment came: what was past due is active again.
    fn recover(&mut self, id: &str) {
        if self.subscriptions.get(id).is_some_and(|own| own.status == Status::PastDue) {
            self.amend(id, "subscription.active", |own, _| {
                own.status = Status::Active;
                own.past_due = None;
                own.dunning = None;
            });
        }
    }

    /// Nobody paid in any try.
    fn give_up(&mut self, id: &str) {
        match self.exhausted {
            Exhausted::Unpaid => self.end(id, Status::Unpaid, Some(Known)),
            Exhausted::Cancel => self.end(id, Status::Canceled, None),
            Exhausted::LeavePastDue => self.set_subscription(id, |own| own.dunning = None),
        }
    }
}

/// When something next happens to a subscription by itself.
pub(super) fn next_turn(own: &Subscription) -> Option<(Timestamp, Turn)> {
    match own.status {
        status if status.is_over() => None,
        Status::Incomplete => Some((own.created + Duration::hours(INCOMPLETE_HOURS), Turn::IncompleteExpires)),
        Status::Paused => own.resumes.map(|moment| (moment, Turn::Resumes)),
        _ => {
            let at_end = match (own.is_ending, own.is_pausing) {
                (true, _) => Turn::Ends,
                (false, true) => Turn::Pauses,
                (false, false) => Turn::Renews,
            };
            let retry = own.dunning.as_ref().map(|dunning| (dunning.next, Turn::Retry));
            [Some((own.period.end, at_end)), retry].into_iter().flatten().min()
        }
    }
}
