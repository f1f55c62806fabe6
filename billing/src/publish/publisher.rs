//! The background publisher: tells the cache what those who committed could not, because they were killed, or Redis
//! was down.

use std::time::Duration;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use rand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{PublishError, Told, Why};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::store::StoreError;
use crate::store::outbox::{self, Untold};

/// How often the outbox is looked at without being woken.
const POLL: Duration = Duration::from_secs(1);

/// How many accounts are read from the outbox at once.
const BATCH: i64 = 256;

/// How many are published at once.
const CONCURRENCY: usize = 8;

/// Longest wait between two attempts at one account, in seconds.
const PUT_OFF_SECONDS_MAX: i64 = 600;

/// How one round of publishing went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Accounts of which the cache has been told.
    pub told: usize,
    /// Accounts that failed by themselves, and were put off.
    pub put_off: usize,
}

impl Published {
    const fn and(self, other: Self) -> Self {
        Self { told: self.told + other.told, put_off: self.put_off + other.put_off }
    }
}

impl Billing {
    /// Publishes what is due at `now`, until nothing is, and goes through the accounts that a new catalog concerns.
    ///
    /// # Errors
    /// When the database or Redis fails: then nothing is due less than before, except what went through.
    pub async fn publish_due(&self, now: Timestamp) -> Result<Published, PublishError> {
        self.publish_until(now, &CancellationToken::new()).await
    }

    async fn publish_until(&self, now: Timestamp, stop: &CancellationToken) -> Result<Published, PublishError> {
        let (mut sum, mut now) = (Published::default(), now);
        loop {
            let due = self.untold(now).await?;
            let full = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            let round = self.publish_batch(due, now).await?;
            sum = sum.and(round);
            if stop.is_cancelled() || (full && round == Published::default()) {
                return Ok(sum);
            }
            if full {
                continue;
            }
            // What a purchase left over comes before each batch of those that only a new catalog concerns.
            let Some(accounts) = self.walk_on(now).await? else { return Ok(sum) };
            let walked = accounts.into_iter().map(|account| Untold { account, attempts: 0 }).collect();
            sum = sum.and(self.publish_batch(walked, now).await?);
            now = now.max(clock::now());
        }
    }

