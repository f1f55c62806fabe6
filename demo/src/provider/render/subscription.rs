//! Subscriptions, whose shape changed most.

use serde_json::{Value, json};

use super::price::{plan, price};
use super::{View, list, moment};
use crate::provider::books::model::{BillingMode, Ending, Subscription};
use crate::provider::settings::Shape;

pub fn subscription(subscription: &Subscription, view: &View) -> Value {
    let shape = view.shape;
    let cancel_at = subscription.ending.map(|ending| match ending {
        Ending::PeriodEnd => subscription.period.end,
        Ending::At(moment) => moment,
    });
    let mut object = json!({
        "id": subscription.id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": subscription.anchor.timestamp(),
        "billing_cycle_anchor_config": null,
        "cancel_at": moment(cancel_at),
        "cancel_at_period_end": subscription.ending == Some(Ending::PeriodEnd),
        "canceled_at": moment(subscription.canceled_at),
        "cancellation_details": { "comment": null, "feedback": null, "reason": subscription.cancel_reason },
        "collection_method": "charge_automatically",
        "created": subscription.created.timestamp(),
        "currency": subscription.price.currency,
        "customer": subscription.customer,
        "days_until_due": null,
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": moment(subscription.ended_at),
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "latest_invoice": subscription.latest_invoice,
        "livemode": false,
        "metadata": subscription.metadata,
        "next_pending_invoice_item_invoice": null,
        "pause_collection":
            subscription.paused.as_ref().map(|behavior| json!({ "behavior": behavior, "resumes_at": null })),
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": subscription.created.timestamp(),
        "status": subscription.status.name(),
        "test_clock": null,
        "trial_end": moment(subscription.trial.map(|trial| trial.end)),
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "trial_start": moment(subscription.trial.map(|trial| trial.start)),
    });
    let mut item = item(subscription);
    let (start, end) = (subscription.period.start.timestamp(), subscription.period.end.timestamp());
    let period_owner = if shape == Shape::Acacia { &mut object } else { &mut item };
    period_owner["current_period_start"] = json!(start);
    period_owner["current_period_end"] = json!(end);
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    object["items"] = list(&url, vec![item], false);
    add_generation(&mut object, subscription, shape);
    object
}

/// Fields that only some generations have.
fn add_generation(object: &mut Value, subscription: &Subscription, shape: Shape) {
    match shape {
        Shape::Acacia => {
            object["discount"] = Value::Null;
            object["plan"] = plan(&subscription.price, subscription.created);
            object["quantity"] = json!(subscription.quantity);
        }
        Shape::Basil => object["billing_mode"] = billing_mode(subscription.billing),
        Shape::Endive => {
            object["billing_mode"] = billing_mode(subscription.billing);
            object["billing_schedules"] = json!([]);
            object["customer_account"] = Value::Null;
        }
    }
}

fn billing_mode(mode: BillingMode) -> Value {
    match mode {
        BillingMode::Classic => json!({ "type": "classic", "flexible": null }),
        BillingMode::Flexible => json!({ "type": "flexible", "flexible": { "proration_discounts": "included" } }),
    }
}

fn item(subscription: &Subscription) -> Value {
    json!({
        "id": subscription.item,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": subscription.created.timestamp(),
        "discounts": [],
        "metadata": {},
        "plan": plan(&subscription.price, subscription.created),
        "price": price(&subscription.price, subscription.created),
        "quantity": subscription.quantity,
        "subscription": subscription.id,
        "tax_rates": [],
    })
}
