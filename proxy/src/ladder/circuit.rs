//! Keeps a layer that just failed from being asked by every request, so that a fault costs its deadline once, not
//! once per request.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Shortest pause, in milliseconds; with the jitter it may be twice that. The jitter keeps replicas from coming back as one.
const PAUSE_MS: u64 = 100;

/// How often the pause doubles while failures go on: it is less than 2 seconds always.
const DOUBLINGS_MAX: u32 = 3;

/// Closed until a layer fails so many times in a row, then open for a short while, and a longer one when it fails again.
#[derive(Debug)]
pub(crate) struct Circuit {
    failures_max: u32,
    failures: AtomicU32,
    open_until_ms: AtomicU64,
}

impl Circuit {
    /// A circuit that opens after so many failures in a row.
    pub(crate) const fn new(failures_max: u32) -> Self {
        Self { failures_max, failures: AtomicU32::new(0), open_until_ms: AtomicU64::new(0) }
    }

    /// Whether the layer may be asked.
    pub(crate) fn is_closed(&self, now_ms: u64) -> bool {
        now_ms >= self.open_until_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A question failed that was asked at `now_ms`.
    pub(crate) fn failed(&self, now_ms: u64) {
        // Those that were asked before the circuit opened tell nothing new: many fail at once.
        if !self.is_closed(now_ms) {
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Some(more) = failures.checked_sub(self.failures_max) {
            let pause_ms = PAUSE_MS << more.min(DOUBLINGS_MAX);
            let pause_ms = rand::random_range(pause_ms..=2 * pause_ms);
            self.open_until_ms.fetch_max(now_ms + pause_ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_opens_after_enough_failures_in_a_row_and_closes_by_itself() {
        let circuit = Circuit::new(2);
        circuit.failed(1_000);
        assert!(circuit.is_closed(1_000));
        circuit.succeeded();
        circuit.failed(1_000);
        assert!(circuit.is_closed(1_000), "the success in between counts");
        circuit.failed(1_000);
        assert!(!circuit.is_closed(1_000 + PAUSE_MS - 1));
        assert!(circuit.is_closed(1_000 + 2 * PAUSE_MS));
        circuit.failed(2_000);
        assert!(!circuit.is_closed(2_000), "still down: one failure is enough");
    }

    #[test]
    fn those_who_failed_together_come_back_apart() {
        for (failures, pause_ms) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 800)] {
            let open_for = |_: u32| {
                let (circuit, mut now_ms) = (Circuit::new(1), 0);
                for _ in 0..failures {
                    now_ms = circuit.open_until_ms.load(Ordering::Relaxed);
                    circuit.failed(now_ms);
                }
                circuit.open_until_ms.load(Ordering::Relaxed) - now_ms
            };
            let replicas: Vec<u64> = (0..200).map(open_for).collect();
            assert!(replicas.iter().all(|ms| (pause_ms..=2 * pause_ms).contains(ms)), "{failures}: {replicas:?}");
            assert!(replicas.iter().any(|ms| *ms < pause_ms * 5 / 4), "some are early, {failures}: {replicas:?}");
            assert!(replicas.iter().any(|ms| *ms > pause_ms * 7 / 4), "and some late, {failures}: {replicas:?}");
        }
    }

    #[test]
    fn who_fails_on_is_asked_less_and_less_often_but_never_left_alone() {
        let circuit = Circuit::new(1);
        let mut now_ms = 0;
        for pause_ms in [100, 200, 400, 800, 800, 800] {
            for _ in 0..50 {
                circuit.failed(now_ms);
            }
            assert!(!circuit.is_closed(now_ms + pause_ms - 1), "{pause_ms}");
            now_ms += 2 * pause_ms;
            assert!(circuit.is_closed(now_ms), "fifty that failed at once count as one: {pause_ms}");
        }
    }
}
