//! Customers: made, changed, deleted with all that is theirs, and let into the portal.

use super::Books;
use super::model::{Card, Customer, Metadata, PortalSession, Presence};
use crate::provider::refusal::Refusal;
use crate::provider::render;

/// What a new customer says of itself.
#[derive(Debug, Default)]
pub struct NewCustomer {
    pub email: Option<String>,
    pub name: Option<String>,
    pub metadata: Metadata,
}

impl Books {
    /// A customer who is still there, whose id stood in the parameter `param`.
    pub fn customer(&self, id: &str, param: &str) -> Result<&Customer, Refusal> {
        let here = |customer: &&Customer| customer.presence == Presence::Here;
        self.customers.get(id).filter(here).ok_or_else(|| Refusal::no_such("customer", id, param))
    }

    /// Makes a customer, with a card that works.
    pub fn create_customer(&mut self, new: NewCustomer) -> Result<String, Refusal> {
        self.check_room(1)?;
        let id = self.write_customer(new);
        if let Some(object) = self.customers.get(&id).map(|customer| render::customer(customer, &self.view)) {
            self.emit("customer.created", object, None);
        }
        Ok(id)
    }

    /// Writes a customer down, and tells nothing.
    pub(super) fn write_customer(&mut self, new: NewCustomer) -> String {
        let NewCustomer { email, name, metadata } = new;
        let (id, created) = (self.ids.next("cus"), self.now);
        let presence = Presence::Here;
        self.customers.insert(Customer { id: id.clone(), email, name, metadata, card: Card::Good, created, presence });
        id
    }

    /// Changes a customer, and tells it.
    pub fn change_customer(&mut self, id: &str, change: impl FnOnce(&mut Customer)) -> Result<(), Refusal> {
        let before = render::customer(self.customer(id, "id")?, &self.view);
        let Some(customer) = self.customers.get_mut(id) else { return Ok(()) };
        change(customer);
        let after = render::customer(customer, &self.view);
        if let Some(previous) = render::previous_attributes(&before, &after) {
            self.emit("customer.updated", after, Some(previous));
        }
        Ok(())
    }

    /// Deletes a customer, which ends their subscriptions at once.
    pub fn delete_customer(&mut self, id: &str) -> Result<(), Refusal> {
        let object = render::customer(self.customer(id, "id")?, &self.view);
        let living = self.subscriptions.of(id).filter(|subscription| !subscription.status.is_over());
        let subscriptions: Vec<String> = living.map(|subscription| subscription.id.clone()).collect();
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
        self.check_room(1)?;
        self.customer(customer, "customer")?;
        let id = self.ids.next("bps");
        let portal = PortalSession { id: id.clone(), customer: customer.to_owned(), return_url, created: self.now };
        self.portals.insert(portal);
        self.portals.get(&id).ok_or_else(Refusal::full)
    }

    pub(super) fn card(&self, customer: &str) -> Card {
        self.customers.get(customer).map_or(Card::Declined, |customer| customer.card)
    }
}
