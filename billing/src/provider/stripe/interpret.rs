//! A Stripe event in our words: what it states, and what Stripe can be asked for to know how that stands now.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Event, Fact, Object};
use entitlement::subscription::{Standing, State, Subscription};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kinds::is_read;
use super::money::Failure;
use super::payload::{self, Data, Metadata, Moment, Name, Notice, Reference};
use super::subscription::unclear;
use super::{money, subscription};
use crate::provider::text::{mended, named};
use crate::provider::{UNKNOWN_STATUS, Unreadable};

/// What stands around an object.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Stripe's clock when the object was made like this.
    pub at: Timestamp,
    /// Ours when it arrived. Stripe's test clocks run ahead of everybody's.
    pub received_at: Timestamp,
    /// The key of `metadata` under which the site names the account.
    pub metadata_key: &'a str,
}

/// Whose events are believed, and under which key of `metadata` the site names the account.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub metadata_key: &'a str,
    /// The connected account whose events are meant; `None` for the endpoint's own.
    pub account: Option<&'a str>,
}

const KNOWN_ALREADY: &str = "this, or something newer, is known already";

const NOT_READ: &str = "Tollgate does not act on events of this type";

/// Says what an event means.
///
/// # Errors
/// When a part that is needed is absent or not of its type.
pub fn interpret(body: &[u8], received_at: Timestamp, reader: Reader<'_>) -> Result<Event, Unreadable> {
    let body = mended(body);
    let mut body = serde_json::Deserializer::from_str(&body);
    let notice: Notice = serde_path_to_error::deserialize(&mut body).map_err(|error| Unreadable::at(&error))?;
    if notice.account.as_deref() != reader.account && notice.account.is_some() {
        return Ok(Event::nothing(None, "the event is of another Stripe account"));
    }
    let told = Told { at: notice.created.0, received_at, metadata_key: reader.metadata_key };
    let event = match notice.data {
        Some(Data { object: Some(object), previous_attributes }) => {
            snapshot(&notice.kind, object, previous_attributes.as_ref(), &told)?
        }
        _ => thin(notice.related_object.as_ref()),
    };
    Ok(Event { at: Some(told.at), ..event })
}

/// An event that carries its object as it was when the event was made.
fn snapshot(kind: &str, object: Value, previous: Option<&Value>, told: &Told<'_>) -> Result<Event, Unreadable> {
    if !is_read(kind) {
        return Ok(Event { claim: named_by(&object, told), ..Event::nothing(customer_of(&object), NOT_READ) });
    }
    match kind {
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.async_payment_failed" => Ok(checkout(parsed(object)?, told)),
        "customer.created" => Ok(customer_created(parsed(object)?, told)),
        "customer.updated" => Ok(customer(parsed(object)?, told)),
        "customer.deleted" => Ok(customer_gone(parsed(object)?, told)),
        "customer.subscription.deleted" => {
            let mut object = object;
            if let Some(object) = object.as_object_mut() {
                object.insert("status".into(), Value::from("canceled"));
            }
            subscription_event(object, None, told)
        }
        "customer.subscription.created" => {
            let mut event = subscription_event(object, None, told)?;
            for fact in &mut event.facts {
                if let Fact::Subscription(seen) = fact {
                    seen.before = Some(Box::new(Standing::nothing()));
                }
            }
            Ok(event)
        }
        "customer.subscription.updated"
        | "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "customer.subscription.trial_will_end"
        | "customer.subscription.pending_update_applied"
        | "customer.subscription.pending_update_expired" => subscription_event(object, previous, told),
        // `invoice.upcoming` is about one that does not exist yet.
        _ if kind.starts_with("invoice.") && object.get("id").is_none_or(|id| !id.is_string()) => {
            Ok(Event::nothing(customer_of(&object), "the invoice has no id"))
        }
        "invoice.payment_failed" | "invoice.payment_action_required" => {
            let needs_action = kind == "invoice.payment_action_required";
            Ok(bill(parsed(object)?, Some(Failure { at: told.at.min(told.received_at), needs_action })))
        }
        "invoice.paid" | "invoice.payment_succeeded" | "invoice.voided" | "invoice.marked_uncollectible" => {
            Ok(bill(parsed(object)?, None))
        }
        _ => money_moved(kind, object, told),
    }
}

