//! A Stripe subscription in our words, whatever the version of the API that shaped it.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::subscription::{self, State, Subscription, SubscriptionId};
use serde_json::Value;

use super::interpret::Told;
use super::payload::{self, Item, Moment, Name, Reference};
use crate::provider::Unreadable;
use crate::provider::text::unreadable_moment;

/// Reads a subscription as it stood at one moment.
pub fn read(object: Value, told: &Told<'_>) -> Result<Subscription, Unreadable> {
    let seen: payload::Subscription = super::interpret::parsed(object)?;
    let period = Period::of(&seen);
    let state = state(&seen, &period, told)?;
    let scheduled = match (seen.cancel_at, seen.cancel_at_period_end) {
        (Some(Moment(at)), _) => Some(at),
        (None, Some(true)) => period.end,
        (None, _) => None,
    };
    let started_at = seen.start_date.or(seen.created).map_or(told.at, |Moment(at)| at);
    let first_due = match state {
        State::Incomplete => period.start.or(Some(started_at)),
        _ => seen.trial_end.map(|Moment(at)| at),
    };
    Ok(Subscription {
        id: SubscriptionId { provider: Provider::Stripe, id: seen.id.0.clone() },
        customer: seen.customer.clone().into_id(),
        started_at: started_at.min(told.received_at),
        state,
        collection_paused: seen.pause_collection.as_ref().is_some_and(|pause| !pause.is_null()),
        resumes_at: seen.resumes_at(),
        cancel_at: scheduled.filter(|_| !matches!(state, State::Ended { .. })),
        period_start: period.start,
        first_due,
        as_of: told.at,
        before: None,
        items: items(&seen),
        prices: prices(seen),
    })
}

/// How the subscription stood before an event: the object with what `previous_attributes` says was different.
/// `None` when it does not say, or says what cannot be read: then it proves nothing.
pub fn read_before(object: &Value, previous: &Value, told: &Told<'_>) -> Option<Subscription> {
    let mut before = object.clone();
    overlay(&mut before, previous);
    if unclear(&before).is_some() {
        return None;
    }
    read(before, told).ok().filter(|before| before.state != State::Unknown)
}

/// The field that access depends on and that is there, but cannot be read: then the subscription's own word says too little.
pub fn unclear(object: &Value) -> Option<&'static str> {
    let of_all: &[_] = match object["status"].as_str()? {
        "trialing" => &["trial_end", "current_period_end", "cancel_at"],
        "active" | "past_due" => &["current_period_end", "cancel_at"],
        _ => return None,
    };
    let items = object["items"]["data"].as_array().into_iter().flatten();
    let of_item = |item: &Value| unreadable_moment(item, &["current_period_end"]);
    unreadable_moment(object, of_all).or_else(|| items.filter_map(of_item).next())
}

fn overlay(object: &mut Value, previous: &Value) {
    match (object, previous) {
        (Value::Object(object), Value::Object(previous)) => {
            for (key, value) in previous {
                overlay(object.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (object, previous) => *object = previous.clone(),
    }
}

/// Only what is listed here is known (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>).
fn state(seen: &payload::Subscription, period: &Period, told: &Told<'_>) -> Result<State, Unreadable> {
    let happened = |at: Option<Moment>| at.map_or(told.at, |Moment(at)| at).min(told.received_at);
    let state = match seen.status.as_str() {
        "incomplete" => State::Incomplete,
        "canceled" | "incomplete_expired" => State::Ended { at: happened(seen.ended_at.or(seen.canceled_at)) },
        "unpaid" => State::Unpaid,
        "paused" => State::Paused,
        "trialing" => {
            let ends_at = seen.trial_end.map(|Moment(at)| at).or(period.end);
            State::Trialing { ends_at: ends_at.ok_or_else(|| Unreadable("a trial without an end".into()))? }
        }
        "active" => State::Active { paid_until: period.end },
        // A bill that was sent is overdue from its day on. What is taken from a bank can come back many days after the bill was
        // made, so its date says nothing.
        "past_due" => State::PastDue { since: happened(seen.latest_invoice.as_ref().and_then(payload::Bill::due_at)) },
        _ => State::Unknown,
    };
    Ok(state)
}

/// The billing period: the subscription's own, or the latest of its items'.
struct Period {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Period {
    fn of(seen: &payload::Subscription) -> Self {
        let latest = |own: Option<Moment>, of_item: fn(&Item) -> Option<Moment>| {
            let items = seen.items.iter().flat_map(|items| &items.data);
            own.map(|Moment(at)| at).or_else(|| items.filter_map(of_item).map(|Moment(at)| at).max())
        };
        Self {
            start: latest(seen.current_period_start, |item| item.current_period_start),
            end: latest(seen.current_period_end, |item| item.current_period_end),
        }
    }
}

/// The items with their periods, sorted, so that their order in the event says nothing.
fn items(seen: &payload::Subscription) -> Vec<subscription::Item> {
    let moment = |own: Option<Moment>, of_all: Option<Moment>| own.or(of_all).map(|Moment(at)| at);
    let read = |item: &Item| {
        let price = item.price.clone().or_else(|| item.plan.clone())?.into_id();
        Some(subscription::Item {
            id: item.id.clone().map(|Name(id)| id),
            price,
            from: moment(item.current_period_start, seen.current_period_start),
            until: moment(item.current_period_end, seen.current_period_end),
        })
    };
    let items = seen.items.iter().flat_map(|items| &items.data);
    let mut items: Vec<_> = items.filter_map(read).collect();
    if let (true, Some(plan)) = (items.is_empty(), seen.plan.clone()) {
        let (from, until) = (moment(None, seen.current_period_start), moment(None, seen.current_period_end));
        items.push(subscription::Item { id: None, price: plan.into_id(), from, until });
    }
    items.sort();
    items.dedup();
    items
}

/// Sorted, so that their order in the event says nothing.
fn prices(seen: payload::Subscription) -> Vec<String> {
    let items = seen.items.map(|items| items.data).unwrap_or_default();
    let mut prices: Vec<String> =
        items.into_iter().filter_map(|item| item.price.or(item.plan)).map(Reference::into_id).collect();
    if prices.is_empty() {
        prices.extend(seen.plan.map(Reference::into_id));
    }
    prices.sort();
    prices.dedup();
    prices
}
