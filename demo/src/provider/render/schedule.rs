//! Subscription schedules (<https://docs.stripe.com/api/subscription_schedules/object>).

use serde_json::{Value, json};

use super::{View, moment};
use crate::Timestamp;
use crate::provider::books::model::{Phase, Schedule, ScheduleStatus};

pub fn schedule(schedule: &Schedule, now: Timestamp, view: &View) -> Value {
    let is = |status| schedule.status == status;
    let over = |status| moment(schedule.over_at.filter(|_| is(status)));
    let [first, last] = &schedule.phases;
    let phase = if last.period.start <= now { last } else { first };
    let dates = json!({ "start_date": phase.period.start.timestamp(), "end_date": phase.period.end.timestamp() });
    let is_attached = !is(ScheduleStatus::Released);
    json!({
        "id": schedule.id,
        "object": "subscription_schedule",
        "application": null,
        "canceled_at": over(ScheduleStatus::Canceled),
        "completed_at": over(ScheduleStatus::Completed),
        "created": schedule.created.timestamp(),
        "current_phase": is(ScheduleStatus::Active).then_some(dates),
        "customer": schedule.customer,
        "end_behavior": schedule.end_behavior.name(),
        "livemode": view.livemode,
        "metadata": {},
        "phases": schedule.phases.iter().map(shown).collect::<Vec<_>>(),
        "released_at": over(ScheduleStatus::Released),
        "released_subscription": (!is_attached).then_some(&schedule.subscription),
        "renewal_interval": null,
        "status": schedule.status.name(),
        "subscription": is_attached.then_some(&schedule.subscription),
        "test_clock": null,
    })
}

fn shown(phase: &Phase) -> Value {
    json!({
        "add_invoice_items": [],
        "currency": phase.price.currency,
        "end_date": phase.period.end.timestamp(),
        "items": [{ "metadata": {}, "plan": phase.price.id, "price": phase.price.id, "quantity": phase.quantity, "tax_rates": [] }],
        "metadata": {},
        "proration_behavior": "create_prorations",
        "start_date": phase.period.start.timestamp(),
        "trial_end": null,
    })
}
