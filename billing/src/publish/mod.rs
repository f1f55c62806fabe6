//! From rows to the cache: the timeline of an account, told to whoever gates on it. Repeatable at any time.

pub(crate) mod compute;
mod held;
mod outlets;
mod publisher;
pub use publisher::Published;
mod recent;
mod redis;
mod walk;

pub use compute::{entitlement_of, grants, losing, to_be_bought_again};
use held::Tellable;
pub(crate) use outlets::{Outlets, Told};

use cache::Outcome;
use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::Record;
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
    #[error("it is not known yet whose records the cache holds")]
    Unknown,
    #[error("PostgreSQL accepts no writes")]
    ReadOnly,
    #[error("PostgreSQL goes back again and again")]
    GoneBack,
    #[error("REDIS_URL leads to another Redis here than in the processes that run: set the same")]
    Elsewhere,
}

impl PublishError {
    /// Whether the cache lacks what it was to be told.
    const fn is_of_cache(&self) -> bool {
        matches!(self, Self::Redis(_) | Self::Unknown)
    }

    /// Whether the account itself is at fault: other accounts may go through.
    const fn is_of_account(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_transient(),
            Self::Redis(_) | Self::Unknown | Self::ReadOnly | Self::GoneBack | Self::Elsewhere => false,
            Self::Encode(_) => true,
        }
    }
}

/// Why accounts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// This process has just changed them.
    New,
    /// They are due: somebody has changed them, and it may be that only a dump says so.
    Due,
}

/// An account's record, and whether it is known by something that the database has learnt under its present id.
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    pub record: Record,
    pub is_new: bool,
}

impl Billing {
    /// What an account has, from Postgres: one snapshot of its rows. Version 0 when nothing is known of it.
    pub(crate) async fn compute(&self, account: &AccountId, now: Timestamp) -> Result<Computed, StoreError> {
        let computed = self.compute_each(std::slice::from_ref(account), now).await?.pop();
        computed.ok_or_else(|| StoreError::missing("accounts", account))
    }

    pub(crate) async fn compute_each(
        &self,
        accounts: &[AccountId],
        now: Timestamp,
    ) -> Result<Vec<Computed>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let mut computed = Vec::with_capacity(accounts.len());
        for (account, snapshot) in accounts.iter().zip(snapshot::read(&mut conn, accounts).await?) {
            let rules = self.rules_of(&mut conn, snapshot.catalog).await?;
            let (database, is_new) = (snapshot.database, snapshot.is_new);
            let entitlement = entitlement_of(account, &snapshot, &rules, now);
            computed.push(Computed { record: Record { database, entitlement }, is_new });
        }
        Ok(computed)
    }

    /// Tells the cache what accounts have now. Returns whether there was anybody to tell: without a cache and without
    /// a proxy in this process, another process does it.
    ///
    /// # Errors
    /// When the database or Redis fails, or one of the accounts cannot be read; the outbox still knows all of them then.
    pub(crate) async fn publish(&self, accounts: &[AccountId], why: Why, now: Timestamp) -> Result<Told, PublishError> {
        let published = self.try_publish(accounts, why, now).await;
        if let Some(fault) = published.as_ref().err().filter(|error| error.is_of_cache()) {
            self.shared().outlets.set_behind(true, Some(fault));
        }
        published
    }

    async fn try_publish(&self, accounts: &[AccountId], why: Why, now: Timestamp) -> Result<Told, PublishError> {
        if accounts.is_empty() {
            return Ok(Told::Everybody);
        }
        for _ in 0..TRIES {
            let computed = self.compute_each(accounts, now).await?;
            let versions: Vec<(AccountId, u64)> =
                accounts.iter().cloned().zip(computed.iter().map(|c| c.record.entitlement.version)).collect();
            let Tellable { records, versions } = self.tellable(computed, versions, why, now).await?;
            // At once, so that they go to Redis in one go.
            let telling = records.into_iter().map(|record| self.tell(record));
            let told = try_join_all(telling).await?;
            if told.contains(&Telling::GoneBack) {
                continue;
            }
            if told.contains(&Telling::Nobody) {
                return Ok(Told::Nobody);
            }
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            for committed_at in outbox::told(&mut conn, &versions).await? {
                metrics::observe_publish(waited(committed_at, crate::clock::now()));
            }
            return Ok(Told::Everybody);
        }
        Err(PublishError::GoneBack)
    }

    /// Tells of one account, and looks what it means when something newer is there.
    async fn tell(&self, record: Record) -> Result<Telling, PublishError> {
        let (account, database) = (record.entitlement.account.clone(), record.database);
        let told = match self.shared().outlets.tell(record).await? {
            (Told::Nobody, _) => Telling::Nobody,
            (Told::Everybody, Some(Outcome::Outdated)) => {
                let version = self.shared().outlets.cached_version(database, &account).await?;
                match version {
                    Some(version) if self.has_gone_back(&account, (database, version)).await? => Telling::GoneBack,
                    _ => Telling::Told,
                }
            }
            (Told::Everybody, _) => Telling::Told,
        };
        Ok(told)
    }
}

/// How often an account is computed again when the database is found to have gone back.
const TRIES: u32 = 3;

/// The outcome of telling one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Told,
    Nobody,
    /// The database has another id now: it is to be computed again.
    GoneBack,
}

fn waited(since: Timestamp, now: Timestamp) -> f64 {
    (now - since).max(TimeDelta::zero()).as_seconds_f64()
}
