//! The books in Stripe's words: JSON objects, in the shape that a reader expects.
//!
//! Objects satisfy the types of `async-stripe` in the newest shape, which a test holds.

mod customer;
mod invoice;
mod payment;
mod price;
mod reversal;
mod schedule;
mod session;
mod subscription;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::settings::Shape;
use crate::Timestamp;

pub use self::customer::{customer, deleted_customer, portal};
pub use self::invoice::{invoice, lines};
pub use self::payment::{charge, invoice_payment, payment_intent, refunds_of};
pub use self::price::{price, product, product_id};
pub use self::reversal::{dispute, refund};
pub use self::schedule::schedule;
pub use self::session::{line_items, session};
pub use self::subscription::{items, subscription};

/// How many rows a list inside an object shows at most; the rest is paged
/// (<https://docs.stripe.com/api/pagination>).
pub const INNER_ROWS_MAX: usize = 10;

/// Who reads: in which shape, and where the provider's own pages are.
#[derive(Clone, Debug)]
pub struct View {
    pub shape: Shape,
    /// Without a slash at the end.
    pub base_url: String,
    /// What every object says of itself: whether real money is behind it.
    pub livemode: bool,
}

/// The webhook endpoint (<https://docs.stripe.com/api/webhook_endpoints/object>).
pub fn endpoint(url: &str, enabled: &[String], view: &View) -> Value {
    json!({
        "id": "we_simulated",
        "object": "webhook_endpoint",
        "api_version": null,
        "application": null,
        "description": null,
        "enabled_events": enabled,
        "livemode": view.livemode,
        "metadata": {},
        "status": "enabled",
        "url": url,
    })
}

/// A moment as Stripe writes it.
fn moment(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| json!(moment.timestamp()))
}

/// Stripe's list object.
pub fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "data": data, "has_more": has_more })
}

/// A list inside an object: its first page.
fn inner_list(url: &str, mut rows: Vec<Value>) -> Value {
    let has_more = rows.len() > INNER_ROWS_MAX;
    rows.truncate(INNER_ROWS_MAX);
    list(url, rows, has_more)
}

/// Where the objects of one kind are found below `/v1/`.
pub fn collection(object: &str) -> String {
    match object {
        "checkout.session" => "checkout/sessions".to_owned(),
        "billing_portal.session" => "billing_portal/sessions".to_owned(),
        other => format!("{other}s"),
    }
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
