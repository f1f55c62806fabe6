//! The part of Polar's API that a reader and a seller need: a table of routes for each method, each a function of the books.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::books::model::{Order, Refund, Subscription};
use super::books::{Books, rows_of};
use super::refusal::Refusal;
use super::render;
use crate::Timestamp;
use crate::table::{Row, Table};

/// Rows of one page at most; Polar's default is 10.
const LIMIT_MAX: usize = 100;

/// The parameters of a query; of one that is named twice the last.
pub type Query = HashMap<String, String>;

/// One call, with its token already checked.
pub struct Call<'a> {
    /// Below `/v1/`.
    pub path: &'a str,
    pub query: &'a Query,
    pub body: &'a [u8],
}

/// Answers a POST, which makes something; `None` when there is no such route. `base` is the provider's own address.
pub fn write(books: &mut Books, call: &Call<'_>, base: &str) -> Result<Option<Value>, Refusal> {
    Ok(Some(match call.path {
        "checkouts/" => {
            let id = books.open_checkout(sent(call.body)?)?;
            render::checkout(books.checkout(&id)?, books, base)
        }
        "customer-sessions/" => {
            let (customer, return_url) = books.open_portal(&sent(call.body)?)?;
            render::portal(&customer, return_url.as_deref(), books, base)
        }
        _ => return Ok(None),
    }))
}

/// What is changed of a subscription: one of these (<https://polar.sh/docs/api-reference/subscriptions/update>).
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Update {
    /// Its end, wished for or taken back.
    CancelAtPeriodEnd(bool),
    /// That its pause is over: always true.
    Resume(bool),
}

/// Answers a DELETE, which ends something at once; `None` when there is no such route.
pub fn remove(books: &mut Books, call: &Call<'_>) -> Result<Option<Value>, Refusal> {
    let Some(id) = call.path.strip_prefix("subscriptions/").filter(|id| !id.is_empty() && !id.contains('/')) else {
        return Ok(None);
    };
    books.revoke(id)?;
    Ok(Some(render::subscription(books.subscription(id)?, books)))
}

/// Answers a PATCH, which changes something; `None` when there is no such route.
pub fn amend(books: &mut Books, call: &Call<'_>) -> Result<Option<Value>, Refusal> {
    let Some(id) = call.path.strip_prefix("subscriptions/").filter(|id| !id.is_empty() && !id.contains('/')) else {
        return Ok(None);
    };
    books.subscription(id)?;
    match sent(call.body)? {
        Update::CancelAtPeriodEnd(true) => books.cancel(id)?,
        Update::CancelAtPeriodEnd(false) => books.uncancel(id)?,
        Update::Resume(true) => books.resume(id)?,
        Update::Resume(false) => return Err(Refusal::in_body("resume", "Input should be True")),
    }
    Ok(Some(render::subscription(books.subscription(id)?, books)))
}

/// The body as it must be: a field that is not known here may be a misspelt one.
fn sent<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::in_body("body", &error.to_string()))
}

/// Answers a GET; `None` when there is no such route. `base` is the provider's own address.
pub fn read(books: &Books, call: &Call<'_>, base: &str) -> Result<Option<Value>, Refusal> {
    let query = call.query;
    let segments: Vec<&str> = call.path.split('/').collect();
    Ok(Some(match segments.as_slice() {
        ["subscriptions", ""] => subscriptions(books, query)?,
        ["subscriptions", id] => render::subscription(books.subscription(id)?, books),
        ["products", id] if !id.is_empty() => render::product(books.product(id)?, books),
        ["customers", ""] => customers(books, query)?,
        ["customers", "external", id] => render::customer(books.external_customer(id)?, books),
        ["customers", "external", id, "state"] => render::state(books.external_customer(id)?, books),
        ["customers", id] => render::customer(books.customer(id)?, books),
        ["customers", id, "state"] => render::state(books.customer(id)?, books),
        ["orders", ""] => orders(books, query)?,
        ["orders", id] => render::order(books.order(id)?, books),
        ["checkouts", id] if !id.is_empty() => render::checkout(books.checkout(id)?, books, base),
        ["refunds", ""] => refunds(books, query)?,
        ["refunds", id] => render::refund(books.refund(id)?, books),
        _ => return Ok(None),
    }))
}

/// Those that were never paid for have not started, and are not listed.
fn subscriptions(books: &Books, query: &Query) -> Result<Value, Refusal> {
    let mut rows = mine(&books.subscriptions, books, query);
    let active = truth(query, "active")?;
    let is_wanted = |own: &Subscription| {
        own.started.is_some()
            && active.is_none_or(|active| active == own.status.is_active())
            && is_asked(query, "product_id", &own.product.id)
            && is_asked(query, "status", own.status.name())
    };
    rows.retain(|own| is_wanted(own));
    sort(
        &mut rows,
        query,
        "-started_at",
        &[("started_at", |own| own.started), ("current_period_end", |own| Some(own.period.end))],
    )?;
    page(&rows, query, |own| render::subscription(own, books))
}

