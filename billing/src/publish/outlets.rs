//! Who is told of a change: the cache that all proxies share, and a proxy in this very process.

use std::sync::Arc;

use entitlement::record::{self, Entitlement};
use tokio::sync::broadcast;

use super::PublishError;
use super::redis::Cache;
use crate::settings::Secret;

/// Where changes go.
pub(crate) struct Outlets {
    cache: Option<Cache>,
    local: Option<broadcast::Sender<Arc<Entitlement>>>,
}

/// Whether anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Everybody,
    /// There is neither a cache nor a proxy here: another process has to tell.
    Nobody,
}

impl Outlets {
    /// # Errors
    /// When the URL of the cache cannot be read. It is not contacted yet.
    pub fn new(
        redis_url: Option<&Secret>,
        local: Option<broadcast::Sender<Arc<Entitlement>>>,
    ) -> ::redis::RedisResult<Self> {
        Ok(Self { cache: redis_url.map(Cache::new).transpose()?, local })
    }

    /// Tells everybody who gates on it what an account has now.
    pub async fn tell(&self, entitlement: Entitlement) -> Result<Told, PublishError> {
        let entitlement = Arc::new(entitlement);
        let told = match (&self.local, &self.cache) {
            (None, None) => Told::Nobody,
            _ => Told::Everybody,
        };
        if let Some(local) = &self.local {
            // No receiver is no error: then no proxy of this process holds anything.
            let _ = local.send(Arc::clone(&entitlement));
        }
        if let Some(cache) = &self.cache {
            cache.publish(&entitlement, &record::encode(&entitlement)?).await?;
        }
        Ok(told)
    }

    /// Puts what was asked for into the cache, unless it holds something as new.
    pub async fn fill(&self, entitlement: &Entitlement) -> Result<(), PublishError> {
        if let Some(cache) = &self.cache {
            cache.fill(entitlement, &record::encode(entitlement)?).await?;
        }
        Ok(())
    }

    /// The version of an account that the cache holds; `None` when it holds none, or there is no cache.
    pub async fn cached_version(&self, account: &entitlement::account::AccountId) -> Result<Option<u64>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(cache.version(account).await?),
            None => Ok(None),
        }
    }

    /// Whether the cache answers; true when there is none.
    pub async fn reach(&self) -> ::redis::RedisResult<()> {
        match &self.cache {
            Some(cache) => cache.ping().await,
            None => Ok(()),
        }
    }
}
