//! Throws away the bodies of events that were done long ago, and consents of erased accounts that prove nothing any more: a few at a time,
//! behind everything else.

use std::time::Duration;

use chrono::TimeDelta;
use entitlement::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::settings::Settings;
use crate::store::{StoreError, retention};

/// How many bodies are thrown away in one transaction: a fraction of a second of a small database.
const BATCH: u32 = 1000;

/// How long live work has the database for itself between two batches.
const PAUSE: Duration = Duration::from_millis(100);

/// How often old bodies are looked for: a tenth of the time for which they are kept, within these bounds.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// Data that grows old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Bodies,
    Consents,
}

impl Billing {
    /// Throws away every body that is too old at `now`. Returns how many. Safe to do in several processes at once.
    ///
    /// # Errors
    /// When the database fails: what was thrown away until then stays so.
    pub async fn prune_bodies(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.prune_until(now, &CancellationToken::new()).await
    }

    /// Deletes every consent of an erased account that is too old at `now`. Returns how many. Safe to do in several processes at once.
    ///
    /// # Errors
    /// When the database fails: what was deleted until then stays so.
    pub async fn prune_consents(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.prune_each(self.settings().consents_kept, Old::Consents, now, &CancellationToken::new()).await
    }

    async fn prune_until(&self, now: Timestamp, stop: &CancellationToken) -> Result<u64, StoreError> {
        self.prune_each(self.settings().bodies_kept, Old::Bodies, now, stop).await
    }

    async fn prune_each(
        &self,
        kept: Option<TimeDelta>,
        old: Old,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<u64, StoreError> {
        // Beyond all time, or for ever: nothing is that old.
        let Some(before) = kept.and_then(|kept| now.checked_sub_signed(kept)) else { return Ok(0) };
        let mut sum = 0;
        loop {
            let pruned = self.prune_batch(old, before, now).await?;
            sum += pruned;
            if pruned < u64::from(BATCH) || !self.others_had_their_turn(stop).await {
                return Ok(sum);
            }
        }
    }

    /// Holds a connection for one batch only: there may be no other.
    async fn prune_batch(&self, old: Old, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut conn = self.pool().acquire().await?;
        match old {
            Old::Bodies => retention::prune(&mut conn, before, i64::from(BATCH), now).await,
            Old::Consents => retention::prune_consents(&mut conn, before, i64::from(BATCH)).await,
        }
    }

    /// Waits until live work had its turn and no deliveries crowd in; `false` when it is time to stop.
    async fn others_had_their_turn(&self, stop: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(PAUSE) => {}
            }
            if !self.is_crowded() {
                return true;
            }
        }
    }

    /// Prunes until told to stop. `kept` is the shortest time for which anything is.
    pub(crate) async fn run_pruner(self, kept: TimeDelta, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Settings { bodies_kept, consents_kept, .. } = self.settings();
            for (old, kept) in [(Old::Bodies, bodies_kept), (Old::Consents, consents_kept)] {
                match self.prune_each(*kept, old, clock::now(), &stop).await {
                    Ok(0) => {}
                    Ok(count) if old == Old::Bodies => {
                        tracing::info!(bodies = count, "the bodies of old events were thrown away");
                    }
                    Ok(count) => tracing::info!(consents = count, "old consents of erased accounts were deleted"),
                    Err(error) => {
                        tracing::warn!(
                            error = chain::told(&error),
                            ?old,
                            "what is old cannot be thrown away; it is tried again"
                        );
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(every(kept)) => {}
            }
        }
    }
}

fn every(kept: TimeDelta) -> Duration {
    let (least, most) = EVERY;
    (kept.to_std().unwrap_or_default() / 10).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_long_is_looked_at_seldom() {
        let cases = [(TimeDelta::days(90), 3600), (TimeDelta::hours(1), 360), (TimeDelta::seconds(2), 1)];
        for (kept, seconds) in cases {
            assert_eq!(every(kept), Duration::from_secs(seconds), "{kept}");
        }
    }
}
