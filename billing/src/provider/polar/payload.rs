//! The parts of Polar's objects that Tollgate reads: what is absent or unknown is no error, and only what is needed and
//! wrong is.

use entitlement::Timestamp;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::provider::text::{flag, lenient_number, lenient_text, moment, number};

/// Longest id, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// An id: 1 to 255 bytes without control characters.
#[derive(Clone, Debug)]
pub struct Name(pub String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err("an id must have 1 to 255 bytes and no control characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A moment between 1970 and 9000, to the microsecond, as Polar and Postgres keep it: RFC 3339, with or without a zone, or seconds.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = Value::deserialize(deserializer)?;
        let moment = moment(&told).and_then(|told| Timestamp::from_timestamp_micros(told.timestamp_micros()));
        moment.map(Self).ok_or_else(|| D::Error::custom("a moment must lie between 1970 and 9000"))
    }
}

fn required_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    number(deserializer)?.ok_or_else(|| D::Error::custom("an amount is missing"))
}

/// `metadata`: whatever the site wrote.
pub type Metadata = serde_json::Map<String, Value>;

/// An event.
#[derive(Debug, Deserialize)]
pub struct Notice {
    #[serde(rename = "type")]
    pub kind: String,
    pub timestamp: Moment,
    #[serde(default)]
    pub data: Option<Value>,
}

/// A customer, by itself or as a part of another object. Nothing that is sold depends on it, so what cannot be read of
/// it is absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Customer {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Name>,
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Moment>,
    /// The site's own id of its customer, which it sets at Polar and which cannot be changed there.
    #[serde(default, deserialize_with = "lenient_text")]
    pub external_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    pub deleted_at: Option<Moment>,
}

/// A subscription.
#[derive(Debug, Deserialize)]
pub struct Subscription {
    pub id: Name,
    pub product_id: Name,
    pub status: String,
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub modified_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub started_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_start: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_end: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub trial_end: Option<Moment>,
    #[serde(default, deserialize_with = "flag")]
    pub cancel_at_period_end: Option<bool>,
    /// When it will end, or has ended.
    #[serde(default, deserialize_with = "lenient")]
    pub ends_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub ended_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub past_due_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    pub customer: Option<Customer>,
}

/// A customer with everything of theirs that runs.
#[derive(Debug, Deserialize)]
pub struct CustomerState {
    /// Required: what is not in it does not run.
    pub active_subscriptions: Vec<Subscription>,
}

/// A bill. Its amounts are in minor units.
#[derive(Debug, Deserialize)]
pub struct Order {
    pub id: Name,
    pub subscription_id: Option<Name>,
    pub status: String,
    pub billing_reason: Option<String>,
    pub created_at: Moment,
    #[serde(default, deserialize_with = "lenient")]
    pub modified_at: Option<Moment>,
    /// With taxes.
    #[serde(default, deserialize_with = "number")]
    pub total_amount: Option<i64>,
    /// What of it the customer had already, below 0, or owed from before.
    #[serde(default, deserialize_with = "number")]
    pub applied_balance_amount: Option<i64>,
    /// Without taxes.
    #[serde(default, deserialize_with = "number")]
    pub refunded_amount: Option<i64>,
    #[serde(default, deserialize_with = "number")]
    pub refunded_tax_amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub items: Option<Vec<OrderItem>>,
    /// Set while a payment that failed is tried again.
    #[serde(default, deserialize_with = "lenient")]
    pub next_payment_attempt_at: Option<Moment>,
    /// As it stands when the event is made, not when the bill was.
    #[serde(default, deserialize_with = "lenient")]
    pub subscription: Option<OrderSubscription>,
    #[serde(default, deserialize_with = "lenient")]
    pub metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    pub customer: Option<Customer>,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct OrderItem {
    #[serde(default, deserialize_with = "lenient")]
    pub proration: Option<bool>,
}

/// The subscription that is billed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct OrderSubscription {
    #[serde(default, deserialize_with = "lenient")]
    pub current_period_start: Option<Moment>,
}

/// A refund. Its amounts are in minor units.
#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: Name,
    pub order_id: Name,
    #[serde(default, deserialize_with = "lenient")]
    pub customer_id: Option<Name>,
    pub status: String,
    /// Without taxes.
    #[serde(deserialize_with = "required_number")]
    pub amount: i64,
    #[serde(default, deserialize_with = "number")]
    pub tax_amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Moment>,
    pub dispute: Option<Dispute>,
}

/// A dispute that was kept from being one by a refund, or not.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    pub id: Name,
    pub status: String,
    pub order_id: Option<Name>,
    #[serde(default, deserialize_with = "lenient_number")]
    pub amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Moment>,
    #[serde(default, deserialize_with = "lenient")]
    pub modified_at: Option<Moment>,
}

/// What cannot be read is absent: for fields whose loss harms nobody.
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
