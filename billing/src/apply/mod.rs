//! From a stored event to its effects: claim it, decide, write, in one transaction; then tell the cache.

mod answered;
pub(crate) mod ask;
pub(crate) mod effect;
mod note;
mod plan;
mod transaction;
mod worker;

pub(crate) use ask::{Asked, Asking};
pub(crate) use note::{bought, is_paid_for, may_run};
pub use worker::Drained;

use std::collections::BTreeSet;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use rand::Rng;

use crate::chain;
use crate::component::Billing;
use crate::publish::{Told, Why};
use crate::store::{StoreError, events};

/// Failures of its own after which an event is given up: with the delays below, after a little over an hour.
const ATTEMPTS_MAX: i32 = 12;

/// Longest delay between two attempts, in seconds.
const DELAY_SECONDS_MAX: i64 = 3600;

/// What became of an event in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was applied; these accounts have a new version.
    Applied {
        changed: Vec<AccountId>,
        /// Whether anything is otherwise than before.
        has_effect: bool,
    },
    /// It changes nothing, and why is written down.
    Ignored,
    /// It waits for its customer to be linked.
    Parked,
    /// It failed, and is tried again.
    Failed,
    /// It is given up until an operator replays it.
    Dead,
    /// Somebody else has it, or it is done.
    Taken,
}

impl Fate {
    /// The accounts that have a new version by it.
    fn changed(&self) -> impl Iterator<Item = AccountId> {
        let changed = match self {
            Self::Applied { changed, .. } => changed.as_slice(),
            _ => &[],
        };
        changed.iter().cloned()
    }
}

/// What became of an event, and whether its effects can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub fate: Fate,
    /// Whether the cache has been told of every effect.
    pub published: bool,
}

impl Billing {
    /// Applies one event and publishes its effects. A failure of the event's own is counted and put off; what is not
    /// published is left to the publisher.
    ///
    /// # Errors
    /// When the database cannot be used: nothing has happened, and the event is as due as before.
    #[tracing::instrument(name = "apply", skip_all, fields(event = id))]
    pub(crate) async fn apply_event(&self, id: i64, now: Timestamp) -> Result<Applied, StoreError> {
        let (asked, guard) = self.ask(id, now).await?;
        let transacted = self.transact(&[id], asked, now).await;
        drop(guard);
        let fate = match transacted {
            Ok(mut fates) => fates.pop().unwrap_or(Fate::Taken),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => self.note_failure(id, &chain::told(&error), now).await?,
        };
        self.ask_before_lowering(fate.changed(), now).await;
        let published = self.publish_at_once(fate.changed(), now).await;
        Ok(Applied { fate, published })
    }

    /// Applies events in one transaction and publishes their effects. Nobody is asked about them. When anything fails,
    /// nothing has happened: then each is to be applied by itself, so that what is wrong with one harms no other.
    ///
    /// # Errors
    /// When anything fails.
    #[tracing::instrument(name = "apply", skip_all, fields(events = ids.len()))]
    pub(crate) async fn apply_together(&self, ids: &[i64], now: Timestamp) -> Result<Vec<Fate>, StoreError> {
        let fates = self.transact(ids, Asked::default(), now).await?;
        let changed: BTreeSet<AccountId> = fates.iter().flat_map(Fate::changed).collect();
        self.publish_at_once(changed, now).await;
        Ok(fates)
    }

    /// Publishes what this process has just committed; when that fails, the publisher goes on with it.
    pub(crate) async fn publish_at_once(&self, changed: impl IntoIterator<Item = AccountId>, now: Timestamp) -> bool {
        let changed: Vec<AccountId> = changed.into_iter().collect();
        changed.iter().for_each(|account| self.shared().billed.forget(account));
        self.publish_now(changed, Why::New, now).await
    }

    /// Publishes what was committed before, in case nobody has done so yet.
    pub(crate) async fn publish_once_more(&self, account: &AccountId, now: Timestamp) -> bool {
        self.publish_now(vec![account.clone()], Why::Due, now).await
    }

    async fn publish_now(&self, accounts: Vec<AccountId>, why: Why, now: Timestamp) -> bool {
        match self.publish(&accounts, why, now).await {
            Ok(told) => told == Told::Everybody,
            Err(error) => {
                self.note_unpublished(&error);
                self.shared().untold.notify_one();
                false
            }
        }
    }

    /// Counts a failure, and puts the event off or gives it up.
    pub(crate) async fn note_failure(&self, id: i64, reason: &str, now: Timestamp) -> Result<Fate, StoreError> {
        let mut tx = self.pool().begin().await?;
        let Some(attempts) = events::failed(&mut tx, id, reason).await? else { return Ok(Fate::Taken) };
        let next = (attempts < ATTEMPTS_MAX).then(|| now + delay(attempts));
        events::retry_at(&mut tx, id, next).await?;
        tx.commit().await?;
        if next.is_some() {
            tracing::warn!(
                event = id,
                attempts,
                reason,
                "an event failed and will be tried again: `tollgate events show` has it by its number"
            );
            return Ok(Fate::Failed);
        }
        tracing::error!(
            event = id,
            attempts,
            reason,
            "an event failed too often and is dead: repair the cause, then `tollgate events replay` it by its number"
        );
        Ok(Fate::Dead)
    }
}

/// Doubles with each failure, from a second on, up to an hour; a quarter of it is chance.
fn delay(attempts: i32) -> chrono::Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    let most = 2_i64.saturating_pow(doublings).min(DELAY_SECONDS_MAX) * 1000;
    chrono::Duration::milliseconds(rand::rng().random_range(most * 3 / 4..=most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_together_is_tried_again_apart_and_later_each_time() {
        for (attempts, most_ms) in
            [(1, 1_000), (2, 2_000), (8, 128_000), (12, 2_048_000), (13, 3_600_000), (99, 3_600_000)]
        {
            let waits: Vec<i64> = (0..200).map(|_| delay(attempts).num_milliseconds()).collect();
            assert!(waits.iter().all(|wait| (most_ms * 3 / 4..=most_ms).contains(wait)), "{attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait < most_ms * 13 / 16), "some early, {attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait > most_ms * 15 / 16), "some late, {attempts}: {waits:?}");
        }
    }
}
