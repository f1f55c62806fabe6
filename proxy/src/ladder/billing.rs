//! The layer below Redis, and what keeps it alive when everything above is gone: a deadline, a bound on the questions at
//! once, a bound on what those ask who have not paid, and a pause after it failed. A dead Redis must not become a dead
//! Postgres, and a flood of free users must not become load.

use std::sync::Arc;
use std::time::Duration;

use entitlement::account::AccountId;
use entitlement::record::HighWater;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use super::budget::Budget;
use super::circuit::Circuit;
use super::{Answer, Below, BelowError, Told};
use crate::metrics::LayerCounters;

/// Failures of billing in a row after which it is left alone for a moment.
pub(super) const FAILURES_MAX: u32 = 5;

/// Questions at once about accounts that no cache knows. Each takes a connection to Postgres for some milliseconds.
pub(super) const LOOKUPS_MAX: usize = 24;

/// Questions at once before denials: a flood of those who have not paid takes nothing from those who have.
pub(super) const RECHECKS_MAX: usize = 8;

/// Questions per second before denials, of all accounts together, and how many of them may come at once. A tenth of a core's
/// work for billing and Postgres; beyond it Redis is asked.
pub(super) const RECHECKS_PER_SECOND: u64 = 100;
pub(super) const RECHECKS_BURST: u64 = 200;

/// How many connections are closed after one led to a billing that is not to be asked.
const CLOSED: u32 = 8;

/// Why billing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// About an account that no cache knows.
    Lookup,
    /// About somebody who has not paid, as far as is known. It can do without an answer.
    Recheck,
}

/// Why billing has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It was not asked, as too many ask.
    Busy,
    /// It failed, or did a moment ago.
    Failed,
}

/// Billing, with its guards.
pub(super) struct Billing {
    below: Arc<dyn Below>,
    deadline: Duration,
    circuit: Circuit,
    lookups: Semaphore,
    rechecks: Semaphore,
    budget: Budget,
    counters: LayerCounters,
}

impl Billing {
    /// Why no question is answered, in an operator's words.
    pub(super) fn refusal(&self) -> Option<String> {
        self.below.refusal()
    }

    /// `deadline` bounds one question, and how long it waits for its turn.
    pub(super) fn new(below: Arc<dyn Below>, deadline: Duration, counters: LayerCounters) -> Self {
        Self {
            below,
            deadline,
            circuit: Circuit::new(FAILURES_MAX),
            lookups: Semaphore::new(LOOKUPS_MAX),
            rechecks: Semaphore::new(RECHECKS_MAX),
            budget: Budget::new(RECHECKS_PER_SECOND, RECHECKS_BURST),
            counters,
        }
    }

    /// What an account has. `now_ms` is a moment on the ladder's clock.
    pub(super) async fn ask(&self, account: &AccountId, why: Reason, now_ms: u64) -> Result<Answer, Unanswered> {
        if !self.circuit.is_closed(now_ms) {
            return Err(Unanswered::Failed);
        }
        if why == Reason::Recheck && !self.budget.take(now_ms) {
            self.counters.busy.inc();
            return Err(Unanswered::Busy);
        }
        let places = match why {
            Reason::Lookup => &self.lookups,
            Reason::Recheck => &self.rechecks,
        };
        let Ok(Ok(_place)) = timeout(self.deadline, places.acquire()).await else {
            self.counters.busy.inc();
            return Err(Unanswered::Busy);
        };
        // It may have failed while others were waited for.
        if !self.circuit.is_closed(now_ms) {
            return Err(Unanswered::Failed);
        }
        let answer = timeout(self.deadline, self.below.resolve(account)).await.unwrap_or(Err(BelowError::Timeout));
        match answer {
            Ok(answer) if answer.entitlement.account == *account => {
                self.counters.hit.inc();
                self.circuit.succeeded();
                Ok(answer)
            }
            Ok(_) => {
                self.counters.poisoned.inc();
                Err(Unanswered::Failed)
            }
            Err(error) => {
                self.counters.error.inc();
                self.circuit.failed(now_ms);
                debug!(error = &error as &dyn std::error::Error, "billing does not say what an account has");
                Err(Unanswered::Failed)
            }
        }
    }

    /// As when so many are denied that nothing is left for those who come next.
    #[cfg(test)]
    pub(super) fn spend(&self, now_ms: u64) {
        while self.budget.take(now_ms) {}
    }

    /// Another one should be asked than whoever answered.
    pub(super) fn elsewhere(&self) {
        self.below.elsewhere(CLOSED);
    }

    /// It would be well to hear another one, too.
    pub(super) fn look_around(&self) {
        self.below.elsewhere(1);
    }

    /// Hands over what is held. Gives whether it was taken in.
    pub(super) async fn hand_over(&self, records: &[String]) -> bool {
        matches!(timeout(self.deadline, self.below.hand_over(records)).await, Ok(Ok(())))
    }

    /// Billing's word on the cache; `None` when it says nothing.
    pub(super) async fn told(&self, remembered: Option<HighWater>) -> Option<Told> {
        timeout(self.deadline, self.below.told(remembered)).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::metrics::Metrics;

    /// Billing that answers nobody, and counts who asks, and how many at once.
    #[derive(Default)]
    struct Silent {
        asked: AtomicUsize,
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    /// One who asks, until nobody waits for the answer any more.
    struct Asking<'a>(&'a AtomicUsize);

    impl Drop for Asking<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Below for Silent {
        async fn resolve(&self, _: &AccountId) -> Result<Answer, BelowError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            let _asking = Asking(&self.at_once);
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
        let before = silent.asked.load(Ordering::SeqCst);
        let account = AccountId::parse("later").expect("an id");
        assert!(billing.ask(&account, Reason::Lookup, 1_001).await.is_err());
        assert_eq!(silent.asked.load(Ordering::SeqCst), before);
    }
}
