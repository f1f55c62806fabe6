//! Products, each with its one price.

use serde_json::{Value, json};

use super::{moment, with};
use crate::polar::books::Books;
use crate::polar::settings::Product;

/// As it stands in an order: without its prices.
pub fn brief(product: &Product, books: &Books) -> Value {
    json!({
        "id": product.id,
        "created_at": moment(books.opened()),
        "modified_at": null,
        "trial_interval": null,
        "trial_interval_count": null,
        "name": product.name,
        "description": null,
        "visibility": "public",
        "recurring_interval": product.cadence.interval(),
        "recurring_interval_count": 1,
        "meter_interval": null,
        "meter_interval_count": null,
        "is_recurring": true,
        "is_archived": false,
        "organization_id": books.organization(),
        "metadata": {},
    })
}

pub fn whole(product: &Product, books: &Books) -> Value {
    let more = json!({
        "prices": [price(product, books)],
        "benefits": [],
        "medias": [],
        "attached_custom_fields": [],
    });
    with(brief(product, books), more)
}

pub fn price(product: &Product, books: &Books) -> Value {
    json!({
        "id": product.price_id(),
        "created_at": moment(books.opened()),
        "modified_at": null,
        "source": "catalog",
        "amount_type": "fixed",
        "price_currency": product.currency,
        "tax_behavior": null,
        "is_archived": false,
        "product_id": product.id,
        "price_amount": product.amount,
    })
}
