//! Checkouts and portal sessions.

use serde_json::{Value, json};

use super::{moment, product};
use crate::polar::books::Books;
use crate::polar::books::model::Checkout;

pub fn checkout(checkout: &Checkout, books: &Books, base: &str) -> Value {
    let success = checkout.success_url.as_ref().map(|url| url.replace("{CHECKOUT_ID}", &checkout.id));
    let days = (checkout.trial_days > 0).then_some(checkout.trial_days);
    json!({
        "id": checkout.id,
        "created_at": moment(checkout.created),
        "modified_at": null,
        "payment_processor": "stripe",
        "status": books.checkout_status(checkout),
        "client_secret": checkout.secret,
        "url": format!("{base}/checkout/{}", checkout.secret),
        "expires_at": moment(checkout.expires),
        "success_url": success,
        "return_url": checkout.return_url,
        "embed_origin": null,
        "amount": checkout.product.amount,
        "discount_amount": 0,
        "net_amount": checkout.product.amount,
        "tax_amount": null,
        "total_amount": checkout.product.amount,
        "currency": checkout.product.currency,
        "allow_trial": days.is_some(),
        "active_trial_interval": days.map(|_| "day"),
        "active_trial_interval_count": days,
        "organization_id": books.organization(),
        "product_id": checkout.product.id,
        "product": product::whole(&checkout.product, books),
        "allow_discount_codes": checkout.allow_discount_codes,
        "customer_id": checkout.customer,
        "external_customer_id": checkout.external_customer_id,
        "metadata": checkout.metadata,
        "customer_metadata": checkout.customer_metadata,
        "subscription_id": null,
    })
}

pub fn portal(customer: &str, return_url: Option<&str>, books: &Books, base: &str) -> Value {
    let token = format!("polar_cst_{}", uuid::Uuid::new_v4());
    json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "created_at": moment(books.now()),
        "modified_at": null,
        "token": token,
        "expires_at": moment(books.now() + chrono::Duration::hours(1)),
        "return_url": return_url,
        "customer_id": customer,
        "customer_portal_url": format!("{base}/portal?customer_session_token={token}"),
    })
}
