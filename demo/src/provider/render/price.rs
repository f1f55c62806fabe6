//! Prices, the plans that old readers still look for, and products.

use serde_json::{Value, json};

use super::View;
use crate::Timestamp;
use crate::provider::books::shop::Product;
use crate::provider::settings::Price;

/// A product's id: its own, or its name, with what is not a letter or digit left out.
pub fn product_id(price: &Price) -> String {
    if let Some((_, id)) = price.product.split_once('#') {
        return id.to_owned();
    }
    let name: String = price.product.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("prod_{name}")
}

/// A price that was made at `created`.
pub fn price(price: &Price, created: Timestamp, view: &View) -> Value {
    json!({
        "id": price.id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": created.timestamp(),
        "currency": price.currency,
        "custom_unit_amount": null,
        "livemode": view.livemode,
        "lookup_key": null,
        "metadata": {},
        "nickname": null,
        "product": product_id(price),
        "recurring": {
            "interval": price.cadence.interval(),
            "interval_count": 1,
            "meter": null,
            "trial_period_days": null,
            "usage_type": usage(price),
        },
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "recurring",
        "unit_amount": price.amount,
        "unit_amount_decimal": price.amount.to_string(),
    })
}

fn usage(price: &Price) -> &'static str {
    if price.metered { "metered" } else { "licensed" }
}

/// The same price as the older plan object, which items still carry.
pub(super) fn plan(price: &Price, created: Timestamp, view: &View) -> Value {
    json!({
        "id": price.id,
        "object": "plan",
        "active": true,
        "amount": price.amount,
        "amount_decimal": price.amount.to_string(),
        "billing_scheme": "per_unit",
        "created": created.timestamp(),
        "currency": price.currency,
        "interval": price.cadence.interval(),
        "interval_count": 1,
        "livemode": view.livemode,
        "metadata": {},
        "meter": null,
        "nickname": null,
        "product": product_id(price),
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": usage(price),
    })
}

/// A product.
pub fn product(product: &Product, view: &View) -> Value {
    json!({
        "id": product.id,
        "object": "product",
        "active": !product.is_archived,
        "created": product.created.timestamp(),
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": view.livemode,
        "marketing_features": [],
        "metadata": product.metadata,
        "name": product.name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": "service",
        "unit_label": null,
        "updated": product.created.timestamp(),
        "url": null,
    })
}
