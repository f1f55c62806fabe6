//! How a running subscription is paid for: charged, tried again, given up, or not charged for a while.

use serde_json::Value;

use super::Books;
use super::invoices::period_lines;
use super::lifecycle::retry_delay;
use super::model::{Card, Dunning, Pause, Period, Status};
use super::subscriptions::period_end;
use crate::provider::refusal::Refusal;
use crate::provider::settings::Exhausted;

impl Books {
    /// Charges an invoice of a running subscription that was told as `before`; a declined card begins dunning.
    pub(super) fn charge_invoice(&mut self, id: &str, invoice: &str, before: Value) {
        self.finalize_invoice(invoice);
        let Some(customer) = self.subscriptions.get(id).map(|subscription| subscription.customer.clone()) else {
            return;
        };
        match self.card(&customer) {
            Card::Good => self.pay_invoice(invoice),
            Card::Declined | Card::Missing => {
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

    /// Tries a failed payment again; what comes after the last try was decided beforehand.
    pub(super) fn retry_payment(&mut self, id: &str) -> Result<(), Refusal> {
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
        let Some(next) = next else { return self.give_up(id) };
        dunning.next = next;
        self.set_subscription(id, |subscription| subscription.dunning = Some(dunning));
        Ok(())
    }

    /// Nobody paid in any try.
    fn give_up(&mut self, id: &str) -> Result<(), Refusal> {
        match self.exhausted {
            Exhausted::Cancel => return self.cancel_now(id, "payment_failed"),
            Exhausted::Unpaid => self.amend(id, |subscription| {
                subscription.status = Status::Unpaid;
                subscription.dunning = None;
            }),
            Exhausted::LeavePastDue => self.set_subscription(id, |subscription| subscription.dunning = None),
        }
        Ok(())
    }

    /// Stops charging: the status stays as it is, and the invoices of the coming periods are set aside.
    pub fn pause_collection(&mut self, id: &str, pause: Pause) -> Result<(), Refusal> {
        self.living(id)?;
        if pause.resumes_at.is_some_and(|moment| moment <= self.now) {
            return Err(Refusal::invalid("pause_collection[resumes_at]", "The moment must be in the future."));
        }
        self.amend(id, |subscription| subscription.paused = Some(pause));
        Ok(())
    }

    /// Charges again from the next period on.
    pub fn unpause_collection(&mut self, id: &str) -> Result<(), Refusal> {
        self.living(id)?;
        self.amend(id, |subscription| subscription.paused = None);
        Ok(())
    }

    /// A trial ended without a card: nothing is charged and nothing granted until somebody resumes it.
    pub(super) fn pause_at_trial_end(&mut self, id: &str) {
        self.amend(id, |subscription| subscription.status = Status::Paused);
        self.tell_subscription(id, "customer.subscription.paused");
    }

    /// Lets a paused subscription go on, with a new period that is charged at once.
    pub fn resume(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_room(1)?;
        let old = self.living(id)?.clone();
        if old.status != Status::Paused {
            return Err(Refusal::wrong_state("Only a paused subscription can be resumed."));
        }
        if self.card(&old.customer) == Card::Missing {
            return Err(Refusal::wrong_state("The customer has no payment method."));
        }
        let now = self.now;
        let end = period_end(now, now, old.items.first().price.cadence.months());
        let before = self.snapshot(id);
        self.set_subscription(id, |subscription| {
            subscription.status = Status::Active;
            subscription.anchor = now;
            subscription.period = Period { start: now, end };
        });
        let invoice = self.draft_invoice(id, "subscription_update", period_lines(&old.items));
        if self.card(&old.customer) == Card::Good {
            self.tell_amended(id, before.clone());
        }
        self.charge_invoice(id, &invoice, before);
        self.tell_subscription(id, "customer.subscription.resumed");
        Ok(())
    }
}
