//! What an account has, straight from Postgres: what the proxies fall back to when no cache knows it.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Entitlement;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::store::StoreError;

impl Billing {
    /// What an account has now; version 0 when nothing is known of it. The cache is filled with it, unless it holds
    /// something newer by then.
    ///
    /// # Errors
    /// When the database fails. A cache that fails is no error.
    pub async fn resolve(&self, account: &AccountId) -> Result<Entitlement, StoreError> {
        self.resolve_at(account, clock::now()).await
    }

    pub(crate) async fn resolve_at(&self, account: &AccountId, now: Timestamp) -> Result<Entitlement, StoreError> {
        let entitlement = self.compute(account, now).await?;
        if let Err(error) = self.shared().outlets.fill(&entitlement).await {
            tracing::warn!(%account, error = chain::told(&error), "the cache could not be filled");
        }
        Ok(entitlement)
    }
}
