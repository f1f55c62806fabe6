//! Everything that Polar has, page by page: what reconciliation compares with.

use chrono::SecondsFormat;
use entitlement::Timestamp;
use entitlement::event::Event;
use serde::Deserialize;
use serde_json::Value;

use super::{Client, Told, checked_id};
use crate::provider::Unreadable;
use crate::provider::client::{Listed, Page, ProviderError};
use crate::provider::polar::interpret;

/// Objects of one page: the most that Polar gives.
const PAGE_MAX: &str = "100";

/// A page of a list, as it is answered.
#[derive(Deserialize)]
struct Answer {
    items: Vec<Value>,
    /// Required: without it a part would be taken for the whole.
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    /// The last page; 0 of an empty list.
    max_page: u32,
}

impl Client {
    /// Subscriptions in every status, of one customer or of all of them, oldest first: what is new meanwhile comes at the
    /// end, and moves nothing from one page to another. Those that were never paid for are not listed.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn subscriptions(
        &self,
        customer: Option<&str>,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let mut query = vec![("sorting", "started_at")];
        if let Some(id) = customer {
            query.push(("customer_id", checked_id(id)?));
        }
        let page = self.page("v1/subscriptions/", &query, after).await?;
        Ok(read_each(page, |seen| interpret::subscription(seen, &told)))
    }

    /// Orders that were made since a moment, oldest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn orders(
        &self,
        since: Timestamp,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let since = since.to_rfc3339_opts(SecondsFormat::Micros, true);
        let page = self.page("v1/orders/", &[("sorting", "created_at"), ("created_after", &since)], after).await?;
        Ok(read_each(page, |seen| interpret::order(seen, &told)))
    }

    /// Refunds that were made since a moment, newest first: Polar lists them all, so the pages end where older ones begin.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn refunds(
        &self,
        since: Timestamp,
        after: Option<&str>,
        told: Told<'_>,
    ) -> Result<Page<Listed>, ProviderError> {
        let mut page = self.page("v1/refunds/", &[("sorting", "-created_at")], after).await?;
        let made_at = |seen: &Value| seen["created_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let is_last = page.items.last().and_then(|(_, seen)| made_at(seen)).is_some_and(|at| at < since);
        page.items.retain(|(_, seen)| made_at(seen).is_none_or(|at| at >= since));
        page.next = page.next.filter(|_| !is_last);
        Ok(read_each(page, |seen| interpret::refund(seen, &told)))
    }

    /// A page of a list: its objects by their ids.
    pub(super) async fn page(
        &self,
        path: &str,
        query: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<Page<(String, Value)>, ProviderError> {
        let number: u32 = after.unwrap_or("1").parse().map_err(|_| ProviderError::Unusable("no such page".into()))?;
        let page = number.to_string();
        let query = [query, &[("page", page.as_str()), ("limit", PAGE_MAX)]].concat();
        let answer: Answer = Answer::deserialize(self.get(path, &query).await?)
            .map_err(|error| ProviderError::Unusable(error.to_string()))?;
        let named = |object: Value| match object["id"].as_str().map(str::to_owned) {
            Some(id) => Ok((id, object)),
            None => Err(ProviderError::Unusable("an object of a list has no id".into())),
        };
        let items = answer.items.into_iter().map(named).collect::<Result<_, _>>()?;
        let next = (number < answer.pagination.max_page).then(|| number.saturating_add(1).to_string());
        Ok(Page { items, next })
    }
}

/// One object that cannot be read must not keep the others from being compared.
fn read_each(page: Page<(String, Value)>, read: impl Fn(&Value) -> Result<Event, Unreadable>) -> Page<Listed> {
    let listed = |(id, seen): (String, Value)| match read(&seen) {
        Ok(event) => Listed { id, events: vec![event] },
        Err(error) => {
            tracing::error!(id, %error, "an object of the provider cannot be read, and is not compared: look at it there, and update Tollgate");
            Listed { id, events: Vec::new() }
        }
    };
    Page { items: page.items.into_iter().map(listed).collect(), next: page.next }
}

pub(super) fn unusable(error: Unreadable) -> ProviderError {
    ProviderError::Unusable(error.0)
}
