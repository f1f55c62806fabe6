//! The provider's books: everything it knows, changed only by calls and by its own clock.
//!
//! No I/O and no clock: time comes in through [`Books::play_until`], and what changes leaves events behind, in order,
//! which [`Books::take_emitted`] hands to delivery.

pub mod table;
pub mod ids;
pub mod model;
mod checkout;
mod collection;
mod customers;
mod disputes;
mod invoices;
mod items;
mod journal;
mod lifecycle;
mod refunds;
mod schedules;
mod seed;
pub mod shop;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::ids::Ids;
use self::journal::Journal;
use self::lifecycle::Turn;
use self::model::{
    Charge, CheckoutSession, Customer, Dispute, Invoice, PortalSession, Refund, Schedule, SessionState, Subscription,
};
use self::shop::Shop;
use self::table::{Row, Table};
use super::refusal::Refusal;
use super::render::View;
use super::settings::{Exhausted, Price};
use crate::Timestamp;
use crate::agenda::Agenda;

pub use self::checkout::{NewSession, Settled, WhileProcessing};
pub use self::customers::NewCustomer;
pub use self::items::{ItemChange, Proration};
#[cfg(test)]
use self::journal::EVENTS_MAX;
pub use self::seed::Seed;
pub use self::subscriptions::{NewSubscription, period_end};

/// Rows of one kind that are kept at most.
const ROWS_MAX: usize = 100_000;

/// Everything that the provider knows.
pub struct Books {
    now: Timestamp,
    opened: Timestamp,
    view: View,
    prices: Vec<Price>,
    /// Objects that calls have set up.
    pub shop: Shop,
    ids: Ids,
    /// What becomes of a subscription that nobody pays.
    pub exhausted: Exhausted,
    pub customers: Table<Customer>,
    pub sessions: Table<CheckoutSession>,
    pub portals: Table<PortalSession>,
    pub subscriptions: Table<Subscription>,
    pub schedules: Table<Schedule>,
    pub invoices: Table<Invoice>,
    pub charges: Table<Charge>,
    pub refunds: Table<Refund>,
    pub disputes: Table<Dispute>,
    /// The invoice behind each payment intent, and behind each invoice payment.
    payments: HashMap<String, String>,
    agenda: Agenda<Turn>,
    journal: Journal,
}

impl Books {
    /// Empty books, opened at `now`, whose events are told in this view.
    pub fn new(view: View, prices: Vec<Price>, now: Timestamp) -> Self {
        Self {
            now,
            opened: now,
            view,
            prices,
            shop: Shop::default(),
            ids: Ids::default(),
            exhausted: Exhausted::default(),
            customers: Table::default(),
            sessions: Table::default(),
            portals: Table::default(),
            subscriptions: Table::default(),
            schedules: Table::default(),
            invoices: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            payments: HashMap::new(),
            agenda: Agenda::default(),
            journal: Journal::default(),
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

    /// Changes a price by itself, as nobody can at Stripe: for what a shop has in another place.
    pub fn set_price(&mut self, id: &str, change: impl FnOnce(&mut Price)) -> Result<(), Refusal> {
        let price = self.prices.iter_mut().find(|price| price.id == id);
        change(price.ok_or_else(|| Refusal::no_such("price", id, "price"))?);
        Ok(())
    }

    /// A price by its id, which stood in the parameter `param`.
    pub fn price(&self, id: &str, param: &str) -> Result<&Price, Refusal> {
        self.prices.iter().find(|price| price.id == id).ok_or_else(|| Refusal::no_such("price", id, param))
    }

    /// A subscription by its id.
    pub fn subscription(&self, id: &str) -> Result<&Subscription, Refusal> {
        found(&self.subscriptions, id)
    }

    /// A checkout session by its id.
    pub fn session(&self, id: &str) -> Result<&CheckoutSession, Refusal> {
        found(&self.sessions, id)
    }

    /// An invoice by its id.
    pub fn invoice(&self, id: &str) -> Result<&Invoice, Refusal> {
        found(&self.invoices, id)
    }

    /// A charge by its id.
    pub fn charge(&self, id: &str) -> Result<&Charge, Refusal> {
        found(&self.charges, id)
    }

    /// A refund by its id.
    pub fn refund(&self, id: &str) -> Result<&Refund, Refusal> {
        found(&self.refunds, id)
    }

    /// A dispute by its id.
    pub fn dispute(&self, id: &str) -> Result<&Dispute, Refusal> {
        found(&self.disputes, id)
    }

    /// The invoice that belongs to a payment intent or to an invoice payment, once it can be paid.
    pub fn invoice_of_payment(&self, id: &str) -> Option<&Invoice> {
        self.invoices.get(self.payments.get(id)?).filter(|invoice| invoice.has_payment())
    }

    /// How many checkouts can still be completed.
    pub fn open_sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.state == SessionState::Open).count()
    }

    /// Refuses to grow without end: asks for room for `rows` more of each kind.
    fn check_room(&self, rows: usize) -> Result<(), Refusal> {
        let lengths = [
            self.customers.len(),
            self.sessions.len(),
            self.portals.len(),
            self.subscriptions.len(),
            self.schedules.len(),
            self.invoices.len(),
            self.charges.len(),
            self.refunds.len(),
            self.disputes.len(),
        ];
        if lengths.iter().any(|have| have + rows > ROWS_MAX) { Err(Refusal::full()) } else { Ok(()) }
    }
}

fn found<'a, T: Row>(table: &'a Table<T>, id: &str) -> Result<&'a T, Refusal> {
    table.get(id).ok_or_else(|| Refusal::no_such(T::KIND, id, "id"))
}
