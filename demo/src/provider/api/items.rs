//! What a call says of a subscription's items, and `/v1/subscription_items`, where all of them are listed.

use serde_json::Value;

use super::checkout::{quantity_of, refuse_quantity_of_usage};
use super::filter::only;
use super::form::Form;
use crate::provider::books::model::{BillingMode, Item};
use crate::provider::books::{Books, ItemChange, Proration};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};
use crate::provider::settings::Price;

/// The items that a new subscription is for.
pub fn new_items(books: &Books, form: &Form) -> Result<Vec<(Price, u32)>, Refusal> {
    let item = |item: &String| {
        let price = format!("{item}[price]");
        let found = books.price(&form.required(&price)?, &price)?.clone();
        let quantity = format!("{item}[quantity]");
        refuse_quantity_of_usage(form, &found, &quantity)?;
        Ok((found, quantity_of(form, &quantity)?))
    };
    form.elements("items").iter().map(item).collect()
}

/// What is asked of the items of a subscription: an element with an id changes or removes that item, one without adds.
pub fn changes(books: &Books, subscription: &str, form: &Form) -> Result<Vec<ItemChange>, Refusal> {
    let subscription = books.subscription(subscription)?;
    let (own, mode) = (&subscription.items, subscription.billing);
    let mut changes = Vec::new();
    for element in form.elements("items") {
        let field = |name: &str| format!("{element}[{name}]");
        let (id, price, quantity) = (field("id"), field("price"), field("quantity"));
        let named = form.text(&price).map(|named| books.price(&named, &price).cloned()).transpose()?;
        let count = form.has(&quantity).then(|| quantity_of(form, &quantity)).transpose()?;
        let deleted = form.truth(&field("deleted"))?.unwrap_or(false);
        changes.push(match (form.text(&id), named) {
            (Some(asked), _) if own.iter().all(|item| item.id != asked) => {
                return Err(Refusal::no_such("subscription_item", &asked, &id));
            }
            (Some(item), _) if deleted => {
                refuse_kept_usage(own.get(&item), mode, form.truth(&field("clear_usage"))?, &field("clear_usage"))?;
                ItemChange::Remove { item }
            }
            (Some(item), price) => ItemChange::Set { item, price, quantity: count },
            (None, Some(price)) => ItemChange::Add { price, quantity: count.unwrap_or(1) },
            (None, None) => return Err(Refusal::missing(&price)),
        });
    }
    Ok(changes)
}

/// Under classic billing the usage of an item goes with it, and only when that is said: "When deleting the subscription item … with a metered plan, all related
/// usage records must be cleared too by setting `clear_usage=true`." Of another item nothing may be said. Flexible billing charges for it.
fn refuse_kept_usage(item: Option<&Item>, mode: BillingMode, clears: Option<bool>, name: &str) -> Result<(), Refusal> {
    let Some(Item { id, price, .. }) = item else { return Ok(()) };
    match (price.metered && mode == BillingMode::Classic, clears) {
        (true, Some(true)) | (false, None) => Ok(()),
        (true, _) => Err(Refusal::invalid(
            name,
            format!(
                "When deleting the subscription item {id} with a metered plan, all related usage records must be cleared too by setting `clear_usage=true`."
            ),
        )),
        (false, Some(_)) => {
            Err(Refusal::invalid(name, "`clear_usage` can only be set for an item with a metered plan."))
        }
    }
}

/// What a change of items costs now.
pub fn proration(form: &Form) -> Result<Proration, Refusal> {
    match form.text("proration_behavior").as_deref() {
        Some("always_invoice") => Ok(Proration::AlwaysInvoice),
        None | Some("none" | "create_prorations") => Ok(Proration::None),
        Some(other) => Err(Refusal::invalid("proration_behavior", format!("Invalid proration_behavior: {other}"))),
    }
}

pub fn list(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["subscription"])?;
    let id = form.required("subscription")?;
    let found = books.subscriptions.get(&id).ok_or_else(|| Refusal::no_such("subscription", &id, "subscription"))?;
    super::inner_page("/v1/subscription_items", render::items(found, view), form)
}
