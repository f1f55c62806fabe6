//! From rows to the cache: the timeline of an account, told to whoever gates on it. Repeatable at any time.

mod compute;
mod outlets;
mod publisher;
pub use publisher::Published;
mod redis;

pub use compute::{entitlement_of, grants};
pub(crate) use outlets::{Outlets, Told};

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Entitlement;

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
        let mut conn = self.pool().acquire().await?;
        let snapshot = snapshot::read(&mut conn, account).await?;
        let rules = self.rules_of(&mut conn, snapshot.catalog).await?;
        Ok(entitlement_of(account, &snapshot, &rules, now))
    }

    /// Tells the cache what an account has now. Returns whether there was anybody to tell: without a cache and without
    /// a proxy in this process, another process does it.
    ///
    /// # Errors
    /// When the database or Redis fails; the outbox still knows then.
    pub(crate) async fn publish(&self, account: &AccountId, now: Timestamp) -> Result<Told, PublishError> {
        let entitlement = self.compute(account, now).await?;
        let version = entitlement.version;
        if self.shared().outlets.tell(entitlement).await? == Told::Nobody {
            return Ok(Told::Nobody);
        }
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        if let Some(committed_at) = outbox::told(&mut conn, account, version).await? {
            metrics::observe_publish(waited(committed_at, crate::clock::now()));
        }
        Ok(Told::Everybody)
    }
}

fn waited(since: Timestamp, now: Timestamp) -> f64 {
    (now - since).max(TimeDelta::zero()).as_seconds_f64()
}
