//! The parts of Stripe's objects that Tollgate reads, in every shape that they have had: what is absent or unknown is
//! no error, and only what is needed and wrong is.

mod money;

pub use money::{Bill, Charge, Dispute, Invoice, InvoicePayment, Refund};

use entitlement::Timestamp;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::provider::text::{flag, lenient_text, moment};

/// Longest id, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// An id: 1 to 255 bytes without control characters.
#[derive(Clone, Debug)]
pub struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(D::Error::custom("an id must have 1 to 255 bytes and no control characters"));
        }
        Ok(Self(text))
    }
}

/// A moment between 1970 and 9000, to the second: seconds, as a number or a text, or as the events of API v2 write it (RFC 3339).
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = serde_json::Value::deserialize(deserializer)?;
        moment(&told).map(Self).ok_or_else(|| D::Error::custom(format!("{told} is not a moment between 1970 and 9000")))
    }
}

/// Another object: its id, or the whole of it when it is expanded.
#[derive(Clone, Debug)]
pub struct Reference(Name);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = serde_json::Value::deserialize(deserializer)?;
        let id = if told.is_object() { told.get("id").cloned().unwrap_or_default() } else { told };
        match id {
            serde_json::Value::String(_) => Name::deserialize(id).map(Self).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("{} is neither an id nor an object with one", kind_of(&other)))),
        }
    }
}

const fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a text",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    }
}

impl Reference {
    pub fn into_id(self) -> String {
        self.0.0
    }
}

/// `metadata`: whatever the site wrote.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// An event.
#[derive(Debug, Deserialize)]
pub struct Notice {
    #[serde(rename = "type")]
    pub kind: String,
    pub created: Moment,
    #[serde(default)]
    pub data: Option<Data>,
    /// The account that it is of, when it is not the endpoint's own (Stripe Connect).
    #[serde(default, deserialize_with = "lenient")]
    pub account: Option<String>,
    /// What a thin event is about.
    #[serde(default, deserialize_with = "lenient")]
    pub related_object: Option<Related>,
}

/// The object that an event is about.
#[derive(Debug, Deserialize)]
pub struct Data {
    #[serde(default)]
    pub object: Option<serde_json::Value>,
    /// What the change made different, as it was.
    #[serde(default)]
    pub previous_attributes: Option<serde_json::Value>,
}

/// Where the object of a thin event can be fetched, such as `/v1/subscriptions/sub_1`.
#[derive(Debug, Deserialize)]
pub struct Related {
    pub url: String,
}

/// A checkout session.
#[derive(Debug, Deserialize)]
pub struct Session {
    pub customer: Option<Reference>,
    pub subscription: Option<Reference>,
    #[serde(default, deserialize_with = "lenient_text")]
    pub client_reference_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub metadata: Option<Metadata>,
    /// Absent before 2020.
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Moment>,
}

/// A customer.
#[derive(Debug, Deserialize)]
pub struct Customer {
    pub id: Name,
    #[serde(default, deserialize_with = "lenient")]
    pub metadata: Option<Metadata>,
}

/// A subscription, as of any version of the API.
#[derive(Debug, Deserialize)]
pub struct Subscription {
    pub id: Name,
    pub customer: Reference,
    pub status: String,
    #[serde(default, deserialize_with = "lenient")]
    pub start_date: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub trial_end: Option<Moment>,
    /// Flexible billing schedules an end with this alone.
    #[serde(default, deserialize_with = "lenient")]
    pub cancel_at: Option<Moment>,
    #[serde(default, deserialize_with = "flag")]
    pub cancel_at_period_end: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub canceled_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub ended_at: Option<Moment>,
    /// Until 2025-03-31 (basil); then on the items.
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_start: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_end: Option<Moment>,
    /// Any object: collection is paused, though the status does not say so.
    pub pause_collection: Option<serde_json::Value>,
    pub items: Option<Items>,
    /// An id, or the whole of it when it was asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub latest_invoice: Option<Bill>,
    /// Before there were items.
    pub plan: Option<Reference>,
}

impl Subscription {
    /// When collection goes on by itself, where it is paused.
    pub fn resumes_at(&self) -> Option<Timestamp> {
        moment(self.pause_collection.as_ref()?.get("resumes_at")?)
    }
}

/// A page of items: at most ten, of at most twenty.
#[derive(Debug, Deserialize)]
pub struct Items {
    #[serde(default)]
    pub data: Vec<Item>,
}

/// One thing subscribed to.
#[derive(Debug, Deserialize)]
pub struct Item {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Name>,
    pub price: Option<Reference>,
    /// Before there were prices.
    pub plan: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_start: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_end: Option<Moment>,
}

/// What cannot be read is absent: for fields whose loss harms nobody.
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(deserializer)?).ok())
}
