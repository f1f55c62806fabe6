//! Subscriptions, whose shape changed most.

use serde_json::{Value, json};

use super::price::{plan, price};
use super::{View, inner_list, moment};
use crate::provider::books::model::{BillingMode, Ending, Item, Subscription};
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
        "currency": subscription.items.first().price.currency,
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
        "livemode": view.livemode,
        "metadata": subscription.metadata,
        "next_pending_invoice_item_invoice": null,
        "pause_collection": subscription
            .paused
            .map(|pause| json!({ "behavior": pause.behavior.name(), "resumes_at": moment(pause.resumes_at) })),
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": subscription.schedule,
        "start_date": subscription.created.timestamp(),
        "status": subscription.status.name(),
        "test_clock": null,
        "trial_end": moment(subscription.trial.map(|trial| trial.end)),
        "trial_settings": { "end_behavior": { "missing_payment_method": subscription.trial_end.name() } },
        "trial_start": moment(subscription.trial.map(|trial| trial.start)),
    });
    if shape < Shape::Basil {
        object["current_period_start"] = json!(subscription.period.start.timestamp());
        object["current_period_end"] = json!(subscription.period.end.timestamp());
    }
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    object["items"] = inner_list(&url, items(subscription, view));
    add_generation(&mut object, subscription, view);
    object
}

/// Every item. Since basil the period is theirs.
pub fn items(subscription: &Subscription, view: &View) -> Vec<Value> {
    let (start, end) = (subscription.period.start.timestamp(), subscription.period.end.timestamp());
    let shown = subscription.items.iter().map(|own| {
        let mut shown = item(own, subscription, view);
        if view.shape >= Shape::Basil {
            shown["current_period_start"] = json!(start);
            shown["current_period_end"] = json!(end);
        }
        shown
    });
    shown.collect()
}

/// Fields that only some generations have.
fn add_generation(object: &mut Value, subscription: &Subscription, view: &View) {
    let first = subscription.items.first();
    if view.shape < Shape::Basil {
        object["discount"] = Value::Null;
        // Of one item only: with several there is no one plan.
        let single = subscription.items.len() == 1;
        object["plan"] = if single { plan(&first.price, first.created, view) } else { Value::Null };
        object["quantity"] = if single { json!(first.quantity) } else { Value::Null };
    } else {
        object["billing_mode"] = billing_mode(subscription.billing);
    }
    if view.shape == Shape::Old2020 {
        object["tax_percent"] = Value::Null;
        object["start"] = json!(subscription.period.start.timestamp());
    }
    if view.shape >= Shape::Endive {
        object["billing_schedules"] = json!([]);
        object["customer_account"] = Value::Null;
    }
}

fn billing_mode(mode: BillingMode) -> Value {
    match mode {
        BillingMode::Classic => json!({ "type": "classic", "flexible": null }),
        BillingMode::Flexible => json!({ "type": "flexible", "flexible": { "proration_discounts": "included" } }),
    }
}

fn item(own: &Item, subscription: &Subscription, view: &View) -> Value {
    json!({
        "id": own.id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": own.created.timestamp(),
        "discounts": [],
        "metadata": {},
        "plan": plan(&own.price, own.created, view),
        "price": price(&own.price, own.created, view),
        "quantity": (!own.price.metered).then_some(own.quantity),
        "subscription": subscription.id,
        "tax_rates": [],
    })
}