fn customers(books: &Books, query: &Query) -> Result<Value, Refusal> {
    let mut rows: Vec<_> = books.customers.iter().filter(|customer| customer.deleted.is_none()).collect();
    rows.retain(|customer| is_asked(query, "email", &customer.email));
    sort(&mut rows, query, "-created_at", &[("created_at", |customer| Some(customer.created))])?;
    page(&rows, query, |customer| render::customer(customer, books))
}

fn orders(books: &Books, query: &Query) -> Result<Value, Refusal> {
    let mut rows = mine(&books.orders, books, query);
    let (after, before) = (instant(query, "created_after")?, instant(query, "created_before")?);
    let is_wanted = |order: &Order| {
        is_asked(query, "product_id", &order.product.id)
            && is_asked(query, "subscription_id", order.subscription.as_deref().unwrap_or_default())
            && is_asked(query, "status", order.status())
            && after.is_none_or(|after| order.created >= after)
            && before.is_none_or(|before| order.created <= before)
    };
    rows.retain(|order| is_wanted(order));
    sort(&mut rows, query, "-created_at", &[("created_at", |order| Some(order.created))])?;
    page(&rows, query, |order| render::order(order, books))
}

fn refunds(books: &Books, query: &Query) -> Result<Value, Refusal> {
    let mut rows = mine(&books.refunds, books, query);
    let is_wanted = |refund: &Refund| {
        is_asked(query, "order_id", &refund.order)
            && is_asked(query, "subscription_id", refund.subscription.as_deref().unwrap_or_default())
            && is_asked(query, "id", &refund.id)
    };
    rows.retain(|refund| is_wanted(refund));
    sort(&mut rows, query, "-created_at", &[("created_at", |refund| Some(refund.created))])?;
    page(&rows, query, |refund| render::refund(refund, books))
}

/// The rows of the customer who is named, by either id; of nobody when there is no such customer.
fn mine<'a, T: Row>(table: &'a Table<T>, books: &Books, query: &Query) -> Vec<&'a T> {
    let external = query.get("external_customer_id").map(|external| books.external_customer(external));
    match (query.get("customer_id"), external) {
        (None, None) => rows_of(table, None),
        (Some(id), None) => rows_of(table, Some(id)),
        (None, Some(Ok(customer))) => rows_of(table, Some(&customer.id)),
        (Some(id), Some(Ok(customer))) if *id == customer.id => rows_of(table, Some(id)),
        _ => Vec::new(),
    }
}

fn is_asked(query: &Query, name: &str, value: &str) -> bool {
    query.get(name).is_none_or(|asked| asked == value)
}

fn truth(query: &Query, name: &'static str) -> Result<Option<bool>, Refusal> {
    let read = |text: &String| text.parse().map_err(|_| Refusal::invalid(name, "Input should be a valid boolean"));
    query.get(name).map(read).transpose()
}

fn instant(query: &Query, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let read = |text: &String| text.parse().map_err(|_| Refusal::invalid(name, "Input should be a valid datetime"));
    query.get(name).map(read).transpose()
}

/// What rows can be sorted by: its name, and how it is read.
type Key<T> = (&'static str, fn(&T) -> Option<Timestamp>);

/// Sorts as `sorting` says, with a minus for the latest first.
fn sort<T>(rows: &mut [&T], query: &Query, usual: &str, keys: &[Key<T>]) -> Result<(), Refusal> {
    let asked = query.get("sorting").map_or(usual, String::as_str);
    let name = asked.trim_start_matches('-');
    let (_, key) =
        keys.iter().find(|(known, _)| *known == name).ok_or(Refusal::invalid("sorting", "Input is unknown"))?;
    rows.sort_by_key(|row| key(row));
    if asked.starts_with('-') {
        rows.reverse();
    }
    Ok(())
}

/// Cuts a page out of `rows` (<https://polar.sh/docs/api-reference/introduction#pagination>).
fn page<T>(rows: &[&T], query: &Query, render: impl Fn(&T) -> Value) -> Result<Value, Refusal> {
    let number = |name: &'static str, usual: usize| match query.get(name).map(|text| text.parse::<usize>()) {
        None => Ok(usual),
        Some(Ok(number)) if number >= 1 => Ok(number),
        Some(_) => Err(Refusal::invalid(name, "Input should be greater than or equal to 1")),
    };
    let (page, limit) = (number("page", 1)?, number("limit", 10)?);
    if limit > LIMIT_MAX {
        return Err(Refusal::invalid("limit", "Input should be less than or equal to 100"));
    }
    let items: Vec<Value> =
        rows.iter().skip((page - 1).saturating_mul(limit)).take(limit).map(|row| render(row)).collect();
    Ok(json!({
        "items": items,
        "pagination": { "total_count": rows.len(), "max_page": rows.len().div_ceil(limit) },
    }))
}
