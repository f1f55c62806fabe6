//! The one place of this crate that reads a clock. Everything else gets a [`Moment`] as an argument.

use std::time::{Duration, Instant};

use entitlement::Timestamp;

/// One reading of both clocks: the wall clock for what a token or a timeline says, the monotonic one for ages, so that
/// a corrected wall clock never makes a cached record younger.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub time: Timestamp,
    pub tick: Instant,
}

impl Moment {
    /// The moment that comes `after` later.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        let wall = chrono::Duration::from_std(after).unwrap_or(chrono::Duration::MAX);
        Self { time: self.time.checked_add_signed(wall).unwrap_or(Timestamp::MAX_UTC), tick: self.tick + after }
    }
}

/// Now, by the wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
pub fn now() -> Timestamp {
    chrono::Utc::now()
}

/// Now, by both clocks.
#[must_use]
pub fn moment() -> Moment {
    Moment { time: now(), tick: Instant::now() }
}
