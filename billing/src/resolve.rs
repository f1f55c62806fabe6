//! What an account has, straight from Postgres: what the proxies fall back to when no cache knows it.

use std::time::{Duration, Instant};

use cache::Outcome;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Entitlement;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::publish::PublishError;
use crate::store::StoreError;

/// An answer that took longer may be outdated already, and is not put into the cache.
const FILLED_WITHIN: Duration = Duration::from_secs(1);

impl Billing {
    /// What an account has now; version 0 when nothing is known of it. The cache is filled with it a moment later, unless
    /// it holds something newer by then.
    ///
    /// # Errors
    /// When the database fails. A cache that fails is no error.
    pub async fn resolve(&self, account: &AccountId) -> Result<Entitlement, StoreError> {
        self.resolve_at(account, clock::now()).await
    }

    pub(crate) async fn resolve_at(&self, account: &AccountId, now: Timestamp) -> Result<Entitlement, StoreError> {
        let began = Instant::now();
        let entitlement = self.compute(account, now).await?;
        if began.elapsed() <= FILLED_WITHIN {
            self.fill_later(&entitlement, now);
        }
        Ok(entitlement)
    }

    /// Whether the cache has been told of every change but those of this moment, as far as this process knows.
    #[must_use]
    pub fn has_told(&self) -> bool {
        !self.shared().outlets.is_behind()
    }

    /// Nobody waits for the cache: whoever asks here is often asking because it does not answer.
    fn fill_later(&self, entitlement: &Entitlement, now: Timestamp) {
        // Too many at once: the next one who asks fills it.
        let Some(place) = self.shared().outlets.place() else { return };
        let (billing, entitlement) = (self.clone(), entitlement.clone());
        self.shared().tasks.spawn(async move {
            let _place = place;
            if let Err(error) = billing.fill(&entitlement, now).await {
                tracing::debug!(account = %entitlement.account, error = chain::told(&error), "the cache was not filled");
            }
        });
    }

    /// Fills the cache, then looks whether the account has changed since it was read. Whoever told the cache of that may
    /// have done so before, and Redis may have forgotten it: then ours would lie there, outdated, and nobody would know.
    pub(crate) async fn fill(&self, entitlement: &Entitlement, now: Timestamp) -> Result<(), PublishError> {
        let stored = self.shared().outlets.fill(entitlement).await?;
        if stored != Some(Outcome::Stored) || entitlement.version == 0 {
            return Ok(());
        }
        if self.compute(&entitlement.account, now).await?.version > entitlement.version {
            self.publish(std::slice::from_ref(&entitlement.account), now).await?;
        }
        Ok(())
    }
}
