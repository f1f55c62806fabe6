//! How things stand at Polar now: an event is a hint, and this is what it hints at.

use entitlement::event::{Event, Object};

use super::list::unusable;
use super::{Client, Told, checked_id};
use crate::provider::client::ProviderError;
use crate::provider::polar::interpret;

/// Pages of one customer's subscriptions, or of one order's refunds: nobody has so many.
const PAGES_MAX: usize = 10;

impl Client {
    /// What Polar says of an object now, and of what it cannot be understood without. Nothing when Polar has no such
    /// object.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn look(&self, object: &Object, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let looked = match object {
            Object::Subscription(id) => self.look_at_subscription(id, told).await,
            Object::Customer(id) => self.look_at_customer(id, told).await,
            Object::Invoice(id) => self.look_at_order(id, told).await,
            Object::Checkout(id) => self.look_at_checkout(id, told).await,
            // Polar tells of neither by an id of its own.
            Object::Charge(_) | Object::Dispute(_) => Ok(Vec::new()),
        };
        match looked {
            Err(ProviderError::Missing(_)) => Ok(Vec::new()),
            looked => looked,
        }
    }

    async fn look_at_subscription(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let seen = self.get(&format!("v1/subscriptions/{}", checked_id(id)?), &[]).await?;
        Ok(vec![interpret::subscription(&seen, &told).map_err(unusable)?])
    }

    /// What is sold, with its prices.
    ///
    /// # Errors
    /// [`ProviderError::Missing`] when there is none, or any other.
    pub async fn product(&self, id: &str) -> Result<serde_json::Value, ProviderError> {
        self.get(&format!("v1/products/{}", checked_id(id)?), &[]).await
    }

    /// A checkout names its customer once it was paid; what was bought belongs to them.
    async fn look_at_checkout(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let seen = self.get(&format!("v1/checkouts/{}", checked_id(id)?), &[]).await?;
        match seen["customer_id"].as_str() {
            Some(customer) => self.look_at_customer(customer, told).await,
            None => Ok(Vec::new()),
        }
    }

    /// A customer, and all their subscriptions.
    async fn look_at_customer(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let seen = self.get(&format!("v1/customers/{}", checked_id(id)?), &[]).await?;
        let mut events = vec![interpret::customer(&seen, &told).map_err(unusable)?];
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let page = self.subscriptions(Some(id), after.as_deref(), told).await?;
            events.extend(page.items.into_iter().flat_map(|listed| listed.events));
            after = page.next;
            if after.is_none() {
                return Ok(events);
            }
        }
        // A part would be taken for the whole.
        Err(ProviderError::Unusable("the customer has too many subscriptions".into()))
    }

    /// An order, what went back of it, and what it was for.
    async fn look_at_order(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let seen = self.get(&format!("v1/orders/{}", checked_id(id)?), &[]).await?;
        let mut events = vec![interpret::order(&seen, &told).map_err(unusable)?];
        let refunds = self.page("v1/refunds/", &[("order_id", id)], None).await?;
        for (_, refund) in &refunds.items {
            events.push(interpret::refund(refund, &told).map_err(unusable)?);
        }
        let subscription = events.iter().flat_map(|event| &event.objects).find_map(|object| match object {
            Object::Subscription(id) => Some(id.clone()),
            _ => None,
        });
        if let Some(id) = subscription {
            events.extend(self.look_at_subscription(&id, told).await?);
        }
        Ok(events)
    }
}
