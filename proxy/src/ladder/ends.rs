//! Sessions that this process has seen end, on their way to all others: an answer of the site that signs somebody out counts everywhere.
//!
//! No answer waits for that. What is seen meanwhile is told together, so that billing is called by one at a time, and a flood of ends is few calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entitlement::record::forget::{Forget, SUMS_MAX, Sum};
use prometheus::IntCounter;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::Below;
use crate::metrics::Metrics;

/// Most ends that wait to be told, of sessions of accounts and of all others each.
const WAITING_MAX: usize = 1024;

/// The end of a session: its way, and the sum of its credential.
type End = (String, Sum);

/// The ends of sessions, for all processes.
pub(super) struct Ends {
    /// Told with each, and no other process's.
    pub(super) process: u64,
    /// Of sessions that this process knows to be of an account. A flood of the others takes no place from them.
    known: mpsc::Sender<End>,
    others: mpsc::Sender<End>,
    counters: Counters,
}

/// Their outcome.
#[derive(Clone)]
pub(super) struct Counters {
    pub(super) told: IntCounter,
    /// Billing could not pass them on.
    pub(super) failed: IntCounter,
    /// Too many waited.
    pub(super) dropped: IntCounter,
}

impl Counters {
    pub(super) fn of(metrics: &Metrics) -> Self {
        let counter = |outcome| metrics.sessions_ended(outcome);
        Self { told: counter("told"), failed: counter("failed"), dropped: counter("dropped") }
    }
}

impl Ends {
    /// Tells `below` on `io`, for as long as this value lives.
    pub(super) fn new(below: Arc<dyn Below>, deadline: Duration, io: &Handle, counters: Counters) -> Self {
        let (known, of_accounts) = mpsc::channel(WAITING_MAX);
        let (others, of_others) = mpsc::channel(WAITING_MAX);
        let process = rand::random();
        io.spawn(tell(below, (process, deadline), (of_accounts, of_others), counters.clone()));
        Self { process, known, others, counters }
    }

    /// Notes an end. Beyond what can wait it is dropped: then what other processes keep ends by itself.
    pub(super) fn note(&self, way: &str, sum: Sum, is_known: bool) {
        let lane = if is_known { &self.known } else { &self.others };
        if lane.try_send((way.to_owned(), sum)).is_err() {
            self.counters.dropped.inc();
        }
    }
}

async fn tell(
    below: Arc<dyn Below>,
    (process, deadline): (u64, Duration),
    (mut known, mut others): (mpsc::Receiver<End>, mpsc::Receiver<End>),
    counters: Counters,
) {
    let mut ends = Vec::with_capacity(SUMS_MAX);
    loop {
        let first = tokio::select! {
            biased;
            end = known.recv() => end,
            end = others.recv() => end,
        };
        let Some(first) = first else { return };
        ends.push(first);
        while ends.len() < SUMS_MAX
            && let Ok(end) = known.try_recv().or_else(|_| others.try_recv())
        {
            ends.push(end);
        }
        let mut ways: BTreeMap<String, Vec<Sum>> = BTreeMap::new();
        for (way, sum) in ends.drain(..) {
            let sums = ways.entry(way).or_default();
            if !sums.contains(&sum) {
                sums.push(sum);
            }
        }
        for (way, sums) in ways {
            let count = u64::try_from(sums.len()).unwrap_or(u64::MAX);
            let forget = Forget::Session { way, sums, seen_by: Some(process) };
            match timeout(deadline, below.ended(&forget)).await {
                Ok(Ok(())) => counters.told.inc_by(count),
                Ok(Err(error)) => {
                    debug!(
                        error = &error as &dyn std::error::Error,
                        "the ends of sessions are not told to other processes"
                    );
                    counters.failed.inc_by(count);
                }
                Err(_) => counters.failed.inc_by(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_trait::async_trait;
    use entitlement::account::AccountId;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::ladder::{Answer, BelowError};

    /// Billing that passes on one call for each permit.
    struct Slow {
        permits: Semaphore,
        calls: mpsc::UnboundedSender<Forget>,
    }

    #[async_trait]
    impl Below for Slow {
        async fn resolve(&self, _: &AccountId) -> Result<Answer, BelowError> {
            Err(BelowError::Timeout)
        }

        async fn ended(&self, forget: &Forget) -> Result<(), BelowError> {
            self.calls.send(forget.clone()).expect("the test listens");
            self.permits.acquire().await.expect("it is open").forget();
            Ok(())
        }
    }

    fn counters() -> Counters {
        let counter = |name: &str| IntCounter::new(name, "of a test").expect("a counter");
        Counters { told: counter("told"), failed: counter("failed"), dropped: counter("dropped") }
    }

    #[tokio::test]
    async fn ends_are_told_together_and_a_flood_takes_no_place_from_accounts() {
        let (calls, mut told) = mpsc::unbounded_channel();
        let slow = Arc::new(Slow { permits: Semaphore::new(0), calls });
        let below = Arc::clone(&slow) as Arc<dyn Below>;
        let ends = Ends::new(below, Duration::from_secs(600), &Handle::current(), counters());
        let sum = |number: usize| -> Sum {
            let mut sum = Sum::default();
            sum[..8].copy_from_slice(&number.to_be_bytes());
            sum
        };
        ends.note("session", sum(0), false);
        let of = |way: &str, number| {
            Some(Forget::Session { way: way.to_owned(), sums: vec![sum(number)], seen_by: Some(ends.process) })
        };
        assert_eq!(told.recv().await, of("session", 0), "at once");
        // While billing is busy with that one, a flood comes, and two users sign out.
        for number in 0..=WAITING_MAX {
            ends.note("session", sum(number), false);
        }
        assert_eq!(ends.counters.dropped.get(), 1);
        for (way, number) in [("session", 7), ("session", 7), ("other", 8)] {
            ends.note(way, sum(number), true);
        }
        slow.permits.add_permits(2);
        assert_eq!(told.recv().await, of("other", 8));
        slow.permits.add_permits(2 * WAITING_MAX);
        let (mut all, mut first) = (BTreeSet::new(), None);
        while all.len() < WAITING_MAX {
            let Some(Forget::Session { sums, .. }) = told.recv().await else { panic!("the flood is told in its turn") };
            assert!(sums.len() <= SUMS_MAX);
            first = first.or(sums.first().copied());
            all.extend(sums);
        }
        assert_eq!(first, Some(sum(7)), "before the flood");
    }
}
