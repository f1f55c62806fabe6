//! The handle for tests, continued: what the provider knows, whom it tells and how, and what its API does wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Echo, EventForm, Fault, HasDefault, Key, Mode, Provider, Shape, Telling, render};
use crate::delivery::{Attempt, Gate, Scheme};

impl Provider {
    /// Every subscription as JSON in the provider's shape, oldest first.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.subscriptions.iter().map(|subscription| render::subscription(subscription, books.view())).collect()
    }

    /// One subscription as JSON in the provider's shape.
    ///
    /// # Errors
    /// When there is no such subscription.
    pub fn subscription(&self, id: &str) -> Result<Value> {
        let books = &self.shared.ledger().books;
        Ok(render::subscription(books.subscription(id)?, books.view()))
    }

    /// Every customer as JSON, oldest first; deleted ones too.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.customers.iter().map(|customer| render::customer(customer, books.view())).collect()
    }

    /// Every checkout session as JSON, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.sessions.iter().map(|session| render::session(session, books.view())).collect()
    }

    /// Every invoice as JSON in the provider's shape, oldest first.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.invoices.iter().map(|invoice| render::invoice(invoice, books.view())).collect()
    }

    /// Every charge as JSON in the provider's shape, oldest first.
    #[must_use]
    pub fn charges(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.charges.iter().map(|charge| render::charge(charge, books, books.view())).collect()
    }

    /// Every refund as JSON, oldest first.
    #[must_use]
    pub fn refunds(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.refunds.iter().map(|refund| render::refund(refund, books.view())).collect()
    }

    /// Every dispute as JSON, oldest first.
    #[must_use]
    pub fn disputes(&self) -> Vec<Value> {
        let books = &self.shared.ledger().books;
        books.disputes.iter().map(|dispute| render::dispute(dispute, books.view())).collect()
    }

    /// Every snapshot event as it was emitted, oldest first; the last 20 000 are known.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.ledger().books.events().map(|event| event.body.clone()).collect()
    }

    /// Every thin event as it was emitted, oldest first; the last 20 000 are known.
    #[must_use]
    pub fn thin_events(&self) -> Vec<Value> {
        self.shared.ledger().books.thin_events().map(|event| event.body.clone()).collect()
    }

    /// In which form the endpoint is told from now on.
    pub fn set_event_form(&self, form: EventForm) {
        self.shared.ledger().books.set_manner(|manner| manner.form = form);
    }

    /// How many Event objects one change makes from now on.
    pub fn set_echo(&self, echo: Echo) {
        self.shared.ledger().books.set_manner(|manner| manner.echo = echo);
    }

    /// Whether changes are told from now on. What is done in silence leaves no event behind, ever.
    pub fn set_telling(&self, telling: Telling) {
        self.shared.ledger().books.set_manner(|manner| manner.telling = telling);
    }

    /// What every object and event says of itself from now on: its `livemode`.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.ledger().books.set_mode(mode);
    }

    /// Lets the API be called with a further key.
    pub fn accept_key(&self, key: Key) {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// Takes a key away, as when it is rolled or has expired.
    pub fn refuse_key(&self, key: &str) {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known.key != key);
    }

    /// Lets the API be called with these keys alone.
    pub fn set_keys(&self, keys: Vec<Key>) {
        *self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The account's API version from now on: the shape of events, and of answers to calls that name no version. New
    /// subscriptions are billed as this version does by default.
    pub fn set_shape(&self, shape: Shape) {
        self.shared.ledger().books.set_shape(shape);
    }

    /// Which connected account every event names from now on, if any.
    pub fn set_account(&self, account: Option<String>) {
        self.shared.ledger().books.set_manner(|manner| manner.account = account);
    }

    /// Where events go from now on; what was emitted without an endpoint is not sent later.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.shared.ledger().books.set_manner(|manner| manner.endpoint.clone_from(&url));
        self.shared.delivery.set_url(url);
    }

    /// Of which types the endpoint is told from now on; `None`: of all.
    pub fn set_enabled_events(&self, kinds: Option<Vec<String>>) {
        self.shared.ledger().books.set_manner(|manner| manner.enabled = kinds);
    }

    /// Where the host of a webhook endpoint that a call makes is really found: `https://read.example` at `http://127.0.0.1:8080`.
    pub fn resolve(&self, origin: &str, place: &str) {
        self.shared.ledger().books.shop.resolve(origin, place);
    }

    /// Whether the account has saved settings of the customer portal in the dashboard: a new one has not.
    pub fn set_portal(&self, has_default: HasDefault) {
        self.shared.ledger().books.shop.has_default_portal = has_default;
    }

    /// The API's answer to a GET of a path such as `prices?active=true`, as JSON.
    ///
    /// # Errors
    /// When it refuses.
    pub fn read(&self, path: &str) -> Result<Value> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let books = &mut self.shared.ledger().books;
        let view = books.view().clone();
        let call = super::api::Call { method: &axum::http::Method::GET, path, encoded: query.as_bytes(), view };
        Ok(super::api::answer(books, &call)?)
    }

    /// Signs every delivery with each of these secrets from now on: two while one is rolled.
    pub fn set_webhook_secrets(&self, secrets: Vec<String>) {
        self.shared.delivery.set_scheme(Scheme::Stripe(secrets));
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

    /// Lets go of the answers that are held by [`super::FaultKind::Hold`].
    pub fn release_calls(&self) {
        self.shared.door.release();
    }

    /// How many answers are held.
    #[must_use]
    pub fn held_calls(&self) -> usize {
        self.shared.door.held()
    }

    /// How often each kind of call came, such as `GET /v1/subscriptions/{id}`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.door.calls()
    }

    /// Counts calls from zero again.
    pub fn forget_calls(&self) {
        self.shared.door.forget_calls();
    }
}
