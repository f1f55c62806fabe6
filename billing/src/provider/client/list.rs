//! Everything that Stripe has, page by page: what reconciliation compares with.

use entitlement::Timestamp;
use entitlement::event::Event;
use serde::Serialize;
use serde_json::Value;

use super::look::unusable;
use super::{Client, ProviderError};
use crate::provider::stripe::object::{self, Told};

/// Objects of one page: the most that Stripe gives.
pub(super) const PAGE_MAX: u8 = 100;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

/// One thing of a list: its id, and what it means.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    /// Empty when it is of no concern, or cannot be read.
    pub events: Vec<Event>,
}

#[derive(Serialize)]
struct Subscriptions<'a> {
    /// Without this, what is canceled is not listed, and would be taken for something that still runs.
    status: &'static str,
    limit: u8,
    /// The account that a customer names is that of its subscriptions.
    expand: [&'static str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

#[derive(Serialize)]
struct Customers<'a> {
    limit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

#[derive(Serialize)]
struct Checkouts<'a> {
    /// Those that were left unpaid name an account, too, and bought nothing.
    status: &'static str,
    limit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

#[derive(Serialize)]
struct Since<'a> {
    limit: u8,
    #[serde(rename = "created[gte]")]
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

impl Client {
    /// Subscriptions in every status, of one customer or of all of them, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn subscriptions(
        &self,
        customer: Option<&str>,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let query = Subscriptions {
            status: "all",
            limit: PAGE_MAX,
            expand: ["data.latest_invoice", "data.customer"],
            customer,
            starting_after: after,
        };
        let page = page(self.get_value("/subscriptions", &query).await?)?;
        let mut items = Vec::with_capacity(page.items.len());
        for (id, mut seen) in page.items {
            self.complete_items(&mut seen, &id).await?;
            let mut events = named_by_customer(&seen, told, &id);
            events.extend(read(object::subscription(seen, told), &id));
            items.push(Listed { events, id });
        }
        Ok(Page { items, next: page.next })
    }

    /// All customers that are not deleted, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn customers(&self, after: Option<&str>, told: Told<'_>) -> Result<Page<Listed>, ProviderError> {
        let query = Customers { limit: PAGE_MAX, starting_after: after };
        let page = page(self.get_value("/customers", &query).await?)?;
        Ok(page.map(|id, seen| read(object::customer(seen, told), id)))
    }

    /// Checkouts that were gone through, of one subscription or of all, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn checkouts(
        &self,
        subscription: Option<&str>,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let query = Checkouts { status: "complete", limit: PAGE_MAX, subscription, starting_after: after };
        let page = page(self.get_value("/checkout/sessions", &query).await?)?;
        Ok(page.map(|id, seen| read(object::checkout(seen, told), id)))
    }

    /// Disputes since a moment, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn disputes(
        &self,
        since: Timestamp,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let page = page(self.get_value("/disputes", &Since::of(since, after)).await?)?;
        Ok(page.map(|id, seen| read(object::dispute(seen, told), id)))
    }

    /// Refunds since a moment, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn refunds(
        &self,
        since: Timestamp,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let page = page(self.get_value("/refunds", &Since::of(since, after)).await?)?;
        Ok(page.map(|id, seen| read(object::refund(seen, told), id)))
    }

    /// Events since a moment, newest first, as they were or would have been delivered. Stripe keeps them for 30 days.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn events(&self, since: Timestamp, after: Option<&str>) -> Result<Page<(String, Value)>, ProviderError> {
        page(self.get_value("/events", &Since::of(since, after)).await?)
    }
}

impl<'a> Since<'a> {
    fn of(since: Timestamp, after: Option<&'a str>) -> Self {
        Self { limit: PAGE_MAX, created: since.timestamp(), starting_after: after }
    }
}

impl Page<(String, Value)> {
    fn map(self, read: impl Fn(&str, Value) -> Vec<Event>) -> Page<Listed> {
        let items = self.items.into_iter().map(|(id, seen)| Listed { events: read(&id, seen), id });
        Page { items: items.collect(), next: self.next }
    }
}

/// The events of a subscription's customer, where it is part of the answer and names an account.
fn named_by_customer(subscription: &Value, told: Told<'_>, id: &str) -> Vec<Event> {
    let customer = subscription.get("customer").filter(|customer| customer.is_object() && customer["deleted"] != true);
    let mut events = customer.map(|seen| read(object::customer(seen.clone(), told), id)).unwrap_or_default();
    events.retain(|event| event.claim.is_some());
    events
}

/// One object that cannot be read must not keep the others from being compared.
fn read(events: Result<Vec<Event>, crate::provider::Unreadable>, id: &str) -> Vec<Event> {
    events.unwrap_or_else(|error| {
        tracing::error!(id, %error, "an object of the provider cannot be read, and is not compared: look at it there, and update Tollgate");
        Vec::new()
    })
}

fn page(answer: Value) -> Result<Page<(String, Value)>, ProviderError> {
    let page = object::page(answer).map_err(unusable)?;
    let next = page.1.then(|| page.0.last().map(|(id, _)| id.clone())).flatten();
    Ok(Page { items: page.0, next })
}
