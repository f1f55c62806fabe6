//! A Polar event in our words: what it states, and what Polar can be asked for to know how that stands now.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Event, Fact, Object};
use entitlement::subscription::{State, Subscription};
use serde::Deserialize;
use serde_json::Value;

use super::money::{self, Bill};
use super::payload::{self, Customer, Metadata, Moment, Name, Notice};
use super::subscription;
use crate::provider::text::{mended, named as named_by, unreadable_moment};
use crate::provider::{UNKNOWN_STATUS, Unreadable};

/// What stands around an object.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Polar's clock when the event was made.
    pub at: Timestamp,
    /// Ours when it arrived.
    pub received_at: Timestamp,
    /// The key of `metadata` under which the site names the account.
    pub metadata_key: &'a str,
}

/// Says what an event means. `metadata_key` is the key of `metadata` under which the site names the account.
///
/// # Errors
/// When a part that is needed is absent or not of its type.
pub fn interpret(body: &[u8], received_at: Timestamp, metadata_key: &str) -> Result<Event, Unreadable> {
    let body = mended(body);
    let mut body = serde_json::Deserializer::from_str(&body);
    let notice: Notice = serde_path_to_error::deserialize(&mut body).map_err(|error| Unreadable::at(&error))?;
    let Some(object) = notice.data else { return Ok(Event::nothing(None, "the event carries no object")) };
    let told = Told { at: notice.timestamp.0, received_at, metadata_key };
    let event = of_kind(&notice.kind, &object, &told)?;
    Ok(Event { at: Some(told.at), ..event })
}

fn of_kind(kind: &str, object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    match kind {
        "subscription.created"
        | "subscription.updated"
        | "subscription.active"
        | "subscription.canceled"
        | "subscription.uncanceled"
        | "subscription.cycled"
        | "subscription.past_due"
        | "subscription.paused"
        | "subscription.resumed" => match subscription::unclear(object) {
            None if customer_of(object).is_some() => subscription(object, told),
            _ => unclear(object, told),
        },
        // This alone says by its type what the status may not say yet: access is over for good.
        "subscription.revoked" if customer_of(object).is_some() => revoked(object, told),
        "subscription.revoked" => unclear(object, told),
        "customer.created" | "customer.updated" => customer(object, told),
        "customer.deleted" => customer_gone(object, told),
        "customer.state_changed" => state(object, told),
        "order.created" | "order.updated" | "order.paid" | "order.refunded" => order(object, told),
        "refund.created" | "refund.updated" => refund(object, told),
        _ => Ok(Event {
            claim: named_by_site(object, told),
            ..Event::nothing(named_customer(object), "Tollgate does not act on events of this type")
        }),
    }
}

/// The account that an object names of which nothing is learnt, as an open checkout does before it has a customer: its events are that
/// account's.
fn named_by_site(object: &Value, told: &Told<'_>) -> Option<Claim> {
    let external_id =
        ["external_customer_id", "customer_external_id"].iter().find_map(|name| object.get(*name)?.as_str());
    let reference = external_id.and_then(|id| AccountId::parse(id).ok()).map(Claim::Metadata);
    let metadata = |name: &str| object.get(name)?.as_object().cloned();
    let customer = object.get("customer").and_then(|customer| Customer::deserialize(customer).ok());
    reference
        .or_else(|| claim(customer.as_ref(), metadata("metadata").as_ref(), told))
        .or_else(|| claim(None, metadata("customer_metadata").as_ref(), told))
}

/// A subscription, with whose customer it is.
pub fn subscription(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let mut seen: payload::Subscription = parsed(object)?;
    let customer = customer_of(object).ok_or_else(|| Unreadable("a subscription without a customer".into()))?;
    if let Some(field) = subscription::unclear(object) {
        return Err(Unreadable(format!("{field} is not a moment")));
    }
    if seen.modified_at.is_none() && unreadable_moment(object, &["modified_at"]).is_some() {
        seen.modified_at = Some(Moment(told.at));
    }
    let known = subscription::read(&seen, &customer, told)?;
    let nothing = if known.state == State::Unknown { UNKNOWN_STATUS } else { "" };
    Ok(Event {
        customer: Some(customer.0),
        claim: claim(seen.customer.as_ref(), seen.metadata.as_ref(), told),
        objects: vec![Object::Subscription(known.id.id.clone())],
        facts: vec![Fact::Subscription(Box::new(known))],
        nothing,
        ..Event::default()
    })
}

/// A subscription whose own word says too little: how it stands, or whose it is, is for its provider to say.
fn unclear(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let seen: payload::Subscription = parsed(object)?;
    let claim = claim(seen.customer.as_ref(), seen.metadata.as_ref(), told);
    let objects = vec![Object::Subscription(seen.id.0)];
    Ok(Event { customer: named_customer(object), claim, objects, ..Event::default() })
}

fn revoked(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        let is_over = |status: &str| matches!(status, "canceled" | "incomplete_expired");
        if !object.get("status").and_then(Value::as_str).is_some_and(is_over) {
            object.insert("status".into(), Value::from("canceled"));
        }
    }
    subscription(&object, told)
}

