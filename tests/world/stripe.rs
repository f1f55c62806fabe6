//! Stripe's webhooks, written by hand: the shapes before and since basil (2025-03-31), and the signature.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::clock::in_seconds;

/// The two secrets that are valid while one is being rotated; the older first.
pub const SECRETS: [&str; 2] = ["whsec_the_first_secret_of_the_tests", "whsec_the_second_secret_of_the_tests"];

pub const DAY: i64 = 86_400;

/// Where the billing period stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// On the subscription (2020 to 2025-02-24.acacia).
    Acacia,
    /// On its items (since 2025-03-31.basil).
    Basil,
}

impl Shape {
    fn version(self) -> &'static str {
        match self {
            Self::Acacia => "2025-02-24.acacia",
            Self::Basil => "2025-03-31.basil",
        }
    }
}

/// An id that no other test uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A subscription as Stripe would show it now. The fields are set as a test needs them.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    pub customer: String,
    pub price: String,
    pub status: &'static str,
    pub shape: Shape,
    pub created: i64,
    pub period: (i64, i64),
    pub trial_end: Option<i64>,
    pub cancel_at: Option<i64>,
    pub cancel_at_period_end: bool,
    pub ended_at: Option<i64>,
    /// What becomes of its invoices while collection is paused, such as `void`.
    pub pause_collection: Option<&'static str>,
    pub quantity: u32,
    /// `metadata.account`.
    pub metadata: Option<String>,
}

impl Subscription {
    /// An active one of today, by the month.
    pub fn of(customer: &str) -> Self {
        let now = in_seconds(0);
        Self {
            id: unique("sub"),
            customer: customer.to_owned(),
            price: "price_monthly".to_owned(),
            status: "active",
            shape: Shape::Acacia,
            created: now,
            period: (now, now + 30 * DAY),
            trial_end: None,
            cancel_at: None,
            cancel_at_period_end: false,
            ended_at: None,
            pause_collection: None,
            quantity: 1,
            metadata: None,
        }
    }

    /// The same, over since now.
    pub fn ended(&self) -> Self {
        Self { status: "canceled", ended_at: Some(in_seconds(0)), ..self.clone() }
    }

    fn object(&self) -> Value {
        let (start, end) = self.period;
        let mut item = json!({
            "id": format!("si_{}", self.id), "object": "subscription_item", "quantity": self.quantity,
            "price": { "id": self.price, "object": "price", "active": true, "product": "prod_1" },
        });
        let metadata = self.metadata.as_ref().map_or(json!({}), |account| json!({ "account": account }));
        let mut object = json!({
            "id": self.id, "object": "subscription", "customer": self.customer, "status": self.status,
            "created": self.created, "start_date": self.created, "livemode": false, "metadata": metadata,
            "cancel_at": self.cancel_at, "cancel_at_period_end": self.cancel_at_period_end,
            "canceled_at": self.ended_at, "ended_at": self.ended_at, "trial_end": self.trial_end,
            "pause_collection": self.pause_collection.map(|behavior| json!({ "behavior": behavior, "resumes_at": null })),
            "collection_method": "charge_automatically",
        });
        let period = if self.shape == Shape::Acacia { &mut object } else { &mut item };
        period["current_period_start"] = json!(start);
        period["current_period_end"] = json!(end);
        object["items"] = json!({ "object": "list", "data": [item], "has_more": false });
        object
    }

    /// An event about this subscription, created now.
    pub fn event(&self, kind: &str) -> Event {
        Event { version: self.shape.version(), ..Event::new(&format!("customer.subscription.{kind}"), self.object()) }
    }
}

/// The end of a checkout: it links the customer to the account.
pub fn checkout_completed(account: Option<&str>, customer: &str, subscription: &str) -> Event {
    Event::new(
        "checkout.session.completed",
        json!({
            "id": unique("cs"), "object": "checkout.session", "mode": "subscription", "status": "complete",
            "payment_status": "paid", "customer": customer, "subscription": subscription, "livemode": false,
            "client_reference_id": account, "metadata": {},
        }),
    )
}

