//! The layer below Redis, and what keeps it alive when everything above is gone: a deadline, a bound on the questions at
//! once, and a pause after it failed. A dead Redis must not become a dead Postgres.

use std::sync::Arc;
use std::time::Duration;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use super::circuit::Circuit;
use super::{Below, BelowError, Unresolved};
use crate::metrics::LayerCounters;

/// Failures of billing in a row after which it is left alone for a moment.
pub(super) const FAILURES_MAX: u32 = 5;

/// Questions at once about accounts that no cache knows. Each takes a connection to Postgres for some milliseconds.
pub(super) const LOOKUPS_MAX: usize = 24;

/// Questions at once before denials: a flood of those who have not paid takes nothing from those who have.
pub(super) const RECHECKS_MAX: usize = 8;

/// Why billing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Lookup,
    Recheck,
}

/// Billing, with its guards.
pub(super) struct Billing {
    below: Arc<dyn Below>,
    deadline: Duration,
    circuit: Circuit,
    lookups: Semaphore,
    rechecks: Semaphore,
    counters: LayerCounters,
}

impl Billing {
    /// `deadline` bounds one question, and how long it waits for its turn.
    pub(super) fn new(below: Arc<dyn Below>, deadline: Duration, counters: LayerCounters) -> Self {
        Self {
            below,
            deadline,
            circuit: Circuit::new(FAILURES_MAX),
            lookups: Semaphore::new(LOOKUPS_MAX),
            rechecks: Semaphore::new(RECHECKS_MAX),
            counters,
        }
    }

    /// What an account has. `now_ms` is a moment on the ladder's clock.
    pub(super) async fn ask(&self, account: &AccountId, why: Reason, now_ms: u64) -> Result<Entitlement, Unresolved> {
        if !self.circuit.is_closed(now_ms) {
            return Err(Unresolved);
        }
        let places = match why {
            Reason::Lookup => &self.lookups,
            Reason::Recheck => &self.rechecks,
        };
        let Ok(Ok(_place)) = timeout(self.deadline, places.acquire()).await else {
            self.counters.busy.inc();
            return Err(Unresolved);
        };
        // It may have failed while others were waited for.
        if !self.circuit.is_closed(now_ms) {
            return Err(Unresolved);
        }
        let answer = timeout(self.deadline, self.below.resolve(account)).await.unwrap_or(Err(BelowError::Timeout));
        match answer {
            Ok(record) if record.account == *account => {
                self.counters.hit.inc();
                self.circuit.succeeded();
                Ok(record)
            }
            Ok(_) => {
                self.counters.poisoned.inc();
                Err(Unresolved)
            }
            Err(error) => {
                self.counters.error.inc();
                self.circuit.failed(now_ms);
                debug!(error = &error as &dyn std::error::Error, "billing does not say what an account has");
                Err(Unresolved)
            }
        }
    }

    /// Whether the cache has been told of every change; `None` when billing does not say.
    pub(super) async fn has_told(&self) -> Option<bool> {
        timeout(self.deadline, self.below.has_told()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::metrics::Metrics;

    /// Billing that answers nobody, and counts who asks at once.
    #[derive(Default)]
    struct Silent {
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Below for Silent {
        async fn resolve(&self, _: &AccountId) -> Result<Entitlement, BelowError> {
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(at_once, Ordering::SeqCst);
            std::future::pending::<()>().await;
            Err(BelowError::Timeout)
        }
    }

    #[tokio::test]
    async fn however_many_accounts_are_asked_for_few_questions_are_under_way_and_none_for_ever() {
        let silent = Arc::new(Silent::default());
        let counters = Metrics::get().expect("nobody has taken a name").layer("billing");
        let below = Arc::clone(&silent) as Arc<dyn Below>;
        let billing = Arc::new(Billing::new(below, Duration::from_millis(20), counters));
        let asking = (0..500).map(|number: usize| {
            let billing = Arc::clone(&billing);
            let why = if number.is_multiple_of(2) { Reason::Lookup } else { Reason::Recheck };
            tokio::spawn(async move {
                let account = AccountId::parse(&number.to_string()).expect("an id");
                billing.ask(&account, why, 1_000).await.is_err()
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert!(asked.await.expect("no panic"), "nobody answers");
        }
        assert_eq!(silent.most.load(Ordering::SeqCst), LOOKUPS_MAX + RECHECKS_MAX);
        // All of them failed at once: billing is left alone now.
        let before = silent.at_once.load(Ordering::SeqCst);
        let account = AccountId::parse("later").expect("an id");
        assert!(billing.ask(&account, Reason::Lookup, 1_001).await.is_err());
        assert_eq!(silent.at_once.load(Ordering::SeqCst), before);
    }
}
