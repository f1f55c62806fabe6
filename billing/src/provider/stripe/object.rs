//! Objects of Stripe's API, as it answers with them: read by the same types as those in events.

use entitlement::event::Event;
use entitlement::event::Fact;
use serde_json::Value;

use super::interpret::{self, parsed};
use super::money;
use super::payload;
use crate::provider::Unreadable;

pub use super::interpret::Told;

/// A subscription, and the last bill for it when that is part of the answer.
pub fn subscription(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    if let Some(field) = super::subscription::unclear(&seen) {
        return Err(Unreadable(format!("{field} is not a moment")));
    }
    let bill = seen.get("latest_invoice").filter(|bill| bill.is_object()).cloned();
    let livemode = seen["livemode"].as_bool();
    // An answer tells that a payment is missing and not since when, and what made us ask may be older than the failure.
    let missing = (seen["status"] == "past_due").then(|| seen.clone());
    let mut event = Event { livemode, ..interpret::subscription_event(seen, None, &told)? };
    if let (Some(seen), [Fact::Subscription(answered)]) = (missing, event.facts.as_mut_slice()) {
        let now = super::subscription::read(seen, &Told { at: told.received_at, ..told })?;
        answered.state = now.state;
    }
    let mut events = vec![event];
    events.extend(bill.map(invoice).transpose()?.into_iter().flatten());
    Ok(events)
}

/// A customer; one that was deleted is answered without its metadata.
pub fn customer(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    let is_deleted = seen["deleted"] == true;
    let seen = parsed(seen)?;
    Ok(vec![if is_deleted { interpret::customer_gone(seen, &told) } else { interpret::customer(seen, &told) }])
}

pub fn invoice(seen: Value) -> Result<Vec<Event>, Unreadable> {
    Ok(vec![interpret::bill(parsed(seen)?, None)])
}

pub fn checkout(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    Ok(vec![interpret::checkout(parsed(seen)?, &told)])
}

pub fn charge(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    let customer = interpret::customer_of(&seen);
    Ok(vec![Event { customer, facts: money::charge(parsed(seen)?, &told), ..Event::default() }])
}

pub fn refund(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    let seen: payload::Refund = parsed(seen)?;
    let objects = seen.charge.clone().map(|charge| entitlement::event::Object::Charge(charge.into_id()));
    let facts = money::refund(&seen, &told).into_iter().collect();
    Ok(vec![Event { facts, objects: objects.into_iter().collect(), ..Event::default() }])
}

pub fn dispute(seen: Value, told: Told<'_>) -> Result<Vec<Event>, Unreadable> {
    let seen: payload::Dispute = parsed(seen)?;
    let object = entitlement::event::Object::Dispute(seen.id.0.clone());
    let facts = money::dispute(seen, &told).into_iter().collect();
    Ok(vec![Event { facts, objects: vec![object], ..Event::default() }])
}

/// Which payments paid which invoices: a list.
pub fn invoice_payments(list: &Value) -> Result<Vec<Event>, Unreadable> {
    let (items, _) = page(list.clone())?;
    let read = |(_, seen): (String, Value)| Ok(money::invoice_payment(parsed(seen)?));
    let facts: Vec<Option<Fact>> = items.into_iter().map(read).collect::<Result<_, Unreadable>>()?;
    Ok(vec![Event { facts: facts.into_iter().flatten().collect(), ..Event::default() }])
}

/// The invoices in a list of payments.
pub fn invoices_of(list: &Value) -> Vec<String> {
    let invoices = list["data"].as_array().into_iter().flatten().filter_map(|payment| payment["invoice"].as_str());
    invoices.map(str::to_owned).collect()
}

/// A page of a list: its objects by their ids, and whether there are more.
pub fn page(answer: Value) -> Result<(Vec<(String, Value)>, bool), Unreadable> {
    #[derive(serde::Deserialize)]
    struct Answer {
        data: Vec<Value>,
        #[serde(default)]
        has_more: bool,
    }
    let answer: Answer = parsed(answer)?;
    let named = |object: Value| match object["id"].as_str().map(str::to_owned) {
        Some(id) => Ok((id, object)),
        None => Err(Unreadable("an object of a list has no id".into())),
    };
    Ok((answer.data.into_iter().map(named).collect::<Result<_, _>>()?, answer.has_more))
}
