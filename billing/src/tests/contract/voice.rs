//! The providers, each saying the same things in its own words.

use base64::Engine;
use chrono::{SecondsFormat, TimeDelta};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Incomplete,
    Trialing,
    Active,
    PastDue,
    Paused,
    Unpaid,
    Ended,
    /// One that nobody knows.
    OfTomorrow,
}

/// A subscription as it stands at one moment.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: String,
    pub product: &'static str,
    pub status: Status,
    /// When it was told; it was bought at the start of the period.
    pub at: Timestamp,
    pub period_start: Timestamp,
    pub ends_with_period: bool,
    /// How it stood before, where a provider says so.
    pub before: Option<Status>,
}

/// One event: its id, and its body.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: Vec<u8>,
}

/// A provider that speaks.
#[derive(Clone, Copy, Debug)]
pub struct Voice(pub Provider);

pub const VOICES: [Voice; 2] = [Voice(Provider::Stripe), Voice(Provider::Polar)];

pub const DAYS: i64 = 30;

impl Voice {
    pub const fn route(self) -> &'static str {
        match self.0 {
            Provider::Stripe => "/api/stripe/webhook",
            Provider::Polar => "/api/polar/webhook",
        }
    }

    /// The headers of a delivery that is made at `second` and signed with each secret.
    pub fn signed(self, secrets: &[&str], second: i64, message: &Message) -> Vec<(&'static str, String)> {
        let mac = |secret: &str, parts: &[&[u8]]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes()
        };
        let sent_at = second.to_string();
        match self.0 {
            Provider::Stripe => {
                let one = |secret: &&str| {
                    format!(",v1={}", hex::encode(mac(secret, &[sent_at.as_bytes(), b".", &message.body])))
                };
                let signatures: String = secrets.iter().map(one).collect();
                vec![("stripe-signature", format!("t={sent_at}{signatures}"))]
            }
            Provider::Polar => {
                let one = |secret: &&str| {
                    let parts = [message.id.as_bytes(), b".", sent_at.as_bytes(), b".", &message.body];
                    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac(secret, &parts)))
                };
                let signatures: Vec<String> = secrets.iter().map(one).collect();
                vec![
                    ("webhook-id", message.id.clone()),
                    ("webhook-timestamp", sent_at),
                    ("webhook-signature", signatures.join(" ")),
                ]
            }
        }
    }

    pub fn message(self, id: &str, kind: &str, at: Timestamp, object: &Value) -> Message {
        let body = match self.0 {
            Provider::Stripe => super::super::event(id, kind, at, object),
            Provider::Polar => json!({ "type": kind, "timestamp": precise(at), "data": object }),
        };
        Message { id: id.to_owned(), body: serde_json::to_vec(&body).expect("it encodes") }
    }

    /// A type that Tollgate does not act on.
    pub fn of_no_concern(self, id: &str, at: Timestamp) -> Message {
        match self.0 {
            Provider::Stripe => self.message(id, "invoice.upcoming", at, &json!({ "customer": "c-1" })),
            Provider::Polar => self.message(id, "benefit_grant.cycled", at, &json!({ "customer_id": "c-1" })),
        }
    }

    /// An event that Tollgate acts on, in a form that nobody can read.
    pub fn unreadable(self, id: &str, at: Timestamp) -> Message {
        match self.0 {
            Provider::Stripe => self.message(id, "customer.subscription.created", at, &json!({ "id": 7 })),
            Provider::Polar => self.message(id, "subscription.created", at, &json!({ "id": 7 })),
        }
    }

    /// The site's own statement of whose customer it is.
    pub fn linked(self, id: &str, customer: &str, account: &AccountId, at: Timestamp) -> Message {
        match self.0 {
            Provider::Stripe => {
                let session = json!({
                    "id": format!("cs_{id}"), "customer": customer, "client_reference_id": account,
                    "created": at.timestamp(),
                });
                self.message(id, "checkout.session.completed", at, &session)
            }
            Provider::Polar => {
                let customer = json!({ "id": customer, "external_id": account, "created_at": precise(at) });
                self.message(id, "customer.created", at, &customer)
            }
        }
    }

    /// An update of a subscription; it names no account.
    pub fn subscription(self, id: &str, customer: &str, standing: &Standing) -> Message {
        match self.0 {
            Provider::Stripe => {
                let message = stripe(customer, standing, standing.status);
                let mut event = super::super::event(id, "customer.subscription.updated", standing.at, &message);
                if let Some(before) = standing.before {
                    event["data"]["previous_attributes"] = json!({ "status": stripe_word(before) });
                }
                Message { id: id.to_owned(), body: serde_json::to_vec(&event).expect("it encodes") }
            }
            Provider::Polar => self.message(id, "subscription.updated", standing.at, &polar(customer, standing)),
        }
    }
}

fn precise(at: Timestamp) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

const fn stripe_word(status: Status) -> &'static str {
    match status {
        Status::Incomplete => "incomplete",
        Status::Trialing => "trialing",
        Status::Active => "active",
        Status::PastDue => "past_due",
        Status::Paused => "paused",
        Status::Unpaid => "unpaid",
        Status::Ended => "canceled",
        Status::OfTomorrow => "hibernating",
    }
}

fn stripe(customer: &str, standing: &Standing, status: Status) -> Value {
    let end = standing.period_start + TimeDelta::days(DAYS);
    json!({
        "id": standing.id, "object": "subscription", "customer": customer, "status": stripe_word(status),
        "start_date": standing.period_start.timestamp(), "trial_end": end.timestamp(),
        "cancel_at_period_end": standing.ends_with_period, "metadata": {},
        "ended_at": (status == Status::Ended).then(|| standing.at.timestamp()),
        "items": { "data": [{
            "price": { "id": standing.product }, "current_period_start": standing.period_start.timestamp(),
            "current_period_end": end.timestamp(),
        }] },
    })
}

fn polar(customer: &str, standing: &Standing) -> Value {
    let end = precise(standing.period_start + TimeDelta::days(DAYS));
    json!({
        // The names of the statuses are the same.
        "id": standing.id, "customer_id": customer, "product_id": standing.product,
        "status": stripe_word(standing.status), "created_at": precise(standing.period_start),
        "modified_at": precise(standing.at), "started_at": precise(standing.period_start),
        "current_period_start": precise(standing.period_start), "current_period_end": end, "trial_end": end,
        "cancel_at_period_end": standing.ends_with_period, "ends_at": standing.ends_with_period.then_some(&end),
        "ended_at": (standing.status == Status::Ended).then(|| precise(standing.at)), "metadata": {},
        "customer": { "id": customer, "external_id": null, "email": "ann@example.com" },
    })
}
