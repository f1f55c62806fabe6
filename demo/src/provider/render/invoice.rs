//! Invoices, whose link to their subscription moved.

use serde_json::{Value, json};

use super::price::{plan, product_id};
use super::{View, inner_list, moment};
use crate::provider::books::Books;
use crate::provider::books::model::{Invoice, InvoiceStatus, Line, Outcome, Source};
use crate::provider::settings::Shape;

pub fn invoice(invoice: &Invoice, view: &View) -> Value {
    let paid = invoice.status == InvoiceStatus::Paid;
    let amount_paid = if paid { invoice.amount } else { 0 };
    let hosted = (invoice.status != InvoiceStatus::Draft).then(|| format!("{}/invoice/{}", view.base_url, invoice.id));
    let mut object = json!({
        "id": invoice.id,
        "object": "invoice",
        "account_country": "GB",
        "account_name": "The simulated provider",
        "amount_due": invoice.amount.max(0),
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
        "currency": invoice.currency,
        "customer": invoice.customer,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": invoice.created.timestamp(),
        "invoice_pdf": hosted,
        "hosted_invoice_url": hosted,
        "issuer": { "type": "self" },
        "lines": inner_list(&format!("/v1/invoices/{}/lines", invoice.id), lines(invoice, view)),
        "livemode": view.livemode,
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
    add_links(&mut object, invoice, view.shape);
    object
}

/// Before basil an invoice names its subscription, charge and payment intent; since then only its subscription, deeper.
fn add_links(object: &mut Value, invoice: &Invoice, shape: Shape) {
    if shape < Shape::Basil {
        object["subscription"] = json!(invoice.subscription);
        object["subscription_details"] = json!({ "metadata": invoice.subscription_metadata });
        object["paid"] = json!(invoice.status == InvoiceStatus::Paid);
        object["charge"] = json!(invoice.charge);
        object["payment_intent"] = if invoice.has_payment() { json!(invoice.payment_intent) } else { Value::Null };
    } else if let Some(subscription) = &invoice.subscription {
        object["parent"] = json!({
            "type": "subscription_details",
            "quote_details": null,
            "subscription_details": { "metadata": invoice.subscription_metadata, "subscription": subscription },
        });
    } else {
        object["parent"] = Value::Null;
    }
    if shape == Shape::Old2020 {
        object["tax"] = Value::Null;
        object["total_tax_amounts"] = json!([]);
    }
}

/// Every line of an invoice.
pub fn lines(invoice: &Invoice, view: &View) -> Vec<Value> {
    invoice.lines.iter().enumerate().map(|(place, own)| line(invoice, own, place, view)).collect()
}

fn line(invoice: &Invoice, own: &Line, place: usize, view: &View) -> Value {
    let mut line = json!({
        "id": format!("il_{}{place}", invoice.id.trim_start_matches("in_")),
        "object": "line_item",
        "amount": own.amount,
        "currency": invoice.currency,
        "description": own.description,
        "discountable": true,
        "discounts": [],
        "invoice": invoice.id,
        "livemode": view.livemode,
        "metadata": {},
        "period": { "start": invoice.period.start.timestamp(), "end": invoice.period.end.timestamp() },
        "quantity": own.quantity,
        "subscription": invoice.subscription,
    });
    if view.shape >= Shape::Endive {
        line["subtotal"] = json!(own.amount);
    }
    let (item, price, proration) = match &own.source {
        Source::Period { item, price } => (item, price, false),
        Source::Proration { item, price } => (item, price, true),
        Source::Single => {
            line["parent"] = Value::Null;
            line["pricing"] = Value::Null;
            return line;
        }
    };
    if view.shape < Shape::Basil {
        line["type"] = json!("subscription");
        line["subscription_item"] = json!(item);
        line["proration"] = json!(proration);
        line["price"] = super::price(price, invoice.created, view);
        line["plan"] = plan(price, invoice.created, view);
        return line;
    }
    line["parent"] = json!({
        "type": "subscription_item_details",
        "invoice_item_details": null,
        "subscription_item_details": {
            "invoice_item": null,
            "proration": proration,
            "proration_details": null,
            "subscription": invoice.subscription,
            "subscription_item": item,
        },
    });
    line["pricing"] = json!({
        "type": "price_details",
        "price_details": { "price": price.id, "product": product_id(price) },
        "unit_amount_decimal": price.amount.to_string(),
    });
    line
}

/// Whether the money of an invoice is on its way.
pub(super) fn is_processing(invoice: &Invoice, books: &Books) -> bool {
    let latest = invoice.charge.as_ref().and_then(|charge| books.charges.get(charge));
    latest.is_some_and(|charge| charge.outcome == Outcome::Pending)
}