fn money_moved(kind: &str, object: Value, told: &Told<'_>) -> Result<Event, Unreadable> {
    let customer = customer_of(&object);
    let (facts, object): (Vec<Fact>, _) = match kind {
        "invoice_payment.paid" => (money::invoice_payment(parsed(object)?).into_iter().collect(), None),
        "charge.succeeded" | "charge.captured" | "charge.updated" => (money::charge(parsed(object)?, told), None),
        "charge.refunded" => {
            let seen: payload::Charge = parsed(object)?;
            let id = seen.id.0.clone();
            (money::charge(seen, told), Some(Object::Charge(id)))
        }
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            let seen: payload::Refund = parsed(object)?;
            let charge = seen.charge.clone().map(|charge| Object::Charge(charge.into_id()));
            (money::refund(&seen, told).into_iter().collect(), charge)
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => {
            let seen: payload::Dispute = parsed(object)?;
            let id = Object::Dispute(seen.id.0.clone());
            (money::dispute(seen, told).into_iter().collect(), Some(id))
        }
        _ => return Ok(Event::nothing(customer, NOT_READ)),
    };
    let is_named = !facts.is_empty();
    let nothing = if is_named { KNOWN_ALREADY } else { "the event names no payment" };
    Ok(Event { customer, facts, objects: object.into_iter().collect(), nothing, ..Event::default() })
}

/// An event that only names its object: all that it says is where to ask.
fn thin(related: Option<&payload::Related>) -> Event {
    match related.and_then(|related| object_at(&related.url)) {
        Some(object) => Event { objects: vec![object], ..Event::default() },
        None => Event::nothing(None, "the event carries no object that Tollgate acts on"),
    }
}

/// The object behind a path of the API.
fn object_at(url: &str) -> Option<Object> {
    let path = url.split(['?', '#']).next()?;
    let (collection, id) = path.strip_prefix("/v1/")?.rsplit_once('/')?;
    let id = id.to_owned();
    match collection {
        "subscriptions" => Some(Object::Subscription(id)),
        "customers" => Some(Object::Customer(id)),
        "invoices" => Some(Object::Invoice(id)),
        "charges" => Some(Object::Charge(id)),
        "disputes" => Some(Object::Dispute(id)),
        "checkout/sessions" => Some(Object::Checkout(id)),
        _ => None,
    }
}

pub fn parsed<T: DeserializeOwned>(object: Value) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(object).map_err(|error| Unreadable::at(&error))
}

pub fn customer_of(object: &Value) -> Option<String> {
    let customer = object.get("customer").cloned().and_then(|it| serde_json::from_value(it).ok());
    customer.map(Reference::into_id)
}

/// The account that an object names of which nothing is learnt: its events are that account's.
fn named_by(object: &Value, told: &Told<'_>) -> Option<Claim> {
    let reference = object.get("client_reference_id").and_then(Value::as_str);
    let reference = reference.and_then(|id| AccountId::parse(id).ok()).map(Claim::Metadata);
    let metadata = || object.get("metadata").cloned().and_then(|it| serde_json::from_value::<Metadata>(it).ok());
    reference.or_else(|| metadata_claim(metadata().as_ref(), told))
}

