//! What time alone does: trials end, periods renew or end, failed payments are tried again, sessions expire.

use chrono::Duration;

use super::Books;
use super::invoices::period_lines;
use super::model::{Card, Ending, Period, Status, Subscription, TrialEnd};
use super::subscriptions::period_end;
use crate::Timestamp;
use crate::provider::refusal::Refusal;

/// Days before a trial's end at which it is announced.
const TRIAL_NOTICE_DAYS: i64 = 3;
/// Hours after which a first payment that failed is given up.
const INCOMPLETE_HOURS: i64 = 23;
/// Days from each failed payment to the next try; after the last one it is given up.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// What time does. Of two at one moment the first named here is played first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    SessionExpires,
    IncompleteExpires,
    TrialWillEnd,
    CollectionResumes,
    Ends,
    Retry,
    Renews,
}

/// How long after the `failed`th failure a payment is tried again; `None`: no more.
pub(super) fn retry_delay(failed: usize) -> Option<Duration> {
    RETRY_DAYS.get(failed.checked_sub(1)?).copied().map(Duration::days)
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
            Turn::SessionExpires => self.expire_session(id)?,
            Turn::IncompleteExpires => self.amend(id, |subscription| subscription.status = Status::IncompleteExpired),
            Turn::TrialWillEnd => {
                self.set_subscription(id, |subscription| subscription.trial_end_told = true);
                self.tell_subscription(id, "customer.subscription.trial_will_end");
            }
            Turn::CollectionResumes => self.unpause_collection(id)?,
            Turn::Ends => self.cancel_now(id, "cancellation_requested")?,
            Turn::Retry => self.retry_payment(id)?,
            Turn::Renews => self.renew(id)?,
        }
        Ok(())
    }

    /// Begins the next period and charges for it.
    fn renew(&mut self, id: &str) -> Result<(), Refusal> {
        let old = self.subscription(id)?.clone();
        let card = self.card(&old.customer);
        if old.status == Status::Trialing && card == Card::Missing {
            match old.trial_end {
                TrialEnd::Pause => {
                    self.pause_at_trial_end(id);
                    return Ok(());
                }
                TrialEnd::Cancel => return self.cancel_now(id, "cancellation_requested"),
                TrialEnd::CreateInvoice => {}
            }
        }
        let before = self.snapshot(id);
        self.begin_phase(id)?;
        let items = self.subscription(id)?.items.clone();
        let start = old.period.end;
        let period = Period { start, end: period_end(old.anchor, start, items.first().price.cadence.months()) };
        let next = |subscription: &mut Subscription| {
            subscription.period = period;
            if subscription.status == Status::Trialing {
                subscription.status = Status::Active;
            }
        };
        if old.paused.is_some() || old.status == Status::Unpaid {
            self.amend(id, next);
            let invoice = self.draft_invoice(id, "subscription_cycle", period_lines(&items));
            match old.paused {
                Some(pause) => self.set_aside_invoice(&invoice, pause.behavior),
                // Stripe drafts what it no longer tries to collect.
                None => self.tell_invoice(&invoice, "invoice.created"),
            }
            return Ok(());
        }
        self.set_subscription(id, next);
        if card == Card::Good {
            // Paying the latest invoice is what makes a subscription active that was past due.
            self.set_subscription(id, |subscription| {
                subscription.status = Status::Active;
                subscription.dunning = None;
            });
            self.tell_amended(id, before.clone());
        }
        let invoice = self.draft_invoice(id, "subscription_cycle", period_lines(&items));
        // A declined card is told together with the new period: nobody hears "active" for what was not paid.
        self.charge_invoice(id, &invoice, before);
        Ok(())
    }
}

/// When something next happens to a subscription by itself.
pub(super) fn next_turn(subscription: &Subscription) -> Option<(Timestamp, Turn)> {
    if subscription.status.is_over() {
        return None;
    }
    let ends = subscription.ending.map(|ending| match ending {
        Ending::PeriodEnd => (subscription.period.end, Turn::Ends),
        Ending::At(moment) => (moment, Turn::Ends),
    });
    if subscription.status == Status::Paused {
        return ends;
    }
    if subscription.status == Status::Incomplete {
        let expires = (subscription.created + Duration::hours(INCOMPLETE_HOURS), Turn::IncompleteExpires);
        return (!subscription.is_processing).then_some(expires);
    }
    let notice = subscription.trial.filter(|_| subscription.status == Status::Trialing && !subscription.trial_end_told);
    let notice =
        notice.map(|trial| ((trial.end - Duration::days(TRIAL_NOTICE_DAYS)).max(trial.start), Turn::TrialWillEnd));
    let resumes = subscription.paused.and_then(|pause| pause.resumes_at).map(|due| (due, Turn::CollectionResumes));
    let retry = subscription.dunning.as_ref().map(|dunning| (dunning.next, Turn::Retry));
    let renews = Some((subscription.period.end, Turn::Renews));
    [ends, notice, resumes, retry, renews].into_iter().flatten().min()
}
