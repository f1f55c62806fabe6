//! The one place of this crate that reads the clock.

use crate::Timestamp;

/// The time of the machine.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub fn now() -> Timestamp {
    chrono::Utc::now()
}
