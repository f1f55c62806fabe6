//! The provider's books: everything it knows, changed only by calls and by its own clock.
//!
//! No I/O and no clock: time comes in through [`Books::play_until`], and what changes leaves events behind, in order,
//! which [`Books::take_emitted`] hands to delivery.

pub mod table;
pub mod ids;
pub mod model;
mod checkout;
mod invoices;
mod lifecycle;
mod money;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use self::ids::Ids;
use self::model::{
    Card, CheckoutSession, Customer, Event, Invoice, Metadata, PortalSession, Presence, SessionState, Subscription,
};
use self::table::Table;
use super::refusal::Refusal;
use super::render::{self, View};
use super::settings::Price;
use crate::Timestamp;

pub use self::checkout::NewSession;
pub use self::subscriptions::{NewSubscription, Proration};

/// Rows of one kind that are kept at most.
const ROWS_MAX: usize = 100_000;
/// Events that are kept; older ones are forgotten, as Stripe forgets those older than 30 days.
const EVENTS_MAX: usize = 20_000;

/// Everything that the provider knows.
pub struct Books {
    now: Timestamp,
    opened: Timestamp,
    view: View,
    prices: Vec<Price>,
    ids: Ids,
    pub customers: Table<Customer>,
    pub sessions: Table<CheckoutSession>,
    pub portals: Table<PortalSession>,
    pub subscriptions: Table<Subscription>,
    pub invoices: Table<Invoice>,
    events: VecDeque<Arc<Event>>,
    emitted: Vec<Arc<Event>>,
}

/// What a new customer says of itself.
#[derive(Debug, Default)]
pub struct NewCustomer {
    pub email: Option<String>,
    pub name: Option<String>,
    pub metadata: Metadata,
}

impl Books {
    /// Empty books, opened at `now`, whose events are told in this view.
    pub fn new(view: View, prices: Vec<Price>, now: Timestamp) -> Self {
        Self {
            now,
            opened: now,
            view,
            prices,
            ids: Ids::default(),
            customers: Table::default(),
            sessions: Table::default(),
            portals: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            events: VecDeque::new(),
            emitted: Vec::new(),
        }
    }

    /// The provider's own time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// When the books were opened: prices and products say that they were made then.
    pub const fn opened(&self) -> Timestamp {
        self.opened
    }

    /// How events are told.
    pub const fn view(&self) -> &View {
        &self.view
    }

    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// A price by its id, which stood in the parameter `param`.
    pub fn price(&self, id: &str, param: &str) -> Result<&Price, Refusal> {
        self.prices.iter().find(|price| price.id == id).ok_or_else(|| Refusal::no_such("price", id, param))
    }

    /// A customer who is still there, whose id stood in the parameter `param`.
    pub fn customer(&self, id: &str, param: &str) -> Result<&Customer, Refusal> {
        let here = |customer: &&Customer| customer.presence == Presence::Here;
        self.customers.get(id).filter(here).ok_or_else(|| Refusal::no_such("customer", id, param))
    }

    /// A subscription by its id.
    pub fn subscription(&self, id: &str) -> Result<&Subscription, Refusal> {
        self.subscriptions.get(id).ok_or_else(|| Refusal::no_such("subscription", id, "id"))
    }

    /// A checkout session by its id.
    pub fn session(&self, id: &str) -> Result<&CheckoutSession, Refusal> {
        self.sessions.get(id).ok_or_else(|| Refusal::no_such("checkout.session", id, "id"))
    }

    /// An invoice by its id.
    pub fn invoice(&self, id: &str) -> Result<&Invoice, Refusal> {
        self.invoices.get(id).ok_or_else(|| Refusal::no_such("invoice", id, "id"))
    }

    /// An event by its id.
    pub fn event(&self, id: &str) -> Result<&Arc<Event>, Refusal> {
        self.events.iter().rev().find(|event| event.id == id).ok_or_else(|| Refusal::no_such("event", id, "id"))
    }

