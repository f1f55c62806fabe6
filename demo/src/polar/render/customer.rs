//! Customers, and everything that one of them has.

use serde_json::{Value, json};

use super::subscription::in_state;
use super::{maybe, moment};
use crate::polar::books::Books;
use crate::polar::books::model::Customer;

pub fn customer(customer: &Customer, books: &Books) -> Value {
    json!({
        "id": customer.id,
        "created_at": moment(customer.created),
        "modified_at": maybe(customer.modified),
        "metadata": customer.metadata,
        "external_id": customer.external_id,
        "email": customer.email,
        "email_verified": true,
        "type": "individual",
        "name": customer.name,
        "billing_name": null,
        "billing_address": null,
        "tax_id": null,
        "locale": null,
        "organization_id": books.organization(),
        "default_payment_method_id": null,
        "deleted_at": maybe(customer.deleted),
        "first_user_event_at": null,
        "avatar_url": null,
    })
}

/// A customer with their active subscriptions: what `customer.state_changed` carries.
pub fn state(own: &Customer, books: &Books) -> Value {
    let active = books.subscriptions.of(&own.id).filter(|subscription| subscription.status.is_active());
    super::with(
        customer(own, books),
        json!({
            "active_subscriptions": active.map(in_state).collect::<Vec<_>>(),
            "granted_benefits": [],
            "active_meters": [],
        }),
    )
}
