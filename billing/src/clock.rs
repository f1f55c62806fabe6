//! The only place of this crate that reads the clock.

use entitlement::Timestamp;

/// The moment at which it is called, with the precision that Postgres keeps: microseconds.
#[expect(clippy::disallowed_methods, reason = "everything else is handed the time")]
#[must_use]
pub fn now() -> Timestamp {
    use chrono::SubsecRound;

    chrono::Utc::now().trunc_subsecs(6)
}
