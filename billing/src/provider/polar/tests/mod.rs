//! Polar's shapes, and what they mean.

mod customers;
mod hostile;
mod money;
mod subscriptions;

use chrono::{Duration, SecondsFormat};
use entitlement::Timestamp;
use entitlement::event::{Event, Fact};
use serde_json::{Value, json};

use super::interpret;
use crate::provider::Unreadable;

/// A moment that Polar tells to the microsecond.
const CREATED: i64 = 1_772_323_200_123_456;

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(CREATED).expect("in range") + Duration::seconds(second)
}

fn told(second: i64) -> Value {
    json!(at(second).to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn body(kind: &str, object: &Value) -> Vec<u8> {
    let event = json!({ "type": kind, "timestamp": told(0), "data": object });
    serde_json::to_vec(&event).expect("it encodes")
}

/// Arrived two seconds after it was made.
fn try_read(kind: &str, object: &Value) -> Result<Event, Unreadable> {
    interpret(&body(kind, object), at(2), "account")
}

fn read(kind: &str, object: &Value) -> Event {
    try_read(kind, object).expect("readable")
}

fn facts(kind: &str, object: &Value) -> Vec<Fact> {
    read(kind, object).facts
}

fn with(object: &Value, fields: &Value) -> Value {
    let mut object = object.clone();
    let fields = fields.as_object().expect("an object").clone();
    object.as_object_mut().expect("an object").extend(fields);
    object
}

fn customer() -> Value {
    json!({
        "id": "c-1", "created_at": told(-500), "modified_at": null, "external_id": "ann", "metadata": {},
        "email": "eve@example.com", "deleted_at": null, "type": "individual",
    })
}

/// Paid for, in a period that began 100 seconds ago, and last changed a second before the event was made.
fn subscription() -> Value {
    json!({
        "id": "s-1", "customer_id": "c-1", "product_id": "p-paid", "status": "active", "customer": customer(),
        "created_at": told(-101), "modified_at": told(-1), "started_at": told(-100),
        "current_period_start": told(-100), "current_period_end": told(1000), "trial_start": null, "trial_end": null,
        "cancel_at_period_end": false, "canceled_at": null, "ends_at": null, "ended_at": null, "past_due_at": null,
        "metadata": {}, "product": { "id": "p-other" }, "prices": [{ "id": "price-other" }], "amount": 700,
    })
}
