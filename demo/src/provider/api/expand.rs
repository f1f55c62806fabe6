//! Stripe's `expand[]`: an id in an answer is replaced by the object that it names.

use serde_json::Value;

use super::{checkout, customers, lists, subscriptions};
use crate::provider::books::Books;
use crate::provider::refusal::Refusal;
use crate::provider::render::View;

/// Expands `path`, such as `data.customer` or `latest_invoice`, everywhere in `object` where it leads.
pub fn expand(books: &Books, object: &mut Value, path: &str, view: &View) -> Result<(), Refusal> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if let Value::Array(elements) = object {
        return elements.iter_mut().try_for_each(|element| expand(books, element, path, view));
    }
    let is_session = object["object"] == "checkout.session";
    if name == "line_items" && is_session {
        let id = object["id"].as_str().unwrap_or_default();
        object["line_items"] = checkout::line_items(books, id)?;
        return Ok(());
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

/// The object behind an id; `None` when this is no id of a kind that can be expanded.
fn named(books: &Books, id: &str, view: &View) -> Result<Option<Value>, Refusal> {
    Ok(Some(match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("cus") => customers::read(books, id)?,
        Some("sub") => subscriptions::read(books, id, view)?,
        Some("in") => lists::invoice(books, id, view)?,
        Some("prod") => lists::product(books, id)?,
        Some("ch") => lists::charge(books, id)?,
        _ => return Ok(None),
    }))
}
