//! After a change of the catalog: every account gets a new version, and the cache is told of it, batch by batch.
//!
//! The catalog is current from its commit on, for everything that is computed. What the cache was told before is of an older
//! version, so that only a new version of each account takes its place. A batch is given its versions when the one before it has
//! been told: the outbox never holds more than one of them, and what a purchase leaves there does not wait behind the others.

use entitlement::Timestamp;
use entitlement::account::AccountId;

use crate::component::Billing;
use crate::store::{StoreError, walk};

/// How many accounts are locked at once: for some milliseconds.
const BATCH: i64 = 200;

impl Billing {
    /// Gives the next batch of accounts new versions; `None` when all have one, another process does it, or nobody is here whom
    /// this process could tell.
    pub(super) async fn walk_on(&self, now: Timestamp) -> Result<Option<Vec<AccountId>>, StoreError> {
        if !self.shared().outlets.has_anybody() {
            return Ok(None);
        }
        // While other records serve, a catalog takes nothing from those whom they are about.
        if self.is_held_back().await {
            return Ok(None);
        }
        let mut tx = self.pool().begin().await?;
        let Some(walk) = walk::take(&mut tx).await? else { return Ok(None) };
        let rules = self.rules_of(&mut tx, Some(walk.catalog)).await?;
        let renamed: Vec<(String, String)> =
            rules.catalog.renamed().map(|(old, new)| (old.to_owned(), new.to_owned())).collect();
        let Some(accounts) = walk::on(&mut tx, &walk, &renamed, BATCH, now).await? else { return Ok(None) };
        tx.commit().await?;
        if accounts.len() < usize::try_from(BATCH).unwrap_or_default() {
            tracing::info!(catalog = walk.catalog, "all accounts have a new version after the change of the catalog");
        }
        Ok(Some(accounts))
    }

    /// Up to which account all have been told of a new catalog; `None` when there is nothing more to tell.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn catalog_walk(&self) -> Result<Option<String>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        walk::place(&mut conn).await
    }

    /// Whether this process can tell the cache, or a proxy that runs in it.
    #[must_use]
    pub fn can_tell(&self) -> bool {
        self.shared().outlets.has_anybody()
    }
}
