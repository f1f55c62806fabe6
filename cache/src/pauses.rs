//! How long to wait before a server is tried again that could not be reached: longer each time, and not as long as others do who
//! lost it at the same moment, so that one that comes back is not met by all of them at once.

use std::time::Duration;

/// The pauses between one try and the next, each up to twice as long as the one before. Half of each is chance.
#[derive(Debug)]
pub struct Pauses {
    least_ms: u64,
    most_ms: u64,
    next_ms: u64,
}

impl Pauses {
    /// The first takes at most `least_ms`, and none more than `most_ms`.
    #[must_use]
    pub const fn between(least_ms: u64, most_ms: u64) -> Self {
        Self { least_ms, most_ms, next_ms: least_ms }
    }

    /// The pause before the next try.
    pub fn take(&mut self) -> Duration {
        let most_ms = self.next_ms;
        self.next_ms = most_ms.saturating_mul(2).min(self.most_ms);
        Duration::from_millis(rand::random_range(most_ms / 2..=most_ms))
    }

    /// The last try went well: the next pause is a short one again.
    pub const fn start_over(&mut self) {
        self.next_ms = self.least_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 200 processes wait that have failed so often at the same moments.
    fn waits(failures: usize) -> Vec<u128> {
        let wait = |_| {
            let mut pauses = Pauses::between(40, 200);
            for _ in 1..failures {
                pauses.take();
            }
            pauses.take().as_millis()
        };
        (0..200).map(wait).collect()
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_those_who_failed_together_come_back_apart() {
        for (failures, most) in [(1, 40), (2, 80), (3, 160), (4, 200), (9, 200)] {
            let waits = waits(failures);
            assert!(waits.iter().all(|wait| (most / 2..=most).contains(wait)), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait < most * 5 / 8), "some are early, {failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait > most * 7 / 8), "and some late, {failures}: {waits:?}");
        }
    }

    #[test]
    fn who_was_reached_begins_with_a_short_one() {
        let mut pauses = Pauses::between(40, 200);
        for _ in 0..5 {
            pauses.take();
        }
        pauses.start_over();
        assert!(pauses.take() <= Duration::from_millis(40));
    }
}
