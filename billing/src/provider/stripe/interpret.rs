//! A Stripe event in our words.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::{Change, Claim, Event};
use entitlement::subscription::{State, Subscription, SubscriptionId};
use serde::de::DeserializeOwned;

use super::payload::{self, Item, Metadata, Moment, Notice, Reference};
use crate::provider::Unreadable;

/// What stands around an object.
struct Told<'a> {
    /// Stripe's clock when the event was made.
    at: Timestamp,
    /// Ours when it arrived. Stripe's test clocks run ahead of everybody's.
    received_at: Timestamp,
    metadata_key: &'a str,
}

/// Says what an event means. `metadata_key` is the key of `metadata` under which the site names the account.
///
/// # Errors
/// When a part that is needed is absent or not of its type.
pub fn interpret(body: &[u8], received_at: Timestamp, metadata_key: &str) -> Result<Event, Unreadable> {
    let notice: Notice = serde_json::from_slice(body).map_err(|e| Unreadable(e.to_string()))?;
    let Some(object) = notice.data.and_then(|data| data.object) else {
        return Ok(nothing(None, "the event carries no object"));
    };
    let told = Told { at: notice.created.at(), received_at, metadata_key };
    match notice.kind.as_str() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => Ok(checkout(read(object)?, &told)),
        "customer.created" | "customer.updated" => Ok(customer(read(object)?, &told)),
        "customer.subscription.deleted" => {
            let seen: payload::Subscription = read(object)?;
            subscription(payload::Subscription { status: "canceled".into(), ..seen }, &told)
        }
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "customer.subscription.trial_will_end"
        | "customer.subscription.pending_update_applied"
        | "customer.subscription.pending_update_expired" => subscription(read(object)?, &told),
        _ => {
            let customer = object.get("customer").cloned().and_then(|it| serde_json::from_value(it).ok());
            let customer = customer.map(Reference::into_id);
            Ok(nothing(customer, "Tollgate does not act on events of this type"))
        }
    }
}

fn read<T: DeserializeOwned>(object: serde_json::Value) -> Result<T, Unreadable> {
    serde_json::from_value(object).map_err(|e| Unreadable(e.to_string()))
}

const fn nothing(customer: Option<String>, why: &'static str) -> Event {
    Event { customer, claim: None, change: Change::Nothing(why) }
}

/// A completed checkout links its customer and names what it bought. It grants nothing: what was bought, and whether it
/// is paid for, is for the subscription to say.
fn checkout(session: payload::Session, told: &Told<'_>) -> Event {
    let Some(customer) = session.customer.map(Reference::into_id) else {
        return nothing(None, "the checkout has no customer");
    };
    let stated_at = session.created.map_or(told.at, |Moment(at)| at);
    let reference = session.client_reference_id.as_deref().and_then(|id| AccountId::parse(id).ok());
    let reference = reference.map(|account| Claim::Reference { account, stated_at });
    let Some(claim) = reference.or_else(|| metadata_claim(session.metadata.as_ref(), told)) else {
        return nothing(Some(customer), "the checkout names no account");
    };
    let subscription = session.subscription.map(Reference::into_id);
    Event { customer: Some(customer), claim: Some(claim), change: Change::Linked { subscription } }
}

fn customer(customer: payload::Customer, told: &Told<'_>) -> Event {
    let claim = metadata_claim(customer.metadata.as_ref(), told);
    let customer = Some(customer.id.0);
    match claim {
        Some(_) => Event { customer, claim, change: Change::Linked { subscription: None } },
        None => nothing(customer, "the customer's metadata names no account"),
    }
}

fn metadata_claim(metadata: Option<&Metadata>, told: &Told<'_>) -> Option<Claim> {
    let named = metadata?.get(told.metadata_key)?.as_str()?;
    AccountId::parse(named).ok().map(Claim::Metadata)
}

fn subscription(seen: payload::Subscription, told: &Told<'_>) -> Result<Event, Unreadable> {
    let claim = metadata_claim(seen.metadata.as_ref(), told);
    let customer = seen.customer.clone().into_id();
    let period = Period::of(&seen);
    let Some(state) = state(&seen, &period, told)? else {
        return Ok(nothing(Some(customer), "the subscription has a status that Tollgate does not know"));
    };
    let scheduled = match (seen.cancel_at, seen.cancel_at_period_end) {
        (Some(Moment(at)), _) => Some(at),
        (None, Some(true)) => period.end,
        (None, _) => None,
    };
    let started_at = seen.start_date.or(seen.created).map_or(told.at, |Moment(at)| at);
    let subscription = Subscription {
        id: SubscriptionId { provider: Provider::Stripe, id: seen.id.0.clone() },
        customer: customer.clone(),
        prices: prices(seen),
        started_at: started_at.min(told.received_at),
        state,
        cancel_at: scheduled.filter(|_| !matches!(state, State::Ended { .. })),
        period_start: period.start,
        as_of: told.at,
    };
    Ok(Event { customer: Some(customer), claim, change: Change::Subscription(Box::new(subscription)) })
}

/// Only what is listed here is known (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>).
fn state(seen: &payload::Subscription, period: &Period, told: &Told<'_>) -> Result<Option<State>, Unreadable> {
    let happened = |at: Option<Moment>| at.map_or(told.at, |Moment(at)| at).min(told.received_at);
    let paused = seen.pause_collection.as_ref().is_some_and(|pause| !pause.is_null());
    let state = match seen.status.as_str() {
        "incomplete" => State::Incomplete,
        "canceled" | "incomplete_expired" => State::Ended { at: happened(seen.ended_at.or(seen.canceled_at)) },
        "unpaid" => State::Unpaid,
        "paused" => State::Paused,
        "trialing" | "active" | "past_due" if paused => State::Paused,
        "trialing" => {
            let ends_at = seen.trial_end.map(|Moment(at)| at).or(period.end);
            State::Trialing { ends_at: ends_at.ok_or_else(|| Unreadable("a trial without an end".into()))? }
        }
        "active" => State::Active { paid_until: period.end },
        "past_due" => State::PastDue { since: happened(None) },
        _ => return Ok(None),
    };
    Ok(Some(state))
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
