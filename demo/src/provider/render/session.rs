//! Checkout sessions.

use serde_json::{Value, json};

use super::{View, list, price};
use crate::provider::books::model::{CheckoutSession, SessionPayment, SessionState};

/// Whether money was due, and whether it came (<https://docs.stripe.com/api/checkout/sessions/object>).
fn payment_status(session: &CheckoutSession) -> &'static str {
    match (&session.state, amount(session)) {
        (SessionState::Complete { .. }, 0) => "no_payment_required",
        (SessionState::Complete { payment: SessionPayment::Settled, .. }, _) => "paid",
        _ => "unpaid",
    }
}

/// What is due now, in minor units.
fn amount(session: &CheckoutSession) -> i64 {
    match session.trial_days {
        Some(days) if days > 0 => 0,
        _ => session.price.amount * i64::from(session.quantity),
    }
}

/// A session. Only an open one has a hosted page.
pub fn session(session: &CheckoutSession, view: &View) -> Value {
    let (status, subscription, invoice) = match &session.state {
        SessionState::Open => ("open", None, None),
        SessionState::Complete { subscription, invoice, .. } => ("complete", Some(subscription), Some(invoice)),
        SessionState::Expired => ("expired", None, None),
    };
    let url = (session.state == SessionState::Open).then(|| format!("{}/checkout/{}", view.base_url, session.id));
    let amount = amount(session);
    let mut object = json!({
        "id": session.id,
        "object": "checkout.session",
        "allow_promotion_codes": session.promotion_codes,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        "created": session.created.timestamp(),
        "currency": session.price.currency,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null,
            "shipping_address": null,
            "submit": null,
            "terms_of_service_acceptance": null,
        },
        "customer": session.customer,
        "customer_email": session.customer_email,
        "expires_at": session.expires_at.timestamp(),
        "invoice": invoice,
        "livemode": view.livemode,
        "locale": null,
        "metadata": session.metadata,
        "mode": "subscription",
        "payment_intent": null,
        "payment_link": null,
        "payment_method_collection": "always",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": payment_status(session),
        "phone_number_collection": { "enabled": false },
        "setup_intent": null,
        "shipping_options": [],
        "status": status,
        "subscription": subscription,
        "success_url": session.success_url,
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted",
        "url": url,
    });
    object["customer_details"] = json!({
        "address": null,
        "email": session.customer_email,
        "name": null,
        "phone": null,
        "tax_exempt": "none",
        "tax_ids": [],
    });
    object
}

/// What is bought: shown when asked for by `expand[]=line_items`.
pub fn line_items(session: &CheckoutSession, view: &View) -> Value {
    let amount = amount(session);
    let item = json!({
        "id": format!("li_{}", session.id.trim_start_matches("cs_test_")),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": session.price.currency,
        "description": session.price.product_name(),
        "price": price(&session.price, session.created, view),
        "quantity": session.quantity,
    });
    list(&format!("/v1/checkout/sessions/{}/line_items", session.id), vec![item], false)
}
