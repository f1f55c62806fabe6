//! Spans of time as they are written, none longer than clocks can count.

use std::time::Duration;

use humantime_serde::Serde;
use serde::{Deserialize, Deserializer};

/// The longest: a thousand years.
const MAX: Duration = Duration::from_secs(365_000 * 86_400);

/// A text that may be a span, or none.
pub trait Span: Sized {
    fn span(&self) -> Option<Duration>;
}

impl Span for Duration {
    fn span(&self) -> Option<Duration> {
        Some(*self)
    }
}

impl Span for Option<Duration> {
    fn span(&self) -> Option<Duration> {
        *self
    }
}

/// Reads `30s`, `5m`, `14d`.
///
/// # Errors
/// When it is no span, or one that is never over.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Span,
    Serde<T>: Deserialize<'de>,
    D: Deserializer<'de>,
{
    bounded(humantime_serde::deserialize(deserializer)?)
}

/// The same, where an empty text stands for none.
///
/// # Errors
/// As [`deserialize`].
pub fn or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let read = humantime::parse_duration(&text);
    let read =
        read.map_err(|error| serde::de::Error::custom(format_args!("expected a duration, not \"{text}\" ({error})")))?;
    bounded(Some(read))
}

fn bounded<T: Span, E: serde::de::Error>(span: T) -> Result<T, E> {
    match span.span() {
        Some(span) if span > MAX => Err(E::custom("expected a duration of a thousand years at most")),
        _ => Ok(span),
    }
}
