//! The part of Stripe's API that Tollgate and its tests speak: one table of routes, each a function of the books.

mod catalog;
mod checkout;
mod customers;
mod endpoints;
mod events;
mod expand;
mod filter;
mod form;
mod invoices;
mod items;
mod payments;
mod portals;
pub mod replies;
mod schedules;
mod subscriptions;
#[cfg(test)]
mod tests;

use axum::http::Method;
use serde_json::Value;

use self::form::Form;
use super::books::Books;
use super::refusal::Refusal;
use super::render::{self, View};

/// One call, with its key already checked.
pub struct Call<'a> {
    pub method: &'a Method,
    /// Below `/v1/`.
    pub path: &'a str,
    /// The body of a POST, else the query.
    pub encoded: &'a [u8],
    /// How the caller wants to read.
    pub view: View,
}

/// Answers one call.
pub fn answer(books: &mut Books, call: &Call<'_>) -> Result<Value, Refusal> {
    let form = Form::parse(call.encoded)?;
    let segments: Vec<&str> = call.path.split('/').collect();
    let view = &call.view;
    let mut object = match call.method.as_str() {
        "GET" => match read(books, &segments, &form, view)? {
            None => read_money(books, &segments, &form, view)?,
            found => found,
        },
        "POST" => write(books, &segments, &form, view)?,
        "DELETE" => delete(books, &segments, view)?,
        _ => None,
    }
    .ok_or_else(|| Refusal::no_route(call.method.as_str(), &format!("/v1/{}", call.path)))?;
    for path in form.texts("expand") {
        expand::expand(books, &mut object, &path, view)?;
    }
    Ok(object)
}

/// Answers a call below `/v2/`: there is only one.
pub fn answer_v2(books: &Books, method: &Method, path: &str) -> Result<Value, Refusal> {
    match (method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
        ("GET", ["core", "events", id]) => events::thin(books, id),
        _ => Err(Refusal::no_route(method.as_str(), &format!("/v2/{path}"))),
    }
}

fn read(books: &Books, segments: &[&str], form: &Form, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers"] => customers::list(books, form, view)?,
        ["customers", id] => customers::read(books, id, view)?,
        ["checkout", "sessions"] => checkout::list(books, form, view)?,
        ["checkout", "sessions", id] => checkout::read(books, id, view)?,
        ["checkout", "sessions", id, "line_items"] => checkout::line_items(books, id, view)?,
        ["subscriptions"] => subscriptions::list(books, form, view)?,
        ["subscriptions", id] => subscriptions::read(books, id, view)?,
        ["subscription_schedules", id] => schedules::read(books, id, view)?,
        ["subscription_items"] => items::list(books, form, view)?,
        ["prices"] => catalog::prices(books, form, view)?,
        ["prices", id] => catalog::price(books, id, view)?,
        ["products"] => catalog::products(books, form, view)?,
        ["billing_portal", "configurations"] => portals::list(books, form, view)?,
        ["products", id] => catalog::product(books, id, view)?,
        ["webhook_endpoints"] => endpoints::list(books, form, view)?,
        ["events"] => events::list(books, form)?,
        ["events", id] => events::read(books, id)?,
        _ => return Ok(None),
    }))
}

fn read_money(books: &Books, segments: &[&str], form: &Form, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["invoices"] => invoices::list(books, form, view)?,
        ["invoices", id] => invoices::read(books, id, view)?,
        ["invoices", id, "lines"] => invoices::lines(books, id, form, view)?,
        ["invoice_payments"] => invoices::payments(books, form, view)?,
        ["invoice_payments", id] => invoices::payment(books, id, view)?,
        ["charges"] => payments::charges(books, form, view)?,
        ["charges", id] => payments::charge(books, id, view)?,
        ["charges", id, "refunds"] => payments::refunds_of(books, id, form, view)?,
        ["payment_intents"] => payments::intents(books, form, view)?,
        ["payment_intents", id] => payments::intent(books, id, view)?,
        ["refunds"] => payments::refunds(books, form, view)?,
        ["refunds", id] => payments::refund(books, id, view)?,
        ["disputes"] => payments::disputes(books, form, view)?,
        ["disputes", id] => payments::dispute(books, id, view)?,
        _ => return Ok(None),
    }))
}

fn write(books: &mut Books, segments: &[&str], form: &Form, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers"] => customers::create(books, form, view)?,
        ["customers", id] => customers::update(books, id, form, view)?,
        ["checkout", "sessions"] => checkout::create(books, form, view)?,
        ["checkout", "sessions", id, "expire"] => checkout::expire(books, id, view)?,
        ["billing_portal", "sessions"] => customers::portal(books, form, view)?,
        ["billing_portal", "configurations"] => portals::create(books, form, view)?,
        ["prices"] => catalog::create_price(books, form, view)?,
        ["prices", id] => catalog::update_price(books, id, form, view)?,
        ["products"] => catalog::create_product(books, form, view)?,
        ["products", id] => catalog::update_product(books, id, form, view)?,
        ["webhook_endpoints"] => endpoints::create(books, form, view)?,
        ["webhook_endpoints", id] => endpoints::update(books, id, form, view)?,
        ["subscriptions"] => subscriptions::create(books, form, view)?,
        ["subscriptions", id] => subscriptions::update(books, id, form, view)?,
        ["subscriptions", id, "resume"] => subscriptions::resume(books, id, form, view)?,
        ["subscription_schedules", id] => schedules::update(books, id, form, view)?,
        ["subscription_schedules", id, "release"] => schedules::release(books, id, form, view)?,
        ["invoices", id, "pay"] => invoices::pay(books, id, form, view)?,
        ["refunds"] => payments::create_refund(books, form, view)?,
        _ => return Ok(None),
    }))
}

fn delete(books: &mut Books, segments: &[&str], view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers", id] => customers::delete(books, id)?,
        ["webhook_endpoints", id] => endpoints::delete(books, id)?,
        ["subscriptions", id] => subscriptions::cancel(books, id, view)?,
        _ => return Ok(None),
    }))
}

/// A page of the rows of a list that stands inside an object, which keep their order.
fn inner_page(url: &str, rows: Vec<Value>, form: &Form) -> Result<Value, Refusal> {
    let paging = form.paging()?;
    let newest_last: Vec<Value> = rows.into_iter().rev().collect();
    let place = |id: &str| newest_last.iter().position(|row| row["id"] == id);
    let cursor = paging.cursor("row", place)?;
    let page = super::books::table::cut(newest_last.iter().enumerate(), cursor, paging.limit, |_| true);
    Ok(render::list(url, page.rows.into_iter().cloned().collect(), page.has_more))
}
