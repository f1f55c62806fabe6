//! From rows to the cache: the timeline of an account, told to whoever gates on it. Repeatable at any time.

pub(crate) mod compute;
mod outlets;
mod publisher;
pub use publisher::Published;
mod recent;
mod redis;
mod walk;

pub use compute::{entitlement_of, grants, losing, withheld};
pub(crate) use outlets::{Outlets, Told};

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use futures_util::future::try_join_all;

use crate::component::Billing;
use crate::metrics;
use crate::store::{StoreError, outbox, snapshot};

/// Why an account could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Redis cannot be used right now")]
    Redis(#[from] ::redis::RedisError),
    #[error("the entitlement cannot be encoded")]
    Encode(#[from] serde_json::Error),
}

impl PublishError {
    /// Whether the account itself is at fault: other accounts may go through.
    const fn is_of_account(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_transient(),
            Self::Redis(_) => false,
            Self::Encode(_) => true,
        }
    }
}

impl Billing {
    /// What an account has, from Postgres: one snapshot of its rows. Version 0 when nothing is known of it.
    pub(crate) async fn compute(&self, account: &AccountId, now: Timestamp) -> Result<Entitlement, StoreError> {
        let computed = self.compute_each(std::slice::from_ref(account), now).await?.pop();
        computed.ok_or_else(|| StoreError::missing("accounts", account))
    }

    async fn compute_each(&self, accounts: &[AccountId], now: Timestamp) -> Result<Vec<Entitlement>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let mut computed = Vec::with_capacity(accounts.len());
        for (account, snapshot) in accounts.iter().zip(snapshot::read(&mut conn, accounts).await?) {
            let rules = self.rules_of(&mut conn, snapshot.catalog).await?;
            computed.push(entitlement_of(account, &snapshot, &rules, now));
        }
        Ok(computed)
    }

    /// Tells the cache what accounts have now. Returns whether there was anybody to tell: without a cache and without
    /// a proxy in this process, another process does it.
    ///
    /// # Errors
    /// When the database or Redis fails, or one of the accounts cannot be read; the outbox still knows all of them then.
    pub(crate) async fn publish(&self, accounts: &[AccountId], now: Timestamp) -> Result<Told, PublishError> {
        if accounts.is_empty() {
            return Ok(Told::Everybody);
        }
        let entitlements = self.compute_each(accounts, now).await?;
        let versions: Vec<(AccountId, u64)> =
            accounts.iter().cloned().zip(entitlements.iter().map(|e| e.version)).collect();
        // At once, so that they go to Redis in one go.
        let told = try_join_all(entitlements.into_iter().map(|entitlement| self.shared().outlets.tell(entitlement)));
        if told.await?.contains(&Told::Nobody) {
            return Ok(Told::Nobody);
        }
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        for committed_at in outbox::told(&mut conn, &versions).await? {
            metrics::observe_publish(waited(committed_at, crate::clock::now()));
        }
        Ok(Told::Everybody)
    }
}

fn waited(since: Timestamp, now: Timestamp) -> f64 {
    (now - since).max(TimeDelta::zero()).as_seconds_f64()
}
