//! The handle for tests: everything that a person or a script can do with a provider, as methods.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::books::NewSubscription;
use super::delivery::{Attempt, Gate};
use super::{CancelAt, Card, NewCustomer, Proration, Provider, Subscribe, render};
use crate::Timestamp;

impl Provider {
    /// Where events go from now on; what was emitted without an endpoint is not sent later.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.shared.delivery.set_url(url);
    }

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
        Ok(self.shared.change(|books| {
            let price = books.price(&new.price, "price")?.clone();
            let trial_days = Some(new.trial_days).filter(|days| *days > 0);
            let Subscribe { customer, metadata, .. } = new;
            books.subscribe(NewSubscription { customer, price, quantity: 1, trial_days, metadata })
        })?)
    }

    /// Ends a subscription now, or as the portal does, with the paid period.
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

    /// Moves a subscription to another price.
    ///
    /// # Errors
    /// When there is no such subscription or price, or it is over.
    pub fn change_price(&self, subscription: &str, price: &str, proration: Proration) -> Result<()> {
        Ok(self.shared.change(|books| {
            let price = books.price(price, "price")?.clone();
            books.change_price(subscription, price, proration)
        })?)
    }

    /// Completes a checkout session, as the buyer does on its page.
    ///
    /// # Errors
    /// When there is no such session, or it is not open.
    pub fn complete_checkout(&self, session: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.complete_session(session))?)
    }

    /// Gives back `amount` of a paid invoice in minor units, or all that is left.
    ///
    /// # Errors
    /// When nothing was paid, or not so much.
    pub fn refund(&self, invoice: &str, amount: Option<i64>) -> Result<()> {
        Ok(self.shared.change(|books| books.refund(invoice, amount))?)
    }

    /// Tells a dispute of a paid invoice: `status` is Stripe's, such as `needs_response`, `won` or `lost`.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn dispute(&self, invoice: &str, status: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.dispute(invoice, status))?)
    }

    /// Tells any object as an event of any kind; answers the event's id.
    pub fn emit(&self, kind: &str, object: Value) -> Result<String> {
        Ok(self.shared.change(|books| Ok(books.emit(kind, object, None)))?)
    }

    /// Every subscription as JSON in the provider's shape, oldest first.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Value> {
        let ledger = self.shared.ledger();
        let books = &ledger.books;
        books.subscriptions.iter().map(|subscription| render::subscription(subscription, books.view())).collect()
    }

    /// Every customer as JSON, oldest first.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        self.shared.ledger().books.customers.iter().map(render::customer).collect()
    }

    /// Every invoice as JSON in the provider's shape, oldest first.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        let ledger = self.shared.ledger();
        let books = &ledger.books;
        books.invoices.iter().map(|invoice| render::invoice(invoice, books.view())).collect()
    }

    /// Every event as it was emitted, oldest first; the last 20 000 are known.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.ledger().books.events().map(|event| event.body.clone()).collect()
    }

    /// Holds deliveries back until [`Provider::release`].
    pub fn hold(&self) {
        self.shared.delivery.set_gate(Gate::Held);
    }

    /// Lets deliveries go again: what waits goes out in the order of emission.
    pub fn release(&self) {
        self.shared.delivery.set_gate(Gate::Open);
    }

    /// The ids of the events that wait to be delivered, in order.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.shared.delivery.queue().waiting()
    }

    /// Sends an event once, now, held or not; once accepted it no longer waits.
    ///
    /// # Errors
    /// When there is no such event or no endpoint.
    pub async fn deliver(&self, event: &str) -> Result<Attempt> {
        let event = Arc::clone(self.shared.ledger().books.event(event)?);
        self.shared.delivery.deliver(&event).await
    }

    /// Sends an event once more, now: a duplicate, if it was or will be delivered.
    ///
    /// # Errors
    /// When there is no such event or no endpoint.
    pub async fn redeliver(&self, event: &str) -> Result<Attempt> {
        let event = Arc::clone(self.shared.ledger().books.event(event)?);
        self.shared.delivery.redeliver(&event).await
    }

    /// Drops an event that waits: it is never delivered.
    ///
    /// # Errors
    /// When it does not wait.
    pub fn discard(&self, event: &str) -> Result<()> {
        if !self.shared.delivery.discard(event) {
            bail!("event {event} does not wait for delivery");
        }
        Ok(())
    }

    /// Every try to deliver, oldest first; the last 20 000 are known.
    #[must_use]
    pub fn delivery_log(&self) -> Vec<Attempt> {
        self.shared.delivery.queue().log().cloned().collect()
    }

    /// Waits until nothing waits for delivery any more: everything was accepted or given up.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub async fn settled(&self, limit: Duration) -> Result<()> {
        self.shared.delivery.idle(limit).await
    }
}
