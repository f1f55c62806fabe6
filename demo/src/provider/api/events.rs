//! `/v1/events`, and `/v2/core/events` for the thin ones: read as they were sent, whatever version the reader asks for.

use serde_json::Value;

use super::filter::{Range, only};
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::refusal::Refusal;
use crate::provider::render;

/// Newest first.
pub fn list(books: &Books, form: &Form) -> Result<Value, Refusal> {
    only(form, &["type", "types", "created", "delivery_success"])?;
    let mut kinds = form.texts("types");
    kinds.extend(form.text("type"));
    let created = Range::read(form, "created")?;
    // Stripe's `false` means those that wait or were given up.
    let delivered = form.truth("delivery_success")?;
    let page = books.event_page(&form.paging()?, |event| {
        (kinds.is_empty() || kinds.iter().any(|kind| matches(kind, &event.kind)))
            && created.holds(event.created)
            && delivered.is_none_or(|delivered| delivered == event.was_accepted())
    })?;
    Ok(render::list("/v1/events", page.rows.into_iter().map(|event| event.body.clone()).collect(), page.has_more))
}

/// A type, or a group of types such as `invoice.*`.
fn matches(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |group| kind.starts_with(group))
}

pub fn read(books: &Books, id: &str) -> Result<Value, Refusal> {
    Ok(books.snapshot_event(id)?.body.clone())
}

pub fn thin(books: &Books, id: &str) -> Result<Value, Refusal> {
    Ok(books.thin_event(id)?.body.clone())
}
