//! The only place of this crate that reads the clock, and the form in which it writes moments for people.

use entitlement::Timestamp;

/// The moment at which it is called, with the precision that Postgres keeps: microseconds.
#[expect(clippy::disallowed_methods, reason = "everything else is handed the time")]
#[must_use]
pub fn now() -> Timestamp {
    use chrono::SubsecRound;

    chrono::Utc::now().trunc_subsecs(6)
}

/// A moment as a person reads it, by the second.
#[must_use]
pub fn written(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
