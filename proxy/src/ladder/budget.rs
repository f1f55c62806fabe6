//! How much may be asked about those who have not paid, over all accounts together. Each is asked about seldom, but there may
//! be any number of them.
//!
//! It is a bucket that is filled at a steady rate, kept as the moment at which it will be full again (the generic cell rate
//! algorithm), so that it takes one atomic number and no task.

use std::sync::atomic::{AtomicU64, Ordering};

const MICROS_PER_MS: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// A bound on questions per second, of which some may come at once.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What one question costs, in microseconds of waiting.
    cost: u64,
    /// How far ahead of the clock the bucket may be when it is empty, in microseconds.
    depth: u64,
    /// When it is full again, in microseconds of the ladder's clock.
    full_at: AtomicU64,
}

impl Budget {
    /// A full bucket of `burst` questions, to which `per_second` are added.
    pub(crate) const fn new(per_second: u64, burst: u64) -> Self {
        let cost = MICROS_PER_SECOND / per_second;
        Self { cost, depth: burst * cost, full_at: AtomicU64::new(0) }
    }

    /// Takes one question out at `now_ms`, if there is one.
    pub(crate) fn take(&self, now_ms: u64) -> bool {
        let now = now_ms.saturating_mul(MICROS_PER_MS);
        let taken = |full_at: u64| {
            let next = full_at.max(now) + self.cost;
            (next <= now + self.depth).then_some(next)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand questions at one moment are let through.
    fn at_once(budget: &Budget, now_ms: u64) -> usize {
        (0..1_000).filter(|_| budget.take(now_ms)).count()
    }

    #[test]
    fn as_many_as_fit_come_at_once_and_then_as_many_as_are_added() {
        let budget = Budget::new(100, 30);
        assert_eq!(at_once(&budget, 5_000), 30);
        assert_eq!(at_once(&budget, 5_009), 0, "not a whole one yet");
        assert_eq!(at_once(&budget, 5_010), 1);
        assert_eq!(at_once(&budget, 5_110), 10);
        assert_eq!(at_once(&budget, 60_000), 30, "no more is saved than fits");
        assert_eq!(at_once(&budget, 59_000), 0, "who asks late takes nothing that is not there");
    }

    #[test]
    fn over_a_long_time_no_more_is_asked_than_the_rate_allows() {
        let budget = Budget::new(100, 30);
        let asked: usize = (0..10_000).map(|ms| at_once(&budget, ms)).sum();
        assert!((1_020..=1_030).contains(&asked), "{asked} in ten seconds");
    }
}
