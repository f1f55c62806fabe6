//! Stripe's `expand[]`: an id in an answer is replaced by the object that it names, and a list that is left out is added.

use serde_json::Value;

use super::{catalog, checkout, customers, invoices, payments, subscriptions};
use crate::provider::books::Books;
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

/// Expands `path`, such as `data.customer` or `latest_invoice`, everywhere in `object` where it leads.
pub fn expand(books: &Books, object: &mut Value, path: &str, view: &View) -> Result<(), Refusal> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if let Value::Array(elements) = object {
        return elements.iter_mut().try_for_each(|element| expand(books, element, path, view));
    }
    if let Some(list) = included(books, object, name, view)? {
        object[name] = list;
    }
    let Some(field) = object.get_mut(name) else {
        return Err(Refusal::invalid("expand", format!("This property cannot be expanded ({name}).")));
    };
    if let Some(id) = field.as_str().map(str::to_owned) {
        *field = named(books, &id, view)?
            .ok_or_else(|| Refusal::invalid("expand", format!("This property cannot be expanded ({name}).")))?;
    }
    match rest {
        Some(rest) if !field.is_null() => expand(books, field, rest, view),
        _ => Ok(()),
    }
}

/// The lists that an object has only when they are asked for.
fn included(books: &Books, object: &Value, name: &str, view: &View) -> Result<Option<Value>, Refusal> {
    let id = object["id"].as_str().unwrap_or_default();
    let word = object["object"].as_str().unwrap_or_default();
    Ok(Some(match (word, name) {
        ("checkout.session", "line_items") => checkout::line_items(books, id, view)?,
        ("price", "currency_options") => {
            let own = serde_json::json!({ "unit_amount": object["unit_amount"] });
            let currency = object["currency"].as_str().unwrap_or_default().to_owned();
            Value::Object([(currency, own)].into_iter().collect())
        }
        ("charge", "refunds") => render::refunds_of(books.charge(id)?, books, view),
        ("invoice", "payments") => {
            let invoice = books.invoice(id)?;
            let payment = invoice.has_payment().then(|| render::invoice_payment(invoice, view));
            render::list(&format!("/v1/invoice_payments?invoice={id}"), payment.into_iter().collect(), false)
        }
        ("customer", "subscriptions") => {
            let living = books.subscriptions.of(id).rev().filter(|subscription| !subscription.status.is_over());
            let mut data: Vec<Value> = living.map(|subscription| render::subscription(subscription, view)).collect();
            let has_more = data.len() > render::INNER_ROWS_MAX;
            data.truncate(render::INNER_ROWS_MAX);
            render::list(&format!("/v1/customers/{id}/subscriptions"), data, has_more)
        }
        _ => return Ok(None),
    }))
}

/// The object behind an id; `None` when this is no id of a kind that can be expanded.
fn named(books: &Books, id: &str, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("cus") => customers::read(books, id, view)?,
        Some("sub") => subscriptions::read(books, id, view)?,
        Some("in") => invoices::read(books, id, view)?,
        Some("prod") => catalog::product(books, id, view)?,
        Some("ch") => payments::charge(books, id, view)?,
        Some("pi") => payments::intent(books, id, view)?,
        Some("du") => payments::dispute(books, id, view)?,
        _ => return Ok(None),
    }))
}
