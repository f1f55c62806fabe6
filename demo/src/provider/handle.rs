//! The handle for tests: everything that a person or a script can do with a provider, as methods.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::books::ItemChange;
use super::books::model::{EndBehavior, Pause};
use super::{
    CancelAt, Card, DisputeStatus, Exhausted, NewCustomer, PauseBehavior, Price, Proration, Provider, RefundStatus,
    Seed, Settled, Subscribe, WhileProcessing,
};
use crate::Timestamp;

impl Provider {
    /// The time of its own clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.ledger().books.now()
    }

    /// Moves its clock forward, playing everything that comes due on the way, in order.
    ///
    /// # Errors
    /// When the step is negative or longer than ten years.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let by = chrono::Duration::from_std(by).context("the step is too long")?;
        Ok(self.shared.advance(by)?)
    }

    /// Writes down many paying customers at once, as if they had always been there; answers the ids of their
    /// subscriptions. Nothing of it is told.
    ///
    /// # Errors
    /// When there is no such price, or no room for so many.
    pub fn seed(&self, seed: &Seed) -> Result<Vec<String>> {
        Ok(self.shared.change(|books| books.seed(seed))?)
    }

    /// Makes a price another one than the catalog says.
    ///
    /// # Errors
    /// When there is no such price.
    pub fn set_price(&self, id: &str, change: impl FnOnce(&mut Price)) -> Result<()> {
        Ok(self.shared.change(|books| books.set_price(id, change))?)
    }

    /// Makes a customer with a card that works; answers the id.
    ///
    /// # Errors
    /// When the provider is full.
    pub fn create_customer(&self, new: NewCustomer) -> Result<String> {
        Ok(self.shared.change(|books| books.create_customer(new))?)
    }

    /// Decides what happens when this customer is charged next.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn set_card(&self, customer: &str, card: Card) -> Result<()> {
        Ok(self.shared.change(|books| books.set_card(customer, card))?)
    }

    /// Deletes a customer, which ends their subscriptions.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn delete_customer(&self, customer: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.delete_customer(customer))?)
    }

    /// Begins a subscription without a checkout; answers the id. A declined card leaves it incomplete.
    ///
    /// # Errors
    /// When there is no such customer or price.
    pub fn subscribe(&self, new: Subscribe) -> Result<String> {
        Ok(self.shared.subscribe(new)?)
    }

    /// Ends a subscription now or later.
    ///
    /// # Errors
    /// When there is no such subscription, or it is over.
    pub fn cancel(&self, subscription: &str, at: CancelAt) -> Result<()> {
        Ok(self.shared.cancel(subscription, at)?)
    }

    /// Takes a scheduled end back.
    ///
    /// # Errors
    /// When there is no such subscription, or it is over.
    pub fn reactivate(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.reactivate(subscription))?)
    }

    /// Moves the first item of a subscription to another price.
    ///
    /// # Errors
    /// When there is no such subscription or price, or it is over.
    pub fn change_price(&self, subscription: &str, price: &str, proration: Proration) -> Result<()> {
        Ok(self.shared.change(|books| {
            let price = books.price(price, "price")?.clone();
            books.change_price(subscription, price, proration)
        })?)
    }

    /// As a downgrade in the portal: with the period's end the subscription moves to another price, by a schedule; answers
    /// the schedule's id.
    ///
    /// # Errors
    /// When there is no such subscription or price, it is over, or it has a schedule already.
    pub fn schedule_change(&self, subscription: &str, price: &str) -> Result<String> {
        Ok(self.shared.change(|books| {
            let price = books.price(price, "price")?.clone();
            books.schedule_change(subscription, price)
        })?)
    }

    /// Whether a schedule cancels its subscription after the last phase, or lets it go on.
    ///
    /// # Errors
    /// When there is no such schedule, or it is over.
    pub fn set_schedule_cancels(&self, schedule: &str, cancels: bool) -> Result<()> {
        let behavior = if cancels { EndBehavior::Cancel } else { EndBehavior::Release };
        Ok(self.shared.change(|books| books.set_end_behavior(schedule, behavior))?)
    }

    /// Lets a schedule go of its subscription, which goes on as it is.
    ///
    /// # Errors
    /// When there is no such schedule, or it is over.
    pub fn release_schedule(&self, schedule: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.release_schedule(schedule, false))?)
    }

    /// Adds an item, of a price that the subscription does not have yet.
    ///
    /// # Errors
    /// When there is no such subscription or price, it is over, or the price does not fit the others.
    pub fn add_item(&self, subscription: &str, price: &str, proration: Proration) -> Result<()> {
        Ok(self.shared.change(|books| {
            let price = books.price(price, "price")?.clone();
            books.change_items(subscription, vec![ItemChange::Add { price, quantity: 1 }], proration)
        })?)
    }

    /// Takes an item away, named by its id or its price.
    ///
    /// # Errors
    /// When there is no such subscription or item, it is over, or this is its last item.
    pub fn remove_item(&self, subscription: &str, item: &str, proration: Proration) -> Result<()> {
        let change = ItemChange::Remove { item: item.to_owned() };
        Ok(self.shared.change(|books| books.change_items(subscription, vec![change], proration))?)
    }

    /// Changes how many of an item, named by its id or its price, are bought.
    ///
    /// # Errors
    /// When there is no such subscription or item, or it is over.
    pub fn set_quantity(&self, subscription: &str, item: &str, quantity: u32) -> Result<()> {
        let change = ItemChange::Set { item: item.to_owned(), price: None, quantity: Some(quantity) };
        Ok(self.shared.change(|books| books.change_items(subscription, vec![change], Proration::None))?)
    }

    /// Stops collecting payments: the status stays. With `resumes_at` it goes on by itself.
    ///
    /// # Errors
    /// When there is no such subscription, it is over, or the moment is past.
    pub fn pause_collection(
        &self,
        subscription: &str,
        behavior: PauseBehavior,
        resumes_at: Option<Timestamp>,
    ) -> Result<()> {
        let pause = Pause { behavior, resumes_at };
        Ok(self.shared.change(|books| books.pause_collection(subscription, pause))?)
    }

    /// Collects payments again.
    ///
    /// # Errors
    /// When there is no such subscription, or it is over.
    pub fn unpause_collection(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.unpause_collection(subscription))?)
    }

    /// Lets a subscription go on that was paused because its trial ended without a card.
    ///
    /// # Errors
    /// When it is not paused, or there still is no card.
    pub fn resume(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.resume(subscription))?)
    }

    /// What becomes, from now on, of a subscription whose payment failed in every try.
    pub fn set_exhausted(&self, exhausted: Exhausted) {
        self.shared.ledger().books.exhausted = exhausted;
    }

    /// Completes a checkout session, as the buyer does on its page.
    ///
    /// # Errors
    /// When there is no such session, or it is not open.
    pub fn complete_checkout(&self, session: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.complete_session(session))?)
    }

    /// Completes the checkout of a trial without naming a card.
    ///
    /// # Errors
    /// When there is no such session, it is not open, or it has no trial.
    pub fn complete_checkout_without_card(&self, session: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.complete_session_without_card(session))?)
    }

    /// Completes a checkout with a payment that takes days; [`Provider::settle_checkout`] decides what comes of it.
    ///
    /// # Errors
    /// When there is no such session, it is not open, or it begins with a trial.
    pub fn complete_checkout_later(&self, session: &str, meanwhile: WhileProcessing) -> Result<()> {
        Ok(self.shared.change(|books| books.complete_session_later(session, meanwhile))?)
    }

    /// The payment of a checkout comes, or fails.
    ///
    /// # Errors
    /// When nothing of this session is pending.
    pub fn settle_checkout(&self, session: &str, settled: Settled) -> Result<()> {
        Ok(self.shared.change(|books| books.settle_session(session, settled))?)
    }

    /// Closes an open checkout session, as time does after a day.
    ///
    /// # Errors
    /// When there is no such session, or it is not open.
    pub fn expire_checkout(&self, session: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.expire_session(session))?)
    }

    /// Bills a customer once, outside any subscription, and charges them; answers the invoice's id.
    ///
    /// # Errors
    /// When there is no such customer, or the amount is not positive.
    pub fn bill(&self, customer: &str, amount: i64, description: &str) -> Result<String> {
        Ok(self.shared.change(|books| books.bill(customer, amount, description))?)
    }

    /// Charges an invoice that was not paid, now.
    ///
    /// # Errors
    /// When it is paid or void, or the card is declined.
    pub fn collect(&self, invoice: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.collect(invoice))?)
    }

    /// Gives back `amount` of a paid invoice in minor units, or all that is left; answers the refund's id.
    ///
    /// # Errors
    /// When nothing was paid, or not so much.
    pub fn refund(&self, invoice: &str, amount: Option<i64>) -> Result<String> {
        self.refund_as(invoice, amount, RefundStatus::Succeeded)
    }

    /// As [`Provider::refund`], with a refund that is on its way, or fails at once.
    ///
    /// # Errors
    /// When nothing was paid, or not so much.
    pub fn refund_as(&self, invoice: &str, amount: Option<i64>, status: RefundStatus) -> Result<String> {
        Ok(self.shared.change(|books| {
            let charge = books.paid_charge(invoice)?.id.clone();
            books.give_back(&charge, amount, status)
        })?)
    }

    /// Decides on a refund: one that failed or was canceled is no longer given back, even if it had succeeded.
    ///
    /// # Errors
    /// When there is no such refund, or it has failed already.
    pub fn set_refund(&self, refund: &str, status: RefundStatus) -> Result<()> {
        Ok(self.shared.change(|books| books.set_refund(refund, status))?)
    }

    /// Begins a dispute of a paid invoice, or moves it on: `status` is Stripe's, such as `needs_response`,
    /// `warning_needs_response`, `under_review`, `won` or `lost`. Answers the dispute's id.
    ///
    /// # Errors
    /// When nothing was paid, there is no such status, or the dispute is decided.
    pub fn dispute(&self, invoice: &str, status: &str) -> Result<String> {
        let known = DisputeStatus::ALL.into_iter().find(|known| known.name() == status);
        let status = known.with_context(|| format!("there is no dispute status {status:?}"))?;
        Ok(self.shared.change(|books| books.dispute_invoice(invoice, status))?)
    }

    /// Tells any object as an event of any kind; answers the event's id.
    ///
    /// # Errors
    /// Never so far.
    pub fn emit(&self, kind: &str, object: Value) -> Result<String> {
        Ok(self.shared.change(|books| Ok(books.emit(kind, object, None)))?)
    }
}
