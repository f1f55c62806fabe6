//! The books in Polar's words: JSON objects that satisfy the schemas of its version 2026-04.

mod checkout;
mod customer;
mod order;
mod product;
mod subscription;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::Timestamp;

pub use self::checkout::{checkout, portal};
pub use self::customer::{customer, state};
pub use self::order::{order, refund};
pub use self::product::whole as product;
pub use self::subscription::subscription;

/// A moment as Polar writes it: to the microsecond.
pub fn moment(moment: Timestamp) -> Value {
    json!(moment.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn maybe(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, moment)
}

/// `base` with the fields of `more` on top.
fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}
