//! A Polar subscription in our words.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::subscription::{Item, State, Subscription, SubscriptionId};
use serde_json::Value;

use super::interpret::Told;
use super::payload::{self, Moment, Name};
use crate::provider::Unreadable;
use crate::provider::text::unreadable_moment;

/// Reads a subscription of `customer` as it stood at one moment.
pub fn read(seen: &payload::Subscription, customer: &Name, told: &Told<'_>) -> Result<Subscription, Unreadable> {
    // Every change of an object sets this date, to the microsecond; the event may be made a good while later.
    let as_of = seen.modified_at.or(seen.created_at).map_or(told.at, |Moment(at)| at);
    let state = state(seen, as_of, told)?;
    let period_end = seen.current_period_end.filter(|_| seen.cancel_at_period_end == Some(true));
    let scheduled = seen.ends_at.or(period_end).map(|Moment(at)| at);
    let started_at = seen.started_at.or(seen.created_at).map_or(told.at, |Moment(at)| at);
    Ok(Subscription {
        id: SubscriptionId { provider: Provider::Polar, id: seen.id.0.clone() },
        customer: customer.0.clone(),
        prices: vec![seen.product_id.0.clone()],
        items: vec![Item {
            id: None,
            price: seen.product_id.0.clone(),
            from: seen.current_period_start.map(|Moment(at)| at),
            until: seen.current_period_end.map(|Moment(at)| at),
        }],
        started_at: started_at.min(told.received_at),
        state,
        // Polar has a status for it.
        collection_paused: false,
        resumes_at: None,
        cancel_at: scheduled.filter(|_| !matches!(state, State::Ended { .. })),
        period_start: seen.current_period_start.map(|Moment(at)| at),
        first_due: match state {
            State::Incomplete => seen.current_period_start.map(|Moment(at)| at).or(Some(started_at)),
            _ => seen.trial_end.map(|Moment(at)| at),
        },
        as_of,
        before: None,
    })
}

/// The field that access, or its order, depends on and that is there, but cannot be read: then the subscription's own word says too
/// little.
pub fn unclear(object: &Value) -> Option<&'static str> {
    match object["status"].as_str()? {
        "trialing" => unreadable_moment(object, &["trial_end", "current_period_end", "ends_at", "modified_at"]),
        "active" | "past_due" => unreadable_moment(object, &["current_period_end", "ends_at", "modified_at"]),
        _ => None,
    }
}

/// Only what is listed here is known. The type of the event says nothing: `subscription.updated` is sent for everything,
/// and before the others (<https://polar.sh/docs/integrate/webhooks/events>).
fn state(seen: &payload::Subscription, as_of: Timestamp, told: &Told<'_>) -> Result<State, Unreadable> {
    let happened = |at: Option<Moment>| at.map_or(as_of, |Moment(at)| at).min(told.received_at);
    let state = match seen.status.as_str() {
        "incomplete" => State::Incomplete,
        "trialing" => {
            let ends_at = seen.trial_end.or(seen.current_period_end);
            let Moment(ends_at) = ends_at.ok_or_else(|| Unreadable("a trial without an end".into()))?;
            State::Trialing { ends_at }
        }
        "active" => State::Active { paid_until: seen.current_period_end.map(|Moment(at)| at) },
        "past_due" => State::PastDue { since: happened(seen.past_due_at) },
        "paused" => State::Paused,
        // `canceled_at` is when somebody asked for it, which can be long before.
        "canceled" | "incomplete_expired" => State::Ended { at: happened(seen.ended_at.or(seen.ends_at)) },
        "unpaid" if seen.ended_at.is_some() => State::Ended { at: happened(seen.ended_at) },
        "unpaid" => State::Unpaid,
        _ => State::Unknown,
    };
    Ok(state)
}
