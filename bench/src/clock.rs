//! The only place in this crate that reads the wall clock: commit times are compared with it.

use chrono::{DateTime, Utc};

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
