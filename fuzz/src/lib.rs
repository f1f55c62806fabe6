//! What the fuzz targets share: a clock that stands still, inputs of several lines, and signatures that are right.
//!
//! A fuzzer cannot guess a signature. So an input is a template: a mark in it stands for the right signature, which the
//! target puts there. What is believed without the mark was forged.

pub mod event;

use std::str;

use entitlement::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;

/// The second in which every target runs.
pub const NOW: i64 = 1_700_000_000;

/// How far a sender's clock may be from ours, in seconds.
pub const TOLERANCE_SECONDS: u64 = 300;

/// [`NOW`], as the parsers take it.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_timestamp(NOW, 0).expect("a moment")
}

/// The first lines of an input, and the rest of it; `None` when it has fewer.
#[must_use]
pub fn parts<const LINES: usize>(input: &[u8]) -> Option<([&[u8]; LINES], &[u8])> {
    let mut rest = input;
    let mut lines = [&[][..]; LINES];
    for line in &mut lines {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        (*line, rest) = (&rest[..end], &rest[end + 1..]);
    }
    Some((lines, rest))
}

/// What arrives of a header with these bytes.
#[must_use]
pub fn header(name: &'static str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
}

/// The text of a header with these bytes, as [`HeaderValue::to_str`] gives it.
#[must_use]
pub fn header_text(value: &[u8]) -> Option<String> {
    HeaderValue::from_bytes(value).ok()?.to_str().ok().map(str::to_owned)
}

/// An HMAC-SHA256 over the pieces.
#[must_use]
pub fn mac(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().to_vec()
}

/// Whether a moment of sending is a number near enough to [`NOW`].
#[must_use]
pub fn is_recent(moment: &str) -> bool {
    moment.parse::<i64>().is_ok_and(|second| second.abs_diff(NOW) <= TOLERANCE_SECONDS)
}