/// A customer says whose it is, or that it is gone.
pub fn customer(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let (Name(id), customer) = identified(object)?;
    if customer.deleted_at.is_some() {
        return Ok(gone(id, &customer, told));
    }
    let claim = claim(Some(&customer), None, told);
    let facts = if claim.is_some() { vec![Fact::Linked { subscription: None }] } else { Vec::new() };
    Ok(Event { customer: Some(id), claim, facts, nothing: "the customer names no account", ..Event::default() })
}

fn customer_gone(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let (Name(id), customer) = identified(object)?;
    Ok(gone(id, &customer, told))
}

/// Polar ends everything of a customer that is deleted.
fn gone(id: String, customer: &Customer, told: &Told<'_>) -> Event {
    let at = customer.deleted_at.map_or(told.at, |Moment(at)| at).min(told.received_at);
    let facts = vec![Fact::CustomerGone { customer: id.clone(), at }];
    Event { claim: claim(Some(customer), None, told), customer: Some(id), facts, ..Event::default() }
}

/// Everything of a customer that runs. One part that cannot be understood spoils the whole: left out, it would be taken
/// for over.
pub fn state(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let (Name(id), customer) = identified(object)?;
    let seen: payload::CustomerState = parsed(object)?;
    let at = told.at.min(told.received_at);
    let objects = vec![Object::Customer(id.clone())];
    let listed = object["active_subscriptions"].as_array().into_iter().flatten();
    if listed.into_iter().any(|subscription| subscription::unclear(subscription).is_some()) {
        return Ok(Event { customer: Some(id), objects, ..Event::default() });
    }
    let mut subscriptions = Vec::with_capacity(seen.active_subscriptions.len());
    for subscription in &seen.active_subscriptions {
        let known = subscription::read(subscription, &Name(id.clone()), told)?;
        if known.state == State::Unknown {
            return Ok(Event { customer: Some(id), objects, nothing: UNKNOWN_STATUS, ..Event::default() });
        }
        // It was still so when the state was made.
        subscriptions.push(Subscription { as_of: known.as_of.max(at), ..known });
    }
    let mut event = if customer.deleted_at.is_some() { gone(id.clone(), &customer, told) } else { Event::default() };
    event.facts.insert(0, Fact::Running { customer: id.clone(), subscriptions, at });
    Ok(Event { claim: claim(Some(&customer), None, told), customer: Some(id), objects, ..event })
}

/// A bill, and what was paid for it and went back; whether its subscription gives access is for that to say.
pub fn order(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let seen: payload::Order = parsed(object)?;
    let claim = claim(seen.customer.as_ref(), seen.metadata.as_ref(), told);
    let Some(named) = customer_of(object) else {
        return Ok(match seen.subscription_id {
            Some(_) => Event { claim, objects: vec![Object::Invoice(seen.id.0)], ..Event::default() },
            None => Event { claim, ..Event::nothing(None, money::NO_SUBSCRIPTION) },
        });
    };
    let customer = Some(named.0.clone());
    Ok(match money::order(&seen, &named, told) {
        Ok(Bill { subscription, facts }) => {
            let objects = vec![Object::Subscription(subscription)];
            Event { customer, claim, facts, objects, ..Event::default() }
        }
        Err(nothing) => Event::nothing(customer, nothing),
    })
}

/// Money that goes back. How much was paid, and for what, is for the order to say.
pub fn refund(object: &Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let seen: payload::Refund = parsed(object)?;
    let customer = seen.customer_id.clone().map(|Name(id)| id);
    Ok(match money::refund(&seen, told) {
        Ok(facts) => Event { customer, facts, objects: vec![Object::Invoice(seen.order_id.0)], ..Event::default() },
        Err(nothing) => Event::nothing(customer, nothing),
    })
}

/// The site's own id of the customer, else what the site wrote beside what was sold, else beside the customer. Never an
/// e-mail address: it changes, and can be somebody else's.
fn claim(customer: Option<&Customer>, metadata: Option<&Metadata>, told: &Told<'_>) -> Option<Claim> {
    let external_id = customer.and_then(|customer| customer.external_id.as_deref());
    if let Some(account) = external_id.and_then(|id| AccountId::parse(id).ok()) {
        let stated_at = customer.and_then(|customer| customer.created_at).map_or(told.at, |Moment(at)| at);
        return Some(Claim::Reference { account, stated_at });
    }
    let named = |metadata: &Metadata| {
        let account = named_by(metadata.get(told.metadata_key)?)?;
        AccountId::parse(&account).ok().map(Claim::Metadata)
    };
    let of_customer = customer.and_then(|customer| customer.metadata.as_ref());
    metadata.and_then(named).or_else(|| of_customer.and_then(named))
}

/// A customer that has an id.
fn identified(object: &Value) -> Result<(Name, Customer), Unreadable> {
    let customer: Customer = parsed(object)?;
    let id = customer.id.clone().ok_or_else(|| Unreadable("a customer without an id".into()))?;
    Ok((id, customer))
}

/// The customer of a subscription or an order: by its id, else by what stands of it beside.
fn customer_of(object: &Value) -> Option<Name> {
    let named = |id: Option<&Value>| Name::parse(id?.as_str()?).ok();
    named(object.get("customer_id")).or_else(|| named(object.get("customer")?.get("id")))
}

fn named_customer(object: &Value) -> Option<String> {
    customer_of(object).map(|Name(id)| id)
}

fn parsed<'a, T: Deserialize<'a>>(object: &'a Value) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(object).map_err(|error| Unreadable::at(&error))
}
