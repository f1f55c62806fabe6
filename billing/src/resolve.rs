//! What an account has, straight from Postgres: what the proxies fall back to when no cache knows it.

use std::time::{Duration, Instant};

use cache::{Outcome, Sparing};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::{DatabaseId, Entitlement, Record};
use entitlement::timeline::Status;

use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::problem::Problem;
use crate::publish::{Computed, PublishError, Why};
use crate::store::StoreError;

/// An answer that took longer may be outdated already, and is not put into the cache.
const FILLED_WITHIN: Duration = Duration::from_secs(1);

/// An account's entitlement, and the database that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub entitlement: Entitlement,
    /// The database that was asked. What it answers may be what another one had told before.
    pub asked: DatabaseId,
    /// The database that it is from.
    pub from: DatabaseId,
}

/// Why nobody can say what an account has.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "what was told before the database went back, or was replaced, cannot be read, and the database knows of nothing"
    )]
    Held(#[source] PublishError),
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Store(error) => error.into(),
            ResolveError::Held(_) => {
                static UNANSWERED: Sparing = Sparing::new();
                if let Some(untold) = UNANSWERED.tells(&error) {
                    tracing::error!(
                        error = chain::told(&error),
                        untold,
                        "questions about accounts are not answered: proxies go on with what they know"
                    );
                }
                Self::database_unavailable()
            }
        }
    }
}

impl Billing {
    /// What an account has now; version 0 when nothing is known of it. The cache is filled with it a moment later, unless
    /// it holds something newer by then. As long as other records are held, those that are not overruled are the answer.
    ///
    /// # Errors
    /// When the database fails, or what is held cannot be read. A cache that fails is no error else.
    pub async fn resolve(&self, account: &AccountId) -> Result<Resolved, ResolveError> {
        self.resolve_at(account, clock::now()).await
    }

    pub(crate) async fn resolve_at(&self, account: &AccountId, now: Timestamp) -> Result<Resolved, ResolveError> {
        let began = Instant::now();
        let computed = self.compute(account, now).await?;
        let asked = computed.record.database;
        let Some(held) = self.held_instead(&computed, now).await? else {
            if began.elapsed() <= FILLED_WITHIN {
                self.fill_later(&computed, now);
            }
            return Ok(Resolved { entitlement: computed.record.entitlement, asked, from: asked });
        };
        Ok(Resolved { entitlement: held.entitlement, asked, from: held.database })
    }

    /// The record that another database had told and that serves in the place of what this one says; `None` when there is none.
    pub(crate) async fn held_instead(
        &self,
        computed: &Computed,
        now: Timestamp,
    ) -> Result<Option<Record>, ResolveError> {
        let Record { database, entitlement } = &computed.record;
        if !self.shared().outlets.has_cache() {
            return Ok(None);
        }
        if let Some(by) = self.lineage().replaced_by() {
            match self.shared().outlets.newest_of(&[by], &entitlement.account).await {
                Ok(None) => {}
                Ok(told) => return Ok(told),
                Err(error) => return Err(ResolveError::Held(error)),
            }
        }
        if computed.is_new {
            return Ok(None);
        }
        let held = match self.glance(*database).await {
            Ok(lineage) if lineage.held().is_empty() => return Ok(None),
            Ok(lineage) => self.shared().outlets.newest_of(lineage.held(), &entitlement.account).await,
            // No answer yet, so that nothing is known to be held.
            Err(error) => {
                tracing::debug!(error = chain::told(&error), "it cannot be found out whose records the cache holds");
                return Ok(None);
            }
        };
        match held {
            Ok(held) => Ok(held.filter(|held| held.entitlement.version >= entitlement.version.max(1))),
            Err(error) if entitlement.timeline.at(now).status == Status::None => Err(ResolveError::Held(error)),
            Err(_) => Ok(None),
        }
    }

    /// Whether the cache has been told of every change but those of this moment, as far as this process knows. On a former primary
    /// it is told of none: what the database in its place says has to be asked for.
    #[must_use]
    pub fn has_told(&self) -> bool {
        let is_replaced = self.lineage().replaced_by().is_some();
        !is_replaced && !self.shared().outlets.is_behind() && self.shared().caches.are_well()
    }

    /// Nobody waits for the cache: whoever asks here is often asking because it does not answer.
    fn fill_later(&self, computed: &Computed, now: Timestamp) {
        // Too many at once: the next one who asks fills it.
        let Some(place) = self.shared().outlets.place() else { return };
        let (billing, computed) = (self.clone(), computed.clone());
        self.shared().tasks.spawn(async move {
            let _place = place;
            if let Err(error) = billing.fill(&computed, now).await {
                let account = &computed.record.entitlement.account;
                tracing::debug!(%account, error = chain::told(&error), "the cache was not filled");
            }
        });
    }

    /// Fills the cache, then looks whether the account has changed since it was read. Whoever told the cache of that may
    /// have done so before, and Redis may have forgotten it: then ours would lie there, outdated, and nobody would know.
    pub(crate) async fn fill(&self, computed: &Computed, now: Timestamp) -> Result<(), PublishError> {
        let Computed { record, is_new } = computed;
        // A record in the cache counts more than one that is held: only changes since belong there.
        if self.lineage().replaced_by().is_some() || (!is_new && self.is_held_back().await) {
            return Ok(());
        }
        let (account, database) = (&record.entitlement.account, record.database);
        let stored = self.shared().outlets.fill(record).await?;
        if stored == Some(Outcome::Outdated) {
            let version = self.shared().outlets.cached_version(database, account).await?;
            if let Some(version) = version {
                self.has_gone_back(account, (database, version)).await?;
            }
        }
        if stored != Some(Outcome::Stored) || record.entitlement.version == 0 {
            return Ok(());
        }
        if self.compute(account, now).await?.record.entitlement.version > record.entitlement.version {
            self.publish(std::slice::from_ref(account), Why::Due, now).await?;
        }
        Ok(())
    }
}
