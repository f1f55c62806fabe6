//! What every Stripe event says about itself, whatever it is about: all that must be readable before it is kept.

use serde::Deserialize;

use super::payload::{Moment, Name, lenient};
use crate::provider::text::mended;

/// The outside of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub event_id: String,
    pub kind: String,
    /// The version of the API that shaped the body.
    pub api_version: Option<String>,
    pub livemode: Option<bool>,
}

/// The day of the newest version of the API whose shapes this build was tested with.
const NEWEST_VERSION: &str = "2026-09-30";

impl Envelope {
    /// Whether its shape is of a version that this build has not been tested with.
    pub fn is_of_unknown_version(&self) -> bool {
        let day = self.api_version.as_deref().map(|version| version.get(..NEWEST_VERSION.len()).unwrap_or(version));
        day.is_some_and(|day| day > NEWEST_VERSION)
    }
}

/// Why a body is not an event.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    #[error("the body is not JSON with an `id`, a `type` and a `created`")]
    Shape(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Outside {
    id: Name,
    #[serde(rename = "type")]
    kind: Name,
    /// Read only to be required: without it the event could never be applied.
    #[serde(rename = "created")]
    _created: Moment,
    #[serde(default, deserialize_with = "lenient")]
    api_version: Option<Name>,
    #[serde(default, deserialize_with = "lenient")]
    livemode: Option<bool>,
}

/// Reads the outside of an event.
///
/// # Errors
/// When the body is not JSON, or does not have what every event has.
pub fn read_envelope(body: &[u8]) -> Result<Envelope, NotAnEvent> {
    let outside: Outside = serde_json::from_str(&mended(body)).map_err(NotAnEvent::Shape)?;
    Ok(Envelope {
        event_id: outside.id.0,
        kind: outside.kind.0,
        api_version: outside.api_version.map(|version| version.0),
        livemode: outside.livemode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_event_has_is_required_and_the_rest_is_not() {
        let snapshot = br#"{"id":"evt_1","type":"invoice.paid","created":1700000000,"livemode":true,"api_version":"2020-08-27","data":{}}"#;
        let envelope = read_envelope(snapshot).expect("an event");
        assert_eq!((envelope.event_id.as_str(), envelope.kind.as_str()), ("evt_1", "invoice.paid"));
        assert_eq!((envelope.api_version.as_deref(), envelope.livemode), (Some("2020-08-27"), Some(true)));
        let odd = br#"{"id":"evt_1","type":"x","created":"2026-01-02T03:04:05Z","livemode":"yes","api_version":7}"#;
        let envelope = read_envelope(odd).expect("a thin event");
        assert_eq!((&envelope.api_version, envelope.livemode), (&None, None));
        for (version, expected) in [("2020-08-27", false), ("2026-09-30.endive", false), ("2027-03-31.fig", true)] {
            let envelope = Envelope { api_version: Some(version.into()), ..envelope.clone() };
            assert_eq!(envelope.is_of_unknown_version(), expected, "{version}");
        }
        let bad: [&[u8]; 13] = [
            b"",
            b"[]",
            b"{",
            b"\xff\xfe",
            br#"{"type":"x","created":1}"#,
            br#"{"id":"evt_1","type":"x","created":-1}"#,
            br#"{"id":"evt_1","type":"x","created":"1011-11-14T22:13:20.000Z"}"#,
            br#"{"id":"evt_1","type":"x","created":"+10000-01-01T00:00:00Z"}"#,
            br#"{"id":7,"type":"x","created":1}"#,
            br#"{"id":"","type":"x","created":1}"#,
            br#"{"id":"evt\u0000","type":"x","created":1}"#,
            br#"{"id":"evt_1","created":1}"#,
            br#"{"id":"evt_1","type":"x"}"#,
        ];
        for body in bad {
            assert!(read_envelope(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
