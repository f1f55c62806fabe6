//! How long the body of a request is, as its head says.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};

use super::chunks::Chunks;

/// What is still to come of a request's body.
#[derive(Debug, Default)]
pub(crate) enum Body {
    #[default]
    Over,
    Length(u64),
    Chunks(Chunks),
}

impl Body {
    /// As the head of a request says that Pingora has read, and thereby validated (RFC 9112 section 6.3).
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Self::Chunks(Chunks::default());
        }
        let length = |value: &HeaderValue| value.to_str().ok()?.split(',').next()?.trim().parse().ok();
        match headers.get(CONTENT_LENGTH).and_then(length) {
            None | Some(0) => Self::Over,
            Some(length) => Self::Length(length),
        }
    }
}
