//! `/v1/subscriptions`.

use serde_json::Value;

use super::checkout::{quantity_of, trial_days};
use super::customers::merged;
use super::form::Form;
use crate::provider::books::model::{Ending, Status};
use crate::provider::books::table::page;
use crate::provider::books::{Books, NewSubscription, Proration};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};

pub fn create(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["customer", "items", "metadata", "trial_period_days", "expand"])?;
    let items = form.elements("items");
    let [item] = items.as_slice() else {
        return Err(Refusal::invalid("items", "The simulated provider takes exactly one item."));
    };
    let price = format!("{item}[price]");
    let new = NewSubscription {
        customer: form.required("customer")?,
        price: books.price(&form.required(&price)?, &price)?.clone(),
        quantity: quantity_of(form, &format!("{item}[quantity]"))?,
        trial_days: trial_days(form, "trial_period_days")?,
        metadata: form.metadata("metadata")?,
    };
    let id = books.subscribe(new)?;
    read(books, &id, view)
}

pub fn read(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::subscription(books.subscription(id)?, view))
}

/// Everything that is asked is read before anything is changed, so a refusal changes nothing.
pub fn update(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&[
        "cancel_at",
        "cancel_at_period_end",
        "items",
        "metadata",
        "proration_behavior",
        "pause_collection",
        "expand",
    ])?;
    let end = end_of(form)?;
    let price = price_of(books, id, form)?;
    let paused = pause_of(form)?;
    let metadata = merged(&books.subscription(id)?.metadata, form.metadata("metadata")?)?;
    if end.is_some() || price.is_some() || paused.is_some() {
        books.living(id)?;
    }
    if let Some((price, proration)) = price {
        books.change_price(id, price, proration)?;
    }
    match end {
        Some(Some(ending)) => books.schedule_end(id, ending)?,
        Some(None) => books.reactivate(id)?,
        None => {}
    }
    books.amend(id, |subscription| {
        subscription.metadata = metadata;
        if let Some(paused) = paused {
            subscription.paused = paused;
        }
    });
    read(books, id, view)
}

/// What is asked of the end: nothing, that there be none, or that it be then.
fn end_of(form: &Form) -> Result<Option<Option<Ending>>, Refusal> {
    match (form.has("cancel_at_period_end"), form.has("cancel_at")) {
        (true, true) => Err(Refusal::invalid(
            "cancel_at",
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
        )),
        (true, false) => Ok(Some(form.truth("cancel_at_period_end")?.and_then(|end| end.then_some(Ending::PeriodEnd)))),
        (false, true) => Ok(Some(form.moment("cancel_at")?.map(Ending::At))),
        (false, false) => Ok(None),
    }
}

/// The price to move to, if another one is asked for.
fn price_of(
    books: &Books,
    id: &str,
    form: &Form,
) -> Result<Option<(crate::provider::settings::Price, Proration)>, Refusal> {
    let items = form.elements("items");
    let item = match items.as_slice() {
        [] => return Ok(None),
        [item] => item,
        _ => return Err(Refusal::invalid("items", "A subscription here has exactly one item.")),
    };
    let (item_id, price) = (format!("{item}[id]"), format!("{item}[price]"));
    let own = &books.subscription(id)?.item;
    match form.text(&item_id) {
        Some(asked) if asked == *own => {}
        Some(asked) => return Err(Refusal::no_such("subscription_item", &asked, &item_id)),
        None => return Err(Refusal::invalid(&item_id, "A subscription here has exactly one item: name its id.")),
    }
    let price = books.price(&form.required(&price)?, &price)?.clone();
    let proration = match form.text("proration_behavior").as_deref() {
        Some("always_invoice") => Proration::AlwaysInvoice,
        None | Some("none" | "create_prorations") => Proration::None,
        Some(other) => {
            return Err(Refusal::invalid("proration_behavior", format!("Invalid proration_behavior: {other}")));
        }
    };
    Ok(Some((price, proration)))
}

/// What is asked of collection: nothing, that it go on, or that it pause in this way.
fn pause_of(form: &Form) -> Result<Option<Option<String>>, Refusal> {
    if !form.has("pause_collection") {
        return Ok(None);
    }
    match form.text("pause_collection[behavior]") {
        Some(behavior) if ["keep_as_draft", "mark_uncollectible", "void"].contains(&behavior.as_str()) => {
            Ok(Some(Some(behavior)))
        }
        Some(other) => Err(Refusal::invalid("pause_collection[behavior]", format!("Invalid behavior: {other}"))),
        None if form.raw("pause_collection") == Some("") => Ok(Some(None)),
        None => Err(Refusal::missing("pause_collection[behavior]")),
    }
}

pub fn cancel(books: &mut Books, id: &str, view: &View) -> Result<Value, Refusal> {
    if books.subscription(id)?.status.is_over() {
        return Err(Refusal::no_such("subscription", id, "id"));
    }
    books.cancel_now(id, "cancellation_requested")?;
    read(books, id, view)
}

/// Without a status, those that are not canceled; `all` gives everything.
pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["customer", "price", "status", "limit", "starting_after", "ending_before", "expand"])?;
    let (customer, price, status) = (form.text("customer"), form.text("price"), form.text("status"));
    let rows = books.subscriptions.iter().rev().filter(|subscription| {
        let wanted = match status.as_deref() {
            None => subscription.status != Status::Canceled,
            Some("all") => true,
            Some("ended") => subscription.status.is_over(),
            Some(status) => subscription.status.name() == status,
        };
        wanted
            && customer.as_ref().is_none_or(|customer| subscription.customer == *customer)
            && price.as_ref().is_none_or(|price| subscription.price.id == *price)
    });
    let page = page(rows, &form.paging()?);
    let data = page.rows.into_iter().map(|subscription| render::subscription(subscription, view)).collect();
    Ok(render::list("/v1/subscriptions", data, page.has_more))
}
