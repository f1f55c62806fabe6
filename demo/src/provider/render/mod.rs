//! The books in Stripe's words: JSON objects, in the shape that a reader expects.
//!
//! Objects satisfy the types of `async-stripe` in the newest shape, which a test holds.

mod customer;
mod invoice;
mod price;
mod session;
mod subscription;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::settings::Shape;
use crate::Timestamp;

pub use self::customer::{customer, deleted_customer, portal};
pub use self::invoice::{charge, invoice};
pub use self::price::{price, product, product_id};
pub use self::session::{line_items, session};
pub use self::subscription::subscription;

/// Who reads: in which shape, and where the provider's own pages are.
#[derive(Clone, Debug)]
pub struct View {
    pub shape: Shape,
    /// Without a slash at the end.
    pub base_url: String,
}

/// A moment as Stripe writes it.
fn moment(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| json!(moment.timestamp()))
}

/// Stripe's list object.
pub fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "data": data, "has_more": has_more })
}

/// The fields that differ, as they were: `data.previous_attributes` of an event. `None` when none does.
pub fn previous_attributes(before: &Value, after: &Value) -> Option<Value> {
    let (before, after) = (before.as_object()?, after.as_object()?);
    let changed: Map<String, Value> = before
        .iter()
        .filter(|(key, value)| after.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}
