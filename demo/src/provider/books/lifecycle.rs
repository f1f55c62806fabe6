//! What time alone does: trials end, periods renew or end, failed payments are tried again, sessions expire.

use chrono::Duration;

use super::Books;
use super::model::{Card, Ending, Period, SessionState, Status, Subscription};
use super::subscriptions::period_end;
use crate::Timestamp;
use crate::provider::refusal::Refusal;

/// Days before a trial's end at which it is announced.
const TRIAL_NOTICE_DAYS: i64 = 3;
/// Hours after which a first payment that failed is given up.
const INCOMPLETE_HOURS: i64 = 23;
/// Days from each failed payment to the next try; after the last one the subscription is canceled.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// How long after the `failed`th failure a payment is tried again; `None`: no more.
pub(super) fn retry_delay(failed: usize) -> Option<Duration> {
    RETRY_DAYS.get(failed.checked_sub(1)?).copied().map(Duration::days)
}

/// What comes due. Of two at one moment the first named here is played first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    SessionExpires,
    IncompleteExpires,
    TrialWillEnd,
    Ends,
    Retry,
    Renews,
}

impl Books {
    /// Moves the clock to `until`, playing everything that comes due on the way, in order. Never backward.
    ///
    /// # Errors
    /// When the books are full; the clock then stands where the room ended.
    pub fn play_until(&mut self, until: Timestamp) -> Result<(), Refusal> {
        while let Some((due, turn, id)) = self.next_turn().filter(|(due, ..)| *due <= until) {
            self.check_room()?;
            self.now = self.now.max(due);
            self.play(turn, &id)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn next_turn(&self) -> Option<(Timestamp, Turn, String)> {
        let sessions = self.sessions.iter().filter(|session| session.state == SessionState::Open);
        let sessions = sessions.map(|session| (session.expires_at, Turn::SessionExpires, &session.id));
        let subscriptions = self.subscriptions.iter().filter_map(|subscription| {
            let (due, turn) = next_turn(subscription)?;
            Some((due, turn, &subscription.id))
        });
        sessions.chain(subscriptions).min().map(|(due, turn, id)| (due, turn, id.clone()))
    }

    fn play(&mut self, turn: Turn, id: &str) -> Result<(), Refusal> {
        match turn {
            Turn::SessionExpires => self.expire_session(id)?,
            Turn::IncompleteExpires => self.amend(id, |subscription| subscription.status = Status::IncompleteExpired),
            Turn::TrialWillEnd => {
                self.set_subscription(id, |subscription| subscription.trial_end_told = true);
                self.tell_subscription(id, "customer.subscription.trial_will_end");
            }
            Turn::Ends => self.cancel_now(id, "cancellation_requested")?,
            Turn::Retry => self.retry_payment(id)?,
            Turn::Renews => self.renew(id)?,
        }
        Ok(())
    }

    /// Begins the next period and charges for it.
    fn renew(&mut self, id: &str) -> Result<(), Refusal> {
        let old = self.subscription(id)?.clone();
        let start = old.period.end;
        let period = Period { start, end: period_end(old.anchor, start, old.price.cadence.months()) };
        let next = |subscription: &mut Subscription| {
            subscription.period = period;
            if subscription.status == Status::Trialing {
                subscription.status = Status::Active;
            }
        };
        let amount = old.price.amount * i64::from(old.quantity);
        if let Some(behavior) = &old.paused {
            self.amend(id, next);
            let invoice = self.draft_invoice(id, "subscription_cycle", amount);
            self.set_aside_invoice(&invoice, behavior);
            return Ok(());
        }
        let before = self.snapshot(id);
        self.set_subscription(id, next);
        if self.card(&old.customer) == Card::Good {
            self.tell_amended(id, before.clone());
        }
        let invoice = self.draft_invoice(id, "subscription_cycle", amount);
        // A declined card is told together with the new period: nobody hears "active" for what was not paid.
        self.charge_invoice(id, &invoice, before);
        Ok(())
    }

    /// Tries a failed payment again; after the last try the subscription ends.
    fn retry_payment(&mut self, id: &str) -> Result<(), Refusal> {
        let subscription = self.subscription(id)?;
        let Some(mut dunning) = subscription.dunning.clone() else { return Ok(()) };
        if self.card(&subscription.customer) == Card::Good {
            self.pay_invoice(&dunning.invoice);
            self.amend(id, |subscription| {
                subscription.status = Status::Active;
                subscription.dunning = None;
            });
            return Ok(());
        }
        dunning.failed += 1;
        let next = retry_delay(dunning.failed).map(|delay| self.now + delay);
        self.fail_invoice(&dunning.invoice, next);
        let Some(next) = next else { return self.cancel_now(id, "payment_failed") };
        dunning.next = next;
        self.set_subscription(id, |subscription| subscription.dunning = Some(dunning));
        Ok(())
    }
}

/// When something next happens to a subscription by itself.
fn next_turn(subscription: &Subscription) -> Option<(Timestamp, Turn)> {
    if subscription.status.is_over() {
        return None;
    }
    if subscription.status == Status::Incomplete {
        return Some((subscription.created + Duration::hours(INCOMPLETE_HOURS), Turn::IncompleteExpires));
    }
    let ends = subscription.ending.map(|ending| match ending {
        Ending::PeriodEnd => (subscription.period.end, Turn::Ends),
        Ending::At(moment) => (moment, Turn::Ends),
    });
    let notice = subscription.trial.filter(|_| subscription.status == Status::Trialing && !subscription.trial_end_told);
    let notice =
        notice.map(|trial| ((trial.end - Duration::days(TRIAL_NOTICE_DAYS)).max(trial.start), Turn::TrialWillEnd));
    let retry = subscription.dunning.as_ref().map(|dunning| (dunning.next, Turn::Retry));
    let renews = Some((subscription.period.end, Turn::Renews));
    [ends, notice, retry, renews].into_iter().flatten().min()
}
