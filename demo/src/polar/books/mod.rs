//! Polar's books: everything it knows, changed only by calls and by its own clock, which moves in microseconds.
//!
//! No I/O and no clock: time comes in through [`Books::play_until`], and what changes leaves events behind, in order.

pub mod model;
mod checkouts;
mod customers;
mod lifecycle;
mod money;
mod subscriptions;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{Duration, SubsecRound};
use serde_json::{Value, json};
use uuid::Uuid;

use self::lifecycle::Turn;
use self::model::{Checkout, Customer, Order, Refund, Subscription};
use super::refusal::Refusal;
use super::render;
use super::settings::Product;
use crate::Timestamp;
use crate::agenda::Agenda;
use crate::delivery::Event;
use crate::provider::{Exhausted, Telling};
use crate::table::{Row, Table};

pub use self::customers::NewCustomer;
pub use self::money::NewRefund;
pub use self::subscriptions::{PauseAt, Seed, Subscribe};

/// Rows of one kind that are kept at most.
const ROWS_MAX: usize = 100_000;
/// Events that are kept; older ones are forgotten.
const EVENTS_MAX: usize = 20_000;

/// Everything that Polar knows.
pub struct Books {
    now: Timestamp,
    opened: Timestamp,
    /// The seller, as every object names it.
    organization: String,
    products: Vec<Product>,
    /// What becomes of a subscription that nobody pays.
    pub exhausted: Exhausted,
    /// Whether changes are told at all.
    pub telling: Telling,
    pub customers: Table<Customer>,
    pub subscriptions: Table<Subscription>,
    pub orders: Table<Order>,
    pub refunds: Table<Refund>,
    pub checkouts: Table<Checkout>,
    /// The customer behind each of the site's own ids.
    external: HashMap<String, String>,
    agenda: Agenda<Turn>,
    events: VecDeque<Arc<Event>>,
    emitted: Vec<Arc<Event>>,
}

impl Books {
    /// Empty books, opened at `now`.
    pub fn new(products: Vec<Product>, now: Timestamp) -> Self {
        let now = now.trunc_subsecs(6);
        Self {
            now,
            opened: now,
            organization: new_id(),
            products,
            exhausted: Exhausted::Unpaid,
            telling: Telling::default(),
            customers: Table::default(),
            subscriptions: Table::default(),
            orders: Table::default(),
            refunds: Table::default(),
            checkouts: Table::default(),
            external: HashMap::new(),
            agenda: Agenda::default(),
            events: VecDeque::new(),
            emitted: Vec::new(),
        }
    }

    /// Polar's own time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// When the books were opened: products say that they were made then.
    pub const fn opened(&self) -> Timestamp {
        self.opened
    }

    /// The seller's id.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// The moment of a change: no two changes share one, as it is on a real clock that counts microseconds.
    fn tick(&mut self) -> Timestamp {
        self.now += Duration::microseconds(1);
        self.now
    }

    /// A product by its id.
    pub fn product(&self, id: &str) -> Result<&Product, Refusal> {
        self.products.iter().find(|product| product.id == id).ok_or(Refusal::NotFound)
    }

    /// A subscription by its id.
    pub fn subscription(&self, id: &str) -> Result<&Subscription, Refusal> {
        self.subscriptions.get(id).ok_or(Refusal::NotFound)
    }

    /// An order by its id.
    pub fn order(&self, id: &str) -> Result<&Order, Refusal> {
        self.orders.get(id).ok_or(Refusal::NotFound)
    }

    /// A refund by its id.
    pub fn refund(&self, id: &str) -> Result<&Refund, Refusal> {
        self.refunds.get(id).ok_or(Refusal::NotFound)
    }

    /// An event by its id.
    pub fn event(&self, id: &str) -> Result<&Arc<Event>, Refusal> {
        self.events.iter().rev().find(|event| event.id == id).ok_or(Refusal::NotFound)
    }

    /// Every event that is still known, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// The events since the last call, in order.
    pub fn take_emitted(&mut self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.emitted)
    }

    /// Tells `data` as an event of this kind; returns the id under which it is delivered. Says nothing while it is to be
    /// silent.
    pub fn emit(&mut self, kind: &str, data: &Value) -> String {
        let id = new_id();
        if self.telling == Telling::Silent {
            return id;
        }
        let body = json!({ "type": kind, "timestamp": render::moment(self.now), "data": data });
        let event = Arc::new(Event::new(id.clone(), kind.to_owned(), self.now, body));
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Arc::clone(&event));
        self.emitted.push(event);
        id
    }

    /// Tells everything that a customer has now, as every change of theirs does.
    fn tell_state(&mut self, customer: &str) {
        if let Some(state) = self.customers.get(customer).map(|customer| render::state(customer, self)) {
            self.emit("customer.state_changed", &state);
        }
    }

    /// Refuses to grow without end: asks for room for `rows` more of each kind.
    fn check_room(&self, rows: usize) -> Result<(), Refusal> {
        let lengths = [
            self.customers.len(),
            self.subscriptions.len(),
            self.orders.len(),
            self.refunds.len(),
            self.checkouts.len(),
        ];
        if lengths.iter().any(|have| have + rows > ROWS_MAX) { Err(Refusal::Full) } else { Ok(()) }
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Rows of one customer, or of everybody, oldest first.
pub fn rows_of<'a, T: Row>(table: &'a Table<T>, customer: Option<&str>) -> Vec<&'a T> {
    match customer {
        Some(customer) => table.of(customer).collect(),
        None => table.iter().collect(),
    }
}
