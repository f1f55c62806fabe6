//! Invoices and the charges that pay them.

use serde_json::{Value, json};

use super::price::product_id;
use super::{View, list, moment};
use crate::provider::books::model::{Invoice, InvoiceStatus};
use crate::provider::settings::Shape;

pub fn invoice(invoice: &Invoice, view: &View) -> Value {
    let shape = view.shape;
    let paid = invoice.status == InvoiceStatus::Paid;
    let amount_paid = if paid { invoice.amount } else { 0 };
    let hosted = (invoice.status != InvoiceStatus::Draft).then(|| format!("{}/invoice/{}", view.base_url, invoice.id));
    let mut object = json!({
        "id": invoice.id,
        "object": "invoice",
        "account_country": "GB",
        "account_name": "The simulated provider",
        "amount_due": invoice.amount,
        "amount_overpaid": 0,
        "amount_paid": amount_paid,
        "amount_remaining": invoice.amount - amount_paid,
        "amount_shipping": 0,
        "attempt_count": invoice.attempts,
        "attempted": invoice.attempts > 0 || paid,
        "auto_advance": !paid,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_reason": invoice.reason,
        "collection_method": "charge_automatically",
        "created": invoice.created.timestamp(),
        "currency": invoice.price.currency,
        "customer": invoice.customer,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": invoice.created.timestamp(),
        "invoice_pdf": hosted,
        "hosted_invoice_url": hosted,
        "issuer": { "type": "self" },
        "lines": list(&format!("/v1/invoices/{}/lines", invoice.id), vec![line(invoice, shape)], false),
        "livemode": false,
        "metadata": {},
        "next_payment_attempt": moment(invoice.next_attempt),
        "number": invoice.number,
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_end": invoice.period.end.timestamp(),
        "period_start": invoice.period.start.timestamp(),
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": invoice.status.name(),
        "subtotal": invoice.amount,
        "test_clock": null,
        "total": invoice.amount,
    });
    object["status_transitions"] = json!({
        "finalized_at": if invoice.status == InvoiceStatus::Draft { Value::Null } else { json!(invoice.created.timestamp()) },
        "marked_uncollectible_at": null,
        "paid_at": moment(invoice.paid_at),
        "voided_at": null,
    });
    if shape == Shape::Acacia {
        object["subscription"] = json!(invoice.subscription);
        object["paid"] = json!(paid);
        object["charge"] = if amount_paid > 0 { json!(invoice.charge) } else { Value::Null };
        object["payment_intent"] = if amount_paid > 0 { json!(invoice.payment_intent) } else { Value::Null };
    } else {
        object["parent"] = json!({
            "type": "subscription_details",
            "quote_details": null,
            "subscription_details": { "metadata": {}, "subscription": invoice.subscription },
        });
    }
    object
}

fn line(invoice: &Invoice, shape: Shape) -> Value {
    let mut line = json!({
        "id": format!("il_{}", invoice.id.trim_start_matches("in_")),
        "object": "line_item",
        "amount": invoice.amount,
        "currency": invoice.price.currency,
        "description": format!("{} × {}", invoice.quantity, invoice.price.product),
        "discountable": true,
        "discounts": [],
        "invoice": invoice.id,
        "livemode": false,
        "metadata": {},
        "period": { "start": invoice.period.start.timestamp(), "end": invoice.period.end.timestamp() },
        "quantity": invoice.quantity,
        "subtotal": invoice.amount,
    });
    if shape == Shape::Acacia {
        line["type"] = json!("subscription");
        line["subscription"] = json!(invoice.subscription);
        line["price"] = super::price(&invoice.price, invoice.created);
    } else {
        line["parent"] = json!({
            "type": "subscription_item_details",
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": false,
                "proration_details": null,
                "subscription": invoice.subscription,
                "subscription_item": "",
            },
        });
        line["pricing"] = json!({
            "type": "price_details",
            "price_details": { "price": invoice.price.id, "product": product_id(&invoice.price) },
            "unit_amount_decimal": invoice.price.amount.to_string(),
        });
    }
    line
}

/// The charge of a paid invoice. Since basil it does not name the invoice.
pub fn charge(invoice: &Invoice) -> Value {
    json!({
        "id": invoice.charge,
        "object": "charge",
        "amount": invoice.amount,
        "amount_captured": invoice.amount,
        "amount_refunded": invoice.refunded,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "captured": true,
        "created": invoice.created.timestamp(),
        "currency": invoice.price.currency,
        "customer": invoice.customer,
        "disputed": false,
        "livemode": false,
        "metadata": {},
        "paid": true,
        "payment_intent": invoice.payment_intent,
        "payment_method": null,
        "refunded": invoice.refunded >= invoice.amount,
        "status": "succeeded",
    })
}