/// An invoice that was paid, with its payment, in the shape before basil.
#[derive(Clone, Debug)]
pub struct Bill {
    pub invoice: String,
    pub payment: String,
    pub charge: String,
    pub customer: String,
    pub subscription: Option<String>,
    /// `billing_reason`.
    pub reason: &'static str,
    /// In minor units.
    pub amount: i64,
    pub period_start: i64,
}

impl Bill {
    /// The bill for the period in which the subscription is.
    pub fn of(subscription: &Subscription) -> Self {
        Self {
            invoice: unique("in"),
            payment: unique("pi"),
            charge: unique("ch"),
            customer: subscription.customer.clone(),
            subscription: Some(subscription.id.clone()),
            reason: "subscription_create",
            amount: 700,
            period_start: subscription.period.0,
        }
    }

    /// `invoice.paid`
    pub fn paid(&self) -> Event {
        let period = json!({ "start": self.period_start, "end": self.period_start + 30 * DAY });
        let is_proration = self.reason == "subscription_update";
        let line = json!({ "id": unique("il"), "amount": self.amount, "proration": is_proration, "period": period });
        Event::new(
            "invoice.paid",
            json!({
                "id": self.invoice, "object": "invoice", "customer": self.customer, "livemode": false,
                "subscription": self.subscription, "billing_reason": self.reason, "status": "paid",
                "amount_paid": self.amount, "attempt_count": 1, "created": in_seconds(0),
                "payment_intent": self.payment, "charge": self.charge,
                "lines": { "object": "list", "data": [line], "has_more": false },
            }),
        )
    }

    /// `charge.refunded`: so much went back in all.
    pub fn refunded(&self, amount: i64) -> Event {
        Event::new(
            "charge.refunded",
            json!({
                "id": self.charge, "object": "charge", "customer": self.customer, "payment_intent": self.payment,
                "invoice": self.invoice, "amount": self.amount, "amount_captured": self.amount,
                "amount_refunded": amount, "refunded": amount == self.amount, "status": "succeeded",
                "created": in_seconds(0), "livemode": false,
            }),
        )
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub kind: String,
    created: i64,
    version: &'static str,
    object: Value,
    /// What the change made different, as it was.
    previous: Option<Value>,
    /// Members of the event itself that are not as usual.
    outside: Map<String, Value>,
}

impl Event {
    /// Any event about any object, created now.
    pub fn new(kind: &str, object: Value) -> Self {
        let (id, version) = (unique("evt"), Shape::Acacia.version());
        let (created, outside) = (in_seconds(0), Map::new());
        Self { id, kind: kind.to_owned(), created, version, object, previous: None, outside }
    }

    /// The same event, as if the provider had made it at another moment.
    pub fn created_at(self, created: i64) -> Self {
        Self { created, ..self }
    }

    /// The same change under another event id.
    pub fn again(&self) -> Self {
        self.clone().called(&unique("evt"))
    }

    /// The same change under this event id.
    pub fn called(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// The same change, with what it made different as it was before.
    pub fn after(self, previous: Value) -> Self {
        Self { previous: Some(previous), ..self }
    }

    /// The same event, which says this of itself.
    pub fn saying(mut self, name: &str, value: Value) -> Self {
        self.outside.insert(name.to_owned(), value);
        self
    }

    /// The body that is signed and sent.
    pub fn body(&self) -> String {
        let mut body = json!({
            "id": self.id, "object": "event", "type": self.kind, "created": self.created, "livemode": false,
            "api_version": self.version, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null },
            "data": { "object": self.object },
        });
        if let Some(previous) = &self.previous {
            body["data"]["previous_attributes"] = previous.clone();
        }
        for (name, value) in &self.outside {
            body[name] = value.clone();
        }
        body.to_string()
    }
}

/// The signature header for a body, made at `timestamp` with each of `secrets`.
pub fn signature(body: &str, timestamp: i64, secrets: &[&str]) -> String {
    let sign = |secret: &&str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
        mac.update(format!("{timestamp}.{body}").as_bytes());
        format!(",v1={}", hex::encode(mac.finalize().into_bytes()))
    };
    format!("t={timestamp}{}", secrets.iter().map(sign).collect::<String>())
}