    async fn untold(&self, now: Timestamp) -> Result<Vec<Untold>, PublishError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        Ok(outbox::due(&mut conn, now, BATCH).await?)
    }

    /// All of them in one go; where one of them is at fault, each by itself. The first fault that is nobody's own ends the round.
    async fn publish_batch(&self, due: Vec<Untold>, now: Timestamp) -> Result<Published, PublishError> {
        let accounts: Vec<AccountId> = due.iter().map(|untold| untold.account.clone()).collect();
        match self.publish(&accounts, Why::Due, now).await {
            Ok(Told::Everybody) => Ok(Published { told: accounts.len(), put_off: 0 }),
            Ok(Told::Nobody) => Ok(Published::default()),
            Err(error) if error.is_of_account() => self.publish_each(due, now).await,
            Err(error) => Err(error),
        }
    }

    async fn publish_each(&self, due: Vec<Untold>, now: Timestamp) -> Result<Published, PublishError> {
        let mut sum = Published::default();
        let mut running = JoinSet::new();
        let mut due = due.into_iter();
        loop {
            while running.len() < CONCURRENCY
                && let Some(untold) = due.next()
            {
                let billing = self.clone();
                running.spawn(async move { billing.publish_or_put_off(untold, now).await });
            }
            match running.join_next().await {
                None => return Ok(sum),
                Some(Ok(Ok(Some(Told::Everybody)))) => sum.told += 1,
                Some(Ok(Ok(Some(Told::Nobody)))) => {}
                Some(Ok(Ok(None))) => sum.put_off += 1,
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(panic)) => tracing::error!(error = chain::told(&panic), "publishing an account panicked"),
            }
        }
    }

    /// `None` when the account was put off.
    async fn publish_or_put_off(&self, untold: Untold, now: Timestamp) -> Result<Option<Told>, PublishError> {
        match self.publish(std::slice::from_ref(&untold.account), Why::Due, now).await {
            Ok(told) => Ok(Some(told)),
            Err(error) if error.is_of_account() => {
                self.put_account_off(&untold, &error, now).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn put_account_off(&self, untold: &Untold, error: &PublishError, now: Timestamp) -> Result<(), StoreError> {
        let account: &AccountId = &untold.account;
        tracing::error!(%account, attempts = untold.attempts + 1, error = chain::told(error), "an account cannot be published");
        let wait = 2_i64.saturating_pow(untold.attempts).min(PUT_OFF_SECONDS_MAX);
        let mut conn = self.pool().acquire().await?;
        outbox::put_off(&mut conn, account, now + TimeDelta::seconds(wait)).await
    }

    /// Tells again what the cache had been told of, and has lost.
    async fn look_again(&self) {
        let lost = self.shared().outlets.store_again().await;
        if lost.is_empty() {
            return;
        }
        tracing::info!(
            accounts = lost.len(),
            "the cache had lost records that it was told of lately: it is told again"
        );
        for accounts in lost.chunks(CONCURRENCY) {
            if let Err(error) = self.publish(accounts, Why::Due, clock::now()).await {
                tracing::warn!(error = chain::told(&error), "what the cache has lost could not be told again");
            }
        }
    }

    /// Whether the cache is told of what it could not be told of before, after a round without a fault: one in which nothing was due yet
    /// proves nothing.
    async fn is_over(&self, published: Published) -> bool {
        let faults = &self.shared().publish_faults;
        if !faults.lasts() {
            return true;
        }
        let soon = clock::now() + TimeDelta::days(1);
        let is_over = published.told > 0 || self.untold(soon).await.is_ok_and(|untold| untold.is_empty());
        if let Some(failures) = is_over.then(|| faults.ends()).flatten() {
            tracing::info!(failures, "the cache has been told of every change");
        }
        is_over
    }

    /// Counts that the cache could not be told of a change that is committed, and says so when that begins.
    pub(crate) fn note_unpublished(&self, error: &PublishError) {
        metrics::count_publish_failure();
        let error_told = chain::told(error);
        if self.shared().publish_faults.begins(error) {
            tracing::warn!(
                error = error_told,
                "changes are committed, and the cache is not told of them: it is tried until it works, and proxies ask billing meanwhile"
            );
        } else {
            tracing::debug!(error = error_told, "the cache is still not told of changes");
        }
    }

    /// Publishes until told to stop. A fault is tried again with a growing delay, so that a Redis that comes back is
    /// not met by a storm.
    pub(crate) async fn run_publisher(self, stop: CancellationToken) {
        let mut faults: u32 = 0;
        while !stop.is_cancelled() {
            match self.publish_until(clock::now(), &stop).await {
                Ok(published) => {
                    faults = 0;
                    if self.is_over(published).await {
                        self.look_again().await;
                    }
                }
                Err(error) => {
                    faults = faults.saturating_add(1);
                    self.note_unpublished(&error);
                }
            }
            let wait = if faults == 0 { POLL } else { backoff(faults) };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.shared().untold.notified(), if faults == 0 => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Between a quarter of a second and 5 seconds, with jitter.
fn backoff(faults: u32) -> Duration {
    let most =
        Duration::from_millis(250).saturating_mul(2_u32.saturating_pow(faults.min(8))).min(Duration::from_secs(5));
    rand::rng().random_range(most / 2..=most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_failed_together_come_back_apart_and_later_each_time() {
        for (faults, most_ms) in [(1, 500), (2, 1_000), (3, 2_000), (4, 4_000), (5, 5_000), (1_000, 5_000)] {
            let waits: Vec<u128> = (0..200).map(|_| backoff(faults).as_millis()).collect();
            assert!(waits.iter().all(|wait| (most_ms / 2..=most_ms).contains(wait)), "{faults}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait < most_ms * 5 / 8), "some are early, {faults}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait > most_ms * 7 / 8), "and some late, {faults}: {waits:?}");
        }
    }
}
