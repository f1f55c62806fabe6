//! How an invoice was paid: the charge, the payment intent, and what links them to it.

use serde_json::{Value, json};

use super::invoice::is_processing;
use super::{View, inner_list, moment};
use crate::provider::books::Books;
use crate::provider::books::model::{Charge, Invoice, InvoiceStatus, Outcome};
use crate::provider::settings::Shape;

/// A charge. Since basil it does not name its invoice; before 2022-11-15 it carried its refunds
/// (<https://docs.stripe.com/upgrades>).
pub fn charge(charge: &Charge, books: &Books, view: &View) -> Value {
    let failed = charge.outcome == Outcome::Failed;
    let mut object = json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": if failed { 0 } else { charge.amount },
        "amount_refunded": charge.refunded,
        "balance_transaction": null,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "captured": charge.outcome == Outcome::Succeeded,
        "created": charge.created.timestamp(),
        "currency": charge.currency,
        "customer": charge.customer,
        "description": "Subscription update",
        "disputed": charge.dispute.is_some(),
        "failure_code": failed.then_some("card_declined"),
        "failure_message": failed.then_some("Your card was declined."),
        "livemode": view.livemode,
        "metadata": {},
        "paid": charge.outcome == Outcome::Succeeded,
        "payment_intent": charge.payment_intent,
        "payment_method": null,
        "refunded": charge.refunded >= charge.amount,
        "status": charge.outcome.name(),
    });
    if view.shape < Shape::Basil {
        object["invoice"] = json!(charge.invoice);
    }
    if view.shape == Shape::Old2020 {
        object["refunds"] = refunds_of(charge, books, view);
    }
    object
}

/// The refunds of a charge, newest first.
pub fn refunds_of(charge: &Charge, books: &Books, view: &View) -> Value {
    let refunds = charge.refunds.iter().rev().filter_map(|refund| books.refunds.get(refund));
    let refunds: Vec<Value> = refunds.map(|refund| super::refund(refund, view)).collect();
    let count = refunds.len();
    let mut list = inner_list(&format!("/v1/charges/{}/refunds", charge.id), refunds);
    list["total_count"] = json!(count);
    list
}

/// Everything that was tried to collect one invoice.
pub fn payment_intent(invoice: &Invoice, books: &Books, view: &View) -> Value {
    let failed = invoice.charge.as_ref().and_then(|charge| books.charges.get(charge));
    let failed = failed.is_some_and(|charge| charge.outcome == Outcome::Failed);
    let status = match invoice.status {
        InvoiceStatus::Paid => "succeeded",
        InvoiceStatus::Void => "canceled",
        _ if is_processing(invoice, books) => "processing",
        _ => "requires_payment_method",
    };
    let mut object = json!({
        "id": invoice.payment_intent,
        "object": "payment_intent",
        "amount": invoice.amount,
        "amount_capturable": 0,
        "amount_received": if invoice.status == InvoiceStatus::Paid { invoice.amount } else { 0 },
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic",
        "client_secret": null,
        "confirmation_method": "automatic",
        "created": invoice.created.timestamp(),
        "currency": invoice.currency,
        "customer": invoice.customer,
        "description": null,
        "last_payment_error": null,
        "latest_charge": invoice.charge,
        "livemode": view.livemode,
        "metadata": {},
        "next_action": null,
        "payment_method": null,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "setup_future_usage": "off_session",
        "status": status,
    });
    if failed && invoice.status != InvoiceStatus::Paid {
        object["last_payment_error"] = json!({
            "type": "card_error",
            "code": "card_declined",
            "message": "Your card was declined.",
        });
    }
    if view.shape < Shape::Basil {
        object["invoice"] = json!(invoice.id);
    }
    if view.shape == Shape::Old2020 {
        let charges = invoice.charge.as_ref().and_then(|charge| books.charges.get(charge));
        let charges = charges.map(|own| charge(own, books, view)).into_iter().collect();
        object["charges"] = inner_list(&format!("/v1/charges?payment_intent={}", invoice.payment_intent), charges);
    }
    object
}

/// What links an invoice to its payment intent since basil
/// (<https://docs.stripe.com/api/invoice-payment/object>).
pub fn invoice_payment(invoice: &Invoice, view: &View) -> Value {
    let status = match invoice.status {
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Void => "canceled",
        _ => "open",
    };
    let paid = invoice.status == InvoiceStatus::Paid;
    json!({
        "id": invoice.payment,
        "object": "invoice_payment",
        "amount_paid": paid.then_some(invoice.amount),
        "amount_requested": invoice.amount,
        "created": invoice.created.timestamp(),
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": true,
        "livemode": view.livemode,
        "payment": { "type": "payment_intent", "payment_intent": invoice.payment_intent },
        "status": status,
        "status_transitions": { "canceled_at": null, "paid_at": moment(invoice.paid_at) },
    })
}
