//! Customers, and their links into the portal.

use serde_json::{Value, json};

use super::View;
use crate::provider::books::model::{Card, Customer, PortalSession};

pub fn customer(customer: &Customer, view: &View) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": customer.created.timestamp(),
        "currency": null,
        "default_source": null,
        "delinquent": customer.card == Card::Declined,
        "description": null,
        "discount": null,
        "email": customer.email,
        "invoice_prefix": "SIM",
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": null,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": view.livemode,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

/// What is left of a customer who was deleted.
pub fn deleted_customer(id: &str) -> Value {
    json!({ "id": id, "object": "customer", "deleted": true })
}

/// A link into the portal.
pub fn portal(portal: &PortalSession, view: &View) -> Value {
    json!({
        "id": portal.id,
        "object": "billing_portal.session",
        "configuration": "bpc_simulated",
        "created": portal.created.timestamp(),
        "customer": portal.customer,
        "customer_account": null,
        "flow": null,
        "livemode": view.livemode,
        "locale": null,
        "on_behalf_of": null,
        "return_url": portal.return_url,
        "url": format!("{}/portal/{}", view.base_url, portal.id),
    })
}
