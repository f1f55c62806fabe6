//! Whether billing has once reached everything that it needs, and whether its database accepts writes now: no webhook can be made
//! durable on one that does not. What else fails later is told by metrics and answers, not here: a process that cannot reach the
//! cache for a while still takes in webhooks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::component::Billing;
use crate::store::{StoreError, schema, writable};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prices that differ from the provider's and are named one by one; the metric counts all.
const DIFFERENCES_MAX: usize = 20;

/// What has been reached so far.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    database: AtomicBool,
    migrated: AtomicBool,
    redis: AtomicBool,
    lineage: AtomicBool,
}

/// What has been reached so far, and what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Postgres has answered.
    pub database: bool,
    /// Postgres accepts writes, or has not said otherwise: one that does not answer may be back at once.
    pub writable: bool,
    /// Its schema is this build's, or a newer one.
    pub migrated: bool,
    /// Redis has answered and granted every right that is needed, or none is used.
    pub redis: bool,
    /// It is known whose word counts there.
    pub lineage: bool,
}

impl Readiness {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        self.database && self.writable && self.migrated && self.redis && self.lineage
    }
}

impl Billing {
    /// Asks what has not answered yet; takes a second or two at most.
    pub async fn readiness(&self) -> Readiness {
        let contact = &self.shared().contact;
        if !contact.migrated.load(Ordering::Relaxed)
            && let Ok(Ok(migrated)) = tokio::time::timeout(PATIENCE, self.is_migrated()).await
        {
            contact.database.store(true, Ordering::Relaxed);
            contact.migrated.store(migrated, Ordering::Relaxed);
        }
        if !contact.redis.load(Ordering::Relaxed)
            && let Ok(true) = tokio::time::timeout(PATIENCE, self.shared().outlets.reach()).await
        {
            contact.redis.store(true, Ordering::Relaxed);
        }
        if !contact.lineage.load(Ordering::Relaxed) && contact.migrated.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(PATIENCE, self.look()).await;
            contact.lineage.store(self.lineage().is_known(), Ordering::Relaxed);
        }
        // The answer is kept with the connections, each of which is asked when it is made.
        let _ = tokio::time::timeout(PATIENCE, self.ask_for_writes()).await;
        Readiness {
            database: contact.database.load(Ordering::Relaxed),
            writable: !writable::is_read_only(),
            migrated: contact.migrated.load(Ordering::Relaxed),
            redis: contact.redis.load(Ordering::Relaxed),
            lineage: contact.lineage.load(Ordering::Relaxed),
        }
    }

    /// What an operator should know although everything works.
    pub async fn warnings(&self) -> Vec<String> {
        let mut warnings = self.catalog_warnings().await;
        let refused = tokio::time::timeout(PATIENCE, self.shared().outlets.refused());
        let refused = refused.await.unwrap_or_default();
        let is_refused = !refused.is_empty();
        warnings.extend(refused);
        warnings.extend(self.unset());
        warnings.extend(self.refused_keys());
        warnings.extend(self.shared().prices.differences().into_iter().take(DIFFERENCES_MAX));
        // An owner that may not be read is not one that is broken: the right that is missing is named already.
        warnings.extend(self.database_warning().filter(|_| !(is_refused && self.lineage().is_unreadable())));
        warnings.extend(self.elsewhere_warning());
        warnings.extend(self.cache_warning());
        warnings.extend(self.naming_warning());
        warnings
    }

    /// That another process on this database uses another Redis.
    pub(crate) fn cache_warning(&self) -> Option<String> {
        self.shared().caches.warning().map(str::to_owned)
    }

    /// That records of another database are held, or another one lives beside this one.
    pub(crate) fn database_warning(&self) -> Option<String> {
        self.lineage().warning(&self.settings().namespace)
    }

    /// Whether Redis answers, and refuses something that is needed.
    #[must_use]
    pub fn is_refused_by_redis(&self) -> bool {
        self.shared().outlets.is_refused()
    }

    /// Why Redis does not do what it is told: there is no connection, or something is refused.
    #[must_use]
    pub fn redis_fault(&self) -> Option<String> {
        self.shared().outlets.redis_fault()
    }

    async fn ask_for_writes(&self) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        Ok(writable::accepts_writes(&mut conn).await?)
    }

    async fn is_migrated(&self) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        schema::is_migrated(&mut conn).await
    }
}
