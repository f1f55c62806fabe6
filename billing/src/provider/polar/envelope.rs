//! What every Polar event says about itself, whatever it is about: all that must be readable before it is kept.

use http::HeaderMap;
use serde::Deserialize;

use super::payload::{Moment, Name};
use super::signature::{ID_HEADER, only};
use crate::provider::text::mended;

/// The outside of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The body has no id of its own: the header's is the same in each delivery of an event.
    pub event_id: String,
    pub kind: String,
}

/// Why a delivery is not an event.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    #[error("the id in the header must have 1 to 255 bytes and no control characters")]
    Id,
    #[error("the body is not JSON with a `type` and a `timestamp`")]
    Shape(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Outside {
    #[serde(rename = "type")]
    kind: Name,
    /// Read only to be required: without it the event could never be applied.
    #[serde(rename = "timestamp")]
    _timestamp: Moment,
}

/// Reads the outside of an event.
///
/// # Errors
/// When the header cannot be an id, or the body is not JSON or does not have what every event has.
pub fn read_envelope(headers: &HeaderMap, body: &[u8]) -> Result<Envelope, NotAnEvent> {
    let event_id = only(headers, ID_HEADER).and_then(|id| Name::parse(id).ok()).ok_or(NotAnEvent::Id)?;
    let outside: Outside = serde_json::from_str(&mended(body)).map_err(NotAnEvent::Shape)?;
    Ok(Envelope { event_id: event_id.0, kind: outside.kind.0 })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(id: &str, body: &[u8]) -> Result<Envelope, NotAnEvent> {
        read_envelope(
            &HeaderMap::from_iter([(ID_HEADER.parse().expect("a name"), HeaderValue::from_str(id).expect("a value"))]),
            body,
        )
    }

    const BODY: &[u8] = br#"{"type":"order.paid","timestamp":"2026-01-02T03:04:05.678901Z","data":7,"more":null}"#;

    #[test]
    fn what_every_event_has_is_required_and_the_rest_is_not() {
        let expected = Envelope { event_id: "evt 1".into(), kind: "order.paid".into() };
        assert_eq!(read("evt 1", BODY).expect("an event"), expected);
        for id in ["", "a\tb", &"x".repeat(256)] {
            assert!(matches!(read(id, BODY), Err(NotAnEvent::Id)), "{id:?}");
        }
        assert!(matches!(read_envelope(&HeaderMap::new(), BODY), Err(NotAnEvent::Id)), "no header");
        let bad: [&[u8]; 9] = [
            b"",
            b"\xff\xfe",
            b"[]",
            b"{",
            br#"{"timestamp":"2026-01-02T03:04:05Z"}"#,
            br#"{"type":7,"timestamp":"2026-01-02T03:04:05Z"}"#,
            br#"{"type":"a\u0000b","timestamp":"2026-01-02T03:04:05Z"}"#,
            br#"{"type":"order.paid"}"#,
            br#"{"type":"order.paid","timestamp":"soon"}"#,
        ];
        for body in bad {
            assert!(matches!(read("1", body), Err(NotAnEvent::Shape(_))), "{}", String::from_utf8_lossy(body));
        }
    }
}
