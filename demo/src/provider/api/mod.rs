//! The part of Stripe's API that Tollgate and its tests speak: one table of routes, each a function of the books.

mod checkout;
mod customers;
mod expand;
mod form;
mod lists;
pub mod replies;
mod subscriptions;
#[cfg(test)]
mod tests;

use axum::http::Method;
use serde_json::Value;

use self::form::Form;
use super::books::Books;
use super::refusal::Refusal;
use super::render::View;

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
        "GET" => read(books, &segments, &form, view)?,
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

fn read(books: &Books, segments: &[&str], form: &Form, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers"] => customers::list(books, form)?,
        ["customers", id] => customers::read(books, id)?,
        ["checkout", "sessions"] => checkout::list(books, form, view)?,
        ["checkout", "sessions", id] => checkout::read(books, id, view)?,
        ["checkout", "sessions", id, "line_items"] => checkout::line_items(books, id)?,
        ["subscriptions"] => subscriptions::list(books, form, view)?,
        ["subscriptions", id] => subscriptions::read(books, id, view)?,
        ["prices"] => lists::prices(books, form)?,
        ["prices", id] => lists::price(books, id)?,
        ["products", id] => lists::product(books, id)?,
        ["events"] => lists::events(books, form)?,
        ["events", id] => lists::event(books, id)?,
        ["invoices"] => lists::invoices(books, form, view)?,
        ["invoices", id] => lists::invoice(books, id, view)?,
        ["charges", id] => lists::charge(books, id)?,
        _ => return Ok(None),
    }))
}

fn write(books: &mut Books, segments: &[&str], form: &Form, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers"] => customers::create(books, form)?,
        ["customers", id] => customers::update(books, id, form)?,
        ["checkout", "sessions"] => checkout::create(books, form, view)?,
        ["checkout", "sessions", id, "expire"] => checkout::expire(books, id, view)?,
        ["billing_portal", "sessions"] => customers::portal(books, form, view)?,
        ["subscriptions"] => subscriptions::create(books, form, view)?,
        ["subscriptions", id] => subscriptions::update(books, id, form, view)?,
        _ => return Ok(None),
    }))
}

fn delete(books: &mut Books, segments: &[&str], view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match segments {
        ["customers", id] => customers::delete(books, id)?,
        ["subscriptions", id] => subscriptions::cancel(books, id, view)?,
        _ => return Ok(None),
    }))
}
