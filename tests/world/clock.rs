//! The only file of the tests that reads the clock: events and tokens carry real times, because the processes under
//! test run on the real clock.

use chrono::{DateTime, Utc};

/// The moment of the call.
#[expect(clippy::disallowed_methods, reason = "the one place where the tests read the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Seconds since 1970, `seconds` from now.
pub fn in_seconds(seconds: i64) -> i64 {
    now().timestamp() + seconds
}
