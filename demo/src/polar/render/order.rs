//! Orders, and the refunds of them.

use serde_json::{Value, json};

use super::subscription::in_order;
use super::{maybe, moment, product};
use crate::polar::books::Books;
use crate::polar::books::model::{Order, Refund};

pub fn order(order: &Order, books: &Books) -> Value {
    let customer = books.customers.get(&order.customer);
    let subscription = order.subscription.as_ref().and_then(|id| books.subscriptions.get(id));
    let mut object = json!({
        "id": order.id,
        "created_at": moment(order.created),
        "modified_at": maybe(order.modified),
        "status": order.status(),
        "paid": order.is_paid,
        "subtotal_amount": order.amount,
        "discount_amount": 0,
        "net_amount": order.amount,
        "tax_amount": 0,
        "total_amount": order.amount,
        "applied_balance_amount": 0,
        "due_amount": if order.is_paid { 0 } else { order.amount },
        "refunded_amount": order.refunded,
        "refunded_tax_amount": 0,
        "currency": order.product.currency,
        "billing_reason": order.reason,
        "billing_name": null,
        "billing_address": null,
        "invoice_number": format!("SIM-{:04}", order.number),
        "is_invoice_generated": false,
        "receipt_number": null,
        "seats": null,
        "customer_id": order.customer,
        "product_id": order.product.id,
        "discount_id": null,
        "subscription_id": order.subscription,
        "checkout_id": null,
        "next_payment_attempt_at": maybe(order.next_attempt),
        "metadata": subscription.map(|own| json!(own.metadata)).unwrap_or_else(|| json!({})),
        "custom_field_data": {},
        "platform_fee_amount": 0,
        "platform_fee_currency": null,
    });
    object["customer"] = customer.map_or(Value::Null, |customer| super::customer(customer, books));
    object["product"] = product::brief(&order.product, books);
    object["discount"] = Value::Null;
    object["subscription"] = subscription.map_or(Value::Null, in_order);
    object["items"] = json!([item(order)]);
    object["description"] = json!(order.product.name);
    object["refundable_amount"] = json!(if order.is_paid { order.amount - order.refunded } else { 0 });
    object["refundable_tax_amount"] = json!(0);
    object
}

fn item(order: &Order) -> Value {
    json!({
        "id": order.id,
        "created_at": moment(order.created),
        "modified_at": null,
        "label": order.product.name,
        "amount": order.amount,
        "tax_amount": 0,
        "proration": false,
        "product_price_id": order.product.price_id(),
    })
}

pub fn refund(refund: &Refund, books: &Books) -> Value {
    json!({
        "id": refund.id,
        "created_at": moment(refund.created),
        "modified_at": maybe(refund.modified),
        "metadata": {},
        "status": refund.status.name(),
        "reason": refund.reason.name(),
        "amount": refund.amount,
        "tax_amount": 0,
        "currency": refund.currency,
        "organization_id": books.organization(),
        "order_id": refund.order,
        "subscription_id": refund.subscription,
        "customer_id": refund.customer,
        "revoke_benefits": false,
        "dispute": null,
    })
}
