//! Polar's customers: made, linked to the site's own ids, changed, deleted with all that is theirs.

use super::model::Customer;
use super::{Books, new_id};
use crate::polar::refusal::Refusal;
use crate::polar::render;
use crate::provider::{Card, Metadata};

/// What a new customer says of itself.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewCustomer {
    /// The site's own id of its customer; unique.
    pub external_id: Option<String>,
    /// `None`: one is made up.
    pub email: Option<String>,
    pub name: Option<String>,
    pub metadata: Metadata,
}

impl Books {
    /// A customer who is still there.
    pub fn customer(&self, id: &str) -> Result<&Customer, Refusal> {
        self.customers.get(id).filter(|customer| customer.deleted.is_none()).ok_or(Refusal::NotFound)
    }

    /// A customer who is still there, by the site's own id.
    pub fn external_customer(&self, external_id: &str) -> Result<&Customer, Refusal> {
        self.external.get(external_id).ok_or(Refusal::NotFound).and_then(|id| self.customer(id))
    }

    /// Makes a customer, with a card that works; answers the id.
    pub fn create_customer(&mut self, new: NewCustomer) -> Result<String, Refusal> {
        self.check_room(1)?;
        let id = self.write_customer(new)?;
        self.tell_customer(&id, "customer.created");
        self.tell_state(&id);
        Ok(id)
    }

    /// Writes a customer down, and tells nothing.
    pub(super) fn write_customer(&mut self, new: NewCustomer) -> Result<String, Refusal> {
        let id = new_id();
        if let Some(external_id) = &new.external_id {
            if self.external_customer(external_id).is_ok() {
                return Err(Refusal::invalid("external_id", "A customer with this external ID already exists."));
            }
            self.external.insert(external_id.clone(), id.clone());
        }
        let created = self.tick();
        self.customers.insert(Customer {
            id: id.clone(),
            external_id: new.external_id,
            email: new.email.unwrap_or_else(|| format!("{id}@reader.example")),
            name: new.name,
            metadata: new.metadata,
            card: Card::Good,
            created,
            modified: None,
            deleted: None,
        });
        Ok(id)
    }

    /// Changes what the site keeps with a customer.
    pub fn set_customer_metadata(&mut self, id: &str, metadata: Metadata) -> Result<(), Refusal> {
        self.customer(id)?;
        let now = self.tick();
        if let Some(customer) = self.customers.get_mut(id) {
            customer.metadata = metadata;
            customer.modified = Some(now);
        }
        self.tell_customer(id, "customer.updated");
        self.tell_state(id);
        Ok(())
    }

    /// Decides what happens when the customer is charged next.
    pub fn set_card(&mut self, id: &str, card: Card) -> Result<(), Refusal> {
        self.customer(id)?;
        if let Some(customer) = self.customers.get_mut(id) {
            customer.card = card;
        }
        Ok(())
    }

    /// Deletes a customer, which ends their subscriptions at once.
    pub fn delete_customer(&mut self, id: &str) -> Result<(), Refusal> {
        self.customer(id)?;
        let living = self.subscriptions.of(id).filter(|subscription| !subscription.status.is_over());
        let subscriptions: Vec<String> = living.map(|subscription| subscription.id.clone()).collect();
        for subscription in subscriptions {
            self.revoke(&subscription)?;
        }
        let now = self.tick();
        if let Some(customer) = self.customers.get_mut(id) {
            customer.deleted = Some(now);
            customer.modified = Some(now);
        }
        self.tell_customer(id, "customer.deleted");
        self.tell_state(id);
        Ok(())
    }

    pub(super) fn has_good_card(&self, customer: &str) -> bool {
        self.customers.get(customer).is_some_and(|customer| customer.card == Card::Good)
    }

    fn tell_customer(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.customers.get(id).map(|customer| render::customer(customer, self)) {
            self.emit(kind, &object);
        }
    }
}
