//! Subscriptions: alone, in an order, and in their customer's state.

use serde_json::{Value, json};

use super::{maybe, moment, product, with};
use crate::polar::books::Books;
use crate::polar::books::model::Subscription;

pub fn subscription(own: &Subscription, books: &Books) -> Value {
    let customer = books.customers.get(&own.customer);
    let more = json!({
        "customer": customer.map(|customer| super::customer(customer, books)),
        "product": product::whole(&own.product, books),
        "discount": null,
        "prices": [product::price(&own.product, books)],
        "meters": [],
        "pending_update": null,
        "custom_field_data": {},
    });
    with(in_order(own), more)
}

/// As it stands in an order: without what hangs on it.
pub fn in_order(own: &Subscription) -> Value {
    json!({
        "id": own.id,
        "created_at": moment(own.created),
        "modified_at": maybe(own.modified),
        "metadata": own.metadata,
        "amount": own.product.amount,
        "currency": own.product.currency,
        "recurring_interval": own.product.cadence.interval(),
        "recurring_interval_count": 1,
        "status": own.status.name(),
        "current_period_start": moment(own.period.start),
        "current_period_end": moment(own.period.end),
        "current_meter_period_start": null,
        "current_meter_period_end": null,
        "trial_start": maybe(own.trial.map(|trial| trial.start)),
        "trial_end": maybe(own.trial.map(|trial| trial.end)),
        "cancel_at_period_end": own.is_ending,
        "canceled_at": maybe(own.canceled),
        "started_at": maybe(own.started),
        "ends_at": maybe(own.ends),
        "ended_at": maybe(own.ended),
        "past_due_at": maybe(own.past_due),
        "pause_at_period_end": own.is_pausing,
        "paused_at": maybe(own.paused),
        "resumes_at": maybe(own.resumes),
        "customer_id": own.customer,
        "product_id": own.product.id,
        "discount_id": null,
        "checkout_id": null,
        "seats": null,
        "customer_cancellation_reason": null,
        "customer_cancellation_comment": null,
    })
}

/// As it stands in its customer's state, which has fewer fields.
pub fn in_state(own: &Subscription) -> Value {
    json!({
        "id": own.id,
        "created_at": moment(own.created),
        "modified_at": maybe(own.modified),
        "custom_field_data": {},
        "metadata": own.metadata,
        "status": own.status.name(),
        "amount": own.product.amount,
        "currency": own.product.currency,
        "recurring_interval": own.product.cadence.interval(),
        "current_period_start": moment(own.period.start),
        "current_period_end": moment(own.period.end),
        "trial_start": maybe(own.trial.map(|trial| trial.start)),
        "trial_end": maybe(own.trial.map(|trial| trial.end)),
        "cancel_at_period_end": own.is_ending,
        "canceled_at": maybe(own.canceled),
        "started_at": maybe(own.started),
        "ends_at": maybe(own.ends),
        "product_id": own.product.id,
        "discount_id": null,
        "meters": [],
    })
}
