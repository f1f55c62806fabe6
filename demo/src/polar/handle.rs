//! The handle for tests: everything that a person or a script can do with a simulated Polar, as methods.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::books::{NewCustomer, NewRefund, PauseAt, Seed, Subscribe};
use super::{Polar, RefundStatus, StandardSecret, render};
use crate::Timestamp;
use crate::delivery::{Attempt, Gate, Scheme};
use crate::faults::Fault;
use crate::provider::{Card, Exhausted, Metadata, Telling};

impl Polar {
    /// The time of its own clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.ledger().books.now()
    }

    /// Moves its clock forward, playing everything that comes due on the way, in order.
    ///
    /// # Errors
    /// When the step is longer than ten years.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let by = chrono::Duration::from_std(by).context("the step is too long")?;
        Ok(self.shared.advance(by)?)
    }

    /// Writes down many paying customers at once; answers the ids of their subscriptions. Nothing of it is told.
    ///
    /// # Errors
    /// When there is no such product, no room for so many, or an external id is taken.
    pub fn seed(&self, seed: &Seed) -> Result<Vec<String>> {
        Ok(self.shared.change(|books| books.seed(seed))?)
    }

    /// Makes a customer with a card that works; answers the id.
    ///
    /// # Errors
    /// When the external id is taken, or the books are full.
    pub fn create_customer(&self, new: NewCustomer) -> Result<String> {
        Ok(self.shared.change(|books| books.create_customer(new))?)
    }

    /// Changes what the site keeps with a customer.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn set_customer_metadata(&self, customer: &str, metadata: Metadata) -> Result<()> {
        Ok(self.shared.change(|books| books.set_customer_metadata(customer, metadata))?)
    }

    /// Decides what happens when this customer is charged next.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn set_card(&self, customer: &str, card: Card) -> Result<()> {
        Ok(self.shared.change(|books| books.set_card(customer, card))?)
    }

    /// Deletes a customer, which revokes their subscriptions.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn delete_customer(&self, customer: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.delete_customer(customer))?)
    }

    /// Begins a subscription; answers the id. A declined card leaves it incomplete.
    ///
    /// # Errors
    /// When there is no such customer or product.
    pub fn subscribe(&self, new: Subscribe) -> Result<String> {
        Ok(self.shared.change(|books| books.subscribe(new))?)
    }

    /// The buyer pays an open checkout, or begins its trial; answers the subscription.
    ///
    /// # Errors
    /// When there is no such checkout, it is not open, or the customer has a subscription that runs.
    pub fn complete_checkout(&self, checkout: &str) -> Result<String> {
        Ok(self.shared.change(|books| books.complete_checkout(checkout))?)
    }

    /// Every checkout as the API shows it, oldest first.
    #[must_use]
    pub fn checkouts(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.checkouts.iter().map(|checkout| render::checkout(checkout, books, &self.shared.base_url)).collect()
    }

    /// Moves a subscription to another product.
    ///
    /// # Errors
    /// When there is no such subscription or product, or it is over.
    pub fn change_product(&self, subscription: &str, product: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.change_product(subscription, product))?)
    }

    /// Ends a subscription with its period.
    ///
    /// # Errors
    /// When there is no such subscription, or it is over or ends already.
    pub fn cancel(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.cancel(subscription))?)
    }

    /// Takes a cancellation back.
    ///
    /// # Errors
    /// When there is no such subscription, or it does not end.
    pub fn uncancel(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.uncancel(subscription))?)
    }

    /// Ends a subscription at once.
    ///
    /// # Errors
    /// When there is no such subscription, or it is over.
    pub fn revoke(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.revoke(subscription))?)
    }

    /// Pauses an active subscription; with `resumes` it goes on by itself.
    ///
    /// # Errors
    /// When there is no such subscription, or it is not active.
    pub fn pause(&self, subscription: &str, when: PauseAt, resumes: Option<Timestamp>) -> Result<()> {
        Ok(self.shared.change(|books| books.pause(subscription, when, resumes))?)
    }

    /// Lets a paused subscription go on, with a new period that is charged at once.
    ///
    /// # Errors
    /// When there is no such subscription, or it is not paused.
    pub fn resume(&self, subscription: &str) -> Result<()> {
        Ok(self.shared.change(|books| books.resume(subscription))?)
    }

    /// What becomes, from now on, of a subscription whose payment failed in every try.
    pub fn set_exhausted(&self, exhausted: Exhausted) {
        self.shared.ledger().books.exhausted = exhausted;
    }

    /// Sells a product once, outside any subscription; answers the order's id.
    ///
    /// # Errors
    /// When there is no such customer or product.
    pub fn purchase(&self, customer: &str, product: &str) -> Result<String> {
        Ok(self.shared.change(|books| books.purchase(customer, product))?)
    }

    /// Gives money back; answers the refund's id.
    ///
    /// # Errors
    /// When nothing was paid, or not so much.
    pub fn refund(&self, new: &NewRefund) -> Result<String> {
        Ok(self.shared.change(|books| books.give_back(new))?)
    }

    /// Decides on a refund that is pending.
    ///
    /// # Errors
    /// When there is no such refund, or it is decided.
    pub fn set_refund(&self, refund: &str, status: RefundStatus) -> Result<()> {
        Ok(self.shared.change(|books| books.set_refund(refund, status))?)
    }

    /// Tells any data as an event of any kind; answers the id under which it is delivered.
    ///
    /// # Errors
    /// Never so far.
    pub fn emit(&self, kind: &str, data: &Value) -> Result<String> {
        Ok(self.shared.change(|books| Ok(books.emit(kind, data)))?)
    }

    /// Whether changes are told from now on. What is done in silence leaves no event behind, ever.
    pub fn set_telling(&self, telling: Telling) {
        self.shared.ledger().books.telling = telling;
    }

    /// Every subscription as JSON, oldest first.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.subscriptions.iter().map(|own| render::subscription(own, books)).collect()
    }

    /// Every customer as JSON, oldest first; deleted ones too.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.customers.iter().map(|customer| render::customer(customer, books)).collect()
    }

    /// Every order as JSON, oldest first.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.orders.iter().map(|order| render::order(order, books)).collect()
    }

    /// Every refund as JSON, oldest first.
    #[must_use]
    pub fn refunds(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.refunds.iter().map(|refund| render::refund(refund, books)).collect()
    }

    /// Every event with the id under which it is delivered, oldest first; the last 20 000 are known.
    #[must_use]
    pub fn events(&self) -> Vec<(String, Value)> {
        self.shared.ledger().books.events().map(|event| (event.id.clone(), event.body.clone())).collect()
    }

    /// Where events go from now on; what was emitted without an endpoint is not sent later.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.shared.delivery.set_url(url);
    }

    /// Signs every delivery with each of these secrets from now on.
    pub fn set_webhook_secrets(&self, secrets: Vec<StandardSecret>) {
        self.shared.delivery.set_scheme(Scheme::Standard(secrets));
    }

    /// Whether so many tries failed in a row that nothing is sent any more.
    #[must_use]
    pub fn is_switched_off(&self) -> bool {
        self.shared.delivery.queue().is_switched_off()
    }

    /// Sends events again; what came meanwhile is not sent later.
    pub fn switch_on(&self) {
        self.shared.delivery.queue().switch_on();
    }

    /// Holds deliveries back until [`Polar::release`].
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

    /// Sends an event once more, now, under the same id.
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

    /// Lets the next calls of the API fail, hang, or be held.
    ///
    /// # Errors
    /// When a thousand faults are planned already.
    pub fn fail_calls(&self, fault: Fault) -> Result<()> {
        if !self.shared.door.plan(fault) {
            bail!("too many faults are planned");
        }
        Ok(())
    }

    /// Forgets every fault that has not happened, and lets go of the answers that are held.
    pub fn heal_calls(&self) {
        self.shared.door.clear();
    }

    /// Lets go of the answers that are held.
    pub fn release_calls(&self) {
        self.shared.door.release();
    }

    /// How many answers are held.
    #[must_use]
    pub fn held_calls(&self) -> usize {
        self.shared.door.held()
    }

    /// How often each kind of call came, such as `GET /v1/subscriptions`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.door.calls()
    }

    /// Counts calls from zero again.
    pub fn forget_calls(&self) {
        self.shared.door.forget_calls();
    }
}
