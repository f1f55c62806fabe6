//! The parsers of what strangers send, opened for the fuzz targets in `fuzz/`: in no other build is this compiled.
//!
//! Nothing is decided here. Each function is one parser of [`crate::provider`] with what a running billing would give
//! it; the targets hold what must be so of the answers.

use entitlement::Timestamp;
use entitlement::event::Event;
use http::HeaderMap;

use crate::provider::{polar, stripe};
use crate::settings::Secret;

/// The key of `metadata` under which these parsers look for the account.
pub const METADATA_KEY: &str = "account";

/// The headers of Polar's signature: the event's id, the moment of sending, the signatures.
pub const POLAR_HEADERS: [&str; 3] = polar::signature::HEADERS;

/// Whether a delivery is believed to be Stripe's at `now`.
#[must_use]
pub fn stripe_is_signed(header: &str, body: &[u8], secret: &str, now: Timestamp) -> bool {
    stripe::signature::verify(header, body, &[Secret::from(secret)], now).is_ok()
}

/// Whether a delivery is believed to be Polar's at `now`.
#[must_use]
pub fn polar_is_signed(headers: &HeaderMap, body: &[u8], secret: &str, now: Timestamp) -> bool {
    polar::signature::verify(headers, body, &[Secret::from(secret)], now).is_ok()
}

/// The id and the type of a Stripe event, if the body is one.
#[must_use]
pub fn stripe_envelope(body: &[u8]) -> Option<(String, String)> {
    stripe::read_envelope(body).ok().map(|envelope| (envelope.event_id, envelope.kind))
}

/// The id and the type of a Polar event, if the delivery is one.
#[must_use]
pub fn polar_envelope(headers: &HeaderMap, body: &[u8]) -> Option<(String, String)> {
    polar::read_envelope(headers, body).ok().map(|envelope| (envelope.event_id, envelope.kind))
}

/// What a Stripe event says, if it can be read; `account` is the connected account whose events are meant.
#[must_use]
pub fn stripe_event(body: &[u8], received_at: Timestamp, account: Option<&str>) -> Option<Event> {
    stripe::interpret(body, received_at, stripe::Reader { metadata_key: METADATA_KEY, account }).ok()
}

/// What a Polar event says, if it can be read.
#[must_use]
pub fn polar_event(body: &[u8], received_at: Timestamp) -> Option<Event> {
    polar::interpret(body, received_at, METADATA_KEY).ok()
}