/// A checkout that was gone through links its customer and names what it bought. It grants nothing: what was bought,
/// and whether it is paid for, is for the subscription to say.
pub fn checkout(session: payload::Session, told: &Told<'_>) -> Event {
    let stated_at = session.created.map_or(told.at, |Moment(at)| at);
    let reference = session.client_reference_id.as_deref().and_then(|id| AccountId::parse(id).ok());
    let reference = reference.map(|account| Claim::Reference { account, stated_at });
    let claim = reference.or_else(|| metadata_claim(session.metadata.as_ref(), told));
    let Some(customer) = session.customer.map(Reference::into_id) else {
        return Event { claim, ..Event::nothing(None, "the checkout has no customer") };
    };
    let subscription = session.subscription.map(Reference::into_id);
    let objects: Vec<Object> = subscription.clone().map(Object::Subscription).into_iter().collect();
    let facts = if claim.is_some() { vec![Fact::Linked { subscription }] } else { Vec::new() };
    Event {
        customer: Some(customer),
        claim,
        facts,
        objects,
        nothing: "the checkout names no account",
        ..Event::default()
    }
}

pub fn customer(customer: payload::Customer, told: &Told<'_>) -> Event {
    let claim = metadata_claim(customer.metadata.as_ref(), told);
    let facts = if claim.is_some() { vec![Fact::Linked { subscription: None }] } else { Vec::new() };
    let nothing = "the customer's metadata names no account";
    Event { customer: Some(customer.id.0), claim, facts, nothing, ..Event::default() }
}

/// The account of the customer from its beginning: a statement of that moment, and no later checkout says otherwise.
fn customer_created(seen: payload::Customer, told: &Told<'_>) -> Event {
    let event = customer(seen, told);
    // It was there before any checkout of it, also of the same second.
    let stated_at = told.at - chrono::Duration::seconds(1);
    let claim = event.claim.map(|claim| Claim::Reference { account: claim.account().clone(), stated_at });
    Event { claim, ..event }
}

/// What a customer had ends with it, as Stripe ends it.
pub fn customer_gone(customer: payload::Customer, told: &Told<'_>) -> Event {
    let claim = metadata_claim(customer.metadata.as_ref(), told);
    let customer = customer.id.0;
    let facts = vec![Fact::CustomerGone { customer: customer.clone(), at: told.at.min(told.received_at) }];
    Event { customer: Some(customer), claim, facts, ..Event::default() }
}

fn metadata_claim(metadata: Option<&Metadata>, told: &Told<'_>) -> Option<Claim> {
    let named = named(metadata?.get(told.metadata_key)?)?;
    AccountId::parse(&named).ok().map(Claim::Metadata)
}

/// A subscription, with what it was before where the event says so.
pub fn subscription_event(object: Value, previous: Option<&Value>, told: &Told<'_>) -> Result<Event, Unreadable> {
    let metadata: Option<Metadata> = object.get("metadata").cloned().and_then(|it| serde_json::from_value(it).ok());
    let claim = metadata_claim(metadata.as_ref(), told);
    let before = previous.and_then(|previous| subscription::read_before(&object, previous, told));
    let customer = customer_of(&object);
    let id = object.get("id").filter(|_| customer.is_none() || unclear(&object).is_some());
    if let Some(id) = id {
        let Name(id) = parsed(id.clone())?;
        // Its provider says what it means.
        return Ok(Event { customer, claim, objects: vec![Object::Subscription(id)], ..Event::default() });
    }
    let seen = subscription::read(object, told)?;
    let nothing = if seen.state == State::Unknown { UNKNOWN_STATUS } else { "" };
    let seen = Subscription { before: before.map(|before| Box::new(before.standing())), ..seen };
    Ok(Event {
        customer: Some(seen.customer.clone()),
        claim,
        objects: vec![Object::Subscription(seen.id.id.clone())],
        facts: vec![Fact::Subscription(Box::new(seen))],
        nothing,
        ..Event::default()
    })
}

/// An invoice says what was paid; whether its subscription gives access is for that to say.
pub fn bill(seen: payload::Invoice, failure: Option<Failure>) -> Event {
    let customer = seen.customer.clone().map(Reference::into_id);
    let (facts, object) = money::invoice(seen, failure);
    let objects = object.into_iter().collect();
    let is_named = facts.iter().any(|fact| matches!(fact, Fact::Invoice(_)));
    let nothing = if is_named { KNOWN_ALREADY } else { "the invoice is for no subscription" };
    Event { customer, facts, objects, nothing, ..Event::default() }
}