    /// Every event that is still known, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// The events since the last call, in order.
    pub fn take_emitted(&mut self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.emitted)
    }

    /// Tells `object` as an event of this kind; returns the event's id.
    pub fn emit(&mut self, kind: &str, object: Value, previous: Option<Value>) -> String {
        let id = self.ids.next("evt");
        let mut data = json!({ "object": object });
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let body = json!({
            "id": id,
            "object": "event",
            "api_version": self.view.shape.api_version(),
            "created": self.now.timestamp(),
            "data": data,
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": kind,
        });
        let event = Arc::new(Event { id: id.clone(), kind: kind.to_owned(), created: self.now, body });
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Arc::clone(&event));
        self.emitted.push(event);
        id
    }

    /// Makes a customer, with a card that works.
    pub fn create_customer(&mut self, new: NewCustomer) -> Result<String, Refusal> {
        self.check_room()?;
        let NewCustomer { email, name, metadata } = new;
        let (id, created) = (self.ids.next("cus"), self.now);
        let customer =
            Customer { id: id.clone(), email, name, metadata, card: Card::Good, created, presence: Presence::Here };
        let object = render::customer(&customer);
        self.customers.insert(customer);
        self.emit("customer.created", object, None);
        Ok(id)
    }

    /// Changes a customer, and tells it.
    pub fn change_customer(&mut self, id: &str, change: impl FnOnce(&mut Customer)) -> Result<(), Refusal> {
        let before = render::customer(self.customer(id, "id")?);
        let Some(customer) = self.customers.get_mut(id) else { return Ok(()) };
        change(customer);
        let after = render::customer(customer);
        if let Some(previous) = render::previous_attributes(&before, &after) {
            self.emit("customer.updated", after, Some(previous));
        }
        Ok(())
    }

    /// Deletes a customer, which ends their subscriptions at once.
    pub fn delete_customer(&mut self, id: &str) -> Result<(), Refusal> {
        let object = render::customer(self.customer(id, "id")?);
        let theirs = |subscription: &&Subscription| subscription.customer == id && !subscription.status.is_over();
        let subscriptions: Vec<String> =
            self.subscriptions.iter().filter(theirs).map(|subscription| subscription.id.clone()).collect();
        for subscription in subscriptions {
            self.cancel_now(&subscription, "cancellation_requested")?;
        }
        if let Some(customer) = self.customers.get_mut(id) {
            customer.presence = Presence::Deleted;
        }
        self.emit("customer.deleted", object, None);
        Ok(())
    }

    /// Decides what happens when the customer is charged next.
    pub fn set_card(&mut self, customer: &str, card: Card) -> Result<(), Refusal> {
        self.customer(customer, "customer")?;
        if let Some(customer) = self.customers.get_mut(customer) {
            customer.card = card;
        }
        Ok(())
    }

    /// A link into the portal for this customer.
    pub fn open_portal(&mut self, customer: &str, return_url: Option<String>) -> Result<&PortalSession, Refusal> {
        self.check_room()?;
        self.customer(customer, "customer")?;
        let id = self.ids.next("bps");
        let portal = PortalSession { id: id.clone(), customer: customer.to_owned(), return_url, created: self.now };
        self.portals.insert(portal);
        self.portals.get(&id).ok_or_else(Refusal::full)
    }

    /// How many checkouts can still be completed.
    pub fn open_sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.state == SessionState::Open).count()
    }

    /// Refuses to grow without end.
    fn check_room(&self) -> Result<(), Refusal> {
        let lengths = [
            self.customers.len(),
            self.sessions.len(),
            self.portals.len(),
            self.subscriptions.len(),
            self.invoices.len(),
        ];
        if lengths.iter().any(|rows| *rows >= ROWS_MAX) { Err(Refusal::full()) } else { Ok(()) }
    }

    fn card(&self, customer: &str) -> Card {
        self.customers.get(customer).map_or(Card::Declined, |customer| customer.card)
    }
}
