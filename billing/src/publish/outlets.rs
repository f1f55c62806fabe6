//! Who is told of a change: the cache that all proxies share, and a proxy in this very process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use cache::{CacheId, Met, Newcomer, Outcome, Owner, Place, PlaceError, Refusal};
use entitlement::account::AccountId;
use entitlement::record::forget::Forget;
use entitlement::record::{DatabaseId, Namespace, Record};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;

use super::PublishError;
use super::recent::Recent;
use super::redis::Cache;
use crate::settings::Secret;

/// Answers that are put into the cache at once; beyond, the next one who asks does it.
const FILLS_MAX: usize = 64;

/// The most causes that the log is told of while the cache is behind.
const CAUSES_MAX: usize = 8;

/// Makes a proxy in this process forget sessions.
pub(crate) type ForgetSessions = Box<dyn Fn(&Forget) + Send + Sync>;

/// Where changes go.
pub(crate) struct Outlets {
    cache: Option<Cache>,
    local: Option<broadcast::Sender<Arc<Record>>>,
    /// Whether the cache could not be told of a change, and has not been since.
    is_behind: AtomicBool,
    /// The causes that the log has been told of since the cache is behind.
    causes: Mutex<Vec<String>>,
    recent: Mutex<Recent>,
    /// Makes a proxy in this process forget sessions.
    forgets: OnceLock<ForgetSessions>,
    /// For answers that are being put into the cache.
    fills: Arc<Semaphore>,
}

/// Whether anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Everybody,
    /// There is neither a cache nor a proxy here: another process has to tell.
    Nobody,
}

impl Outlets {
    /// Begins to connect to the cache, on the current runtime.
    ///
    /// # Errors
    /// When the URL of the cache cannot be read.
    pub fn new(
        redis_url: Option<&Secret>,
        namespace: &Namespace,
        local: Option<broadcast::Sender<Arc<Record>>>,
    ) -> Result<Self, PlaceError> {
        Ok(Self {
            cache: redis_url.map(|url| Cache::new(url, namespace.clone())).transpose()?,
            local,
            is_behind: AtomicBool::new(false),
            causes: Mutex::default(),
            recent: Mutex::default(),
            forgets: OnceLock::new(),
            fills: Arc::new(Semaphore::new(FILLS_MAX)),
        })
    }

    /// Whether there is a cache, or a proxy here.
    pub const fn has_anybody(&self) -> bool {
        self.cache.is_some() || self.local.is_some()
    }

    /// Whether there is a cache that others share.
    pub const fn has_cache(&self) -> bool {
        self.cache.is_some()
    }

    /// By which proxies find out whether they share the cache; none where there is no cache, and `None` as long as it is not known.
    pub fn cache_id(&self) -> Option<CacheId> {
        self.cache.as_ref().map_or_else(|| Some(CacheId::default()), Cache::id)
    }

    /// As [`Outlets::cache_id`], read anew; none where there is no cache.
    pub async fn look_for_id(&self) -> Result<Option<CacheId>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(Some(cache.look_for_id().await?)),
            None => Ok(None),
        }
    }

    /// By which claims accounts are known, as the cache was told last; `None` when it was not, or cannot be asked.
    pub async fn names(&self) -> Option<String> {
        self.cache.as_ref()?.names().await.ok()?
    }

    /// Tells the cache by which claims accounts are known. What it could not be told is told again: this is for a later process.
    pub async fn note_names(&self, names: &str) {
        if let Some(cache) = &self.cache
            && let Err(error) = cache.note_names(names).await
        {
            tracing::debug!(error = crate::chain::told(&error), "the cache is not told how accounts are named");
        }
    }

    /// The database that has the word, as the cache says; `None` when nothing does, or it cannot be read.
    pub async fn owner(&self) -> Result<Option<Owner>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(cache.owner().await?),
            None => Ok(None),
        }
    }

    /// As [`Outlets::owner`], under another namespace.
    pub async fn owner_under(&self, namespace: &Namespace) -> Result<Option<Owner>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(cache.owner_under(namespace).await?),
            None => Ok(None),
        }
    }

    /// As [`Outlets::owner_under`], where that may be another installation's.
    pub async fn owner_elsewhere(&self, namespace: &Namespace) -> Result<Option<Owner>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(cache.owner_elsewhere(namespace).await?),
            None => Ok(None),
        }
    }

    /// Notes under which other namespace records of this installation are held.
    pub fn hold_under(&self, also: Option<&Namespace>) {
        if let Some(cache) = &self.cache {
            cache.hold_under(also);
        }
    }

    /// The namespaces under which records of this installation may stand; none without a cache.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.cache.as_ref().map(Cache::namespaces).unwrap_or_default()
    }

    /// Where the cache is.
    pub fn place_of_cache(&self) -> Option<&Place> {
        self.cache.as_ref().map(|cache| &cache.place)
    }

    /// Tells everybody who gates on it what an account has now, and what the cache made of it.
    pub async fn tell(&self, record: Record) -> Result<(Told, Option<Outcome>), PublishError> {
        let record = Arc::new(record);
        let told = match (&self.local, &self.cache) {
            (None, None) => Told::Nobody,
            _ => Told::Everybody,
        };
        if let Some(local) = &self.local {
            // No receiver is no error: then no proxy of this process holds anything.
            let _ = local.send(Arc::clone(&record));
        }
        let Some(cache) = &self.cache else { return Ok((told, None)) };
        match cache.publish(&record).await {
            Ok(outcome) => {
                self.recent.lock().note(record, Instant::now());
                Ok((told, Some(outcome)))
            }
            Err(error) => {
                self.set_behind(true, Some(&error));
                Err(error)
            }
        }
    }

    /// Has `forget` called, in this very process, for sessions that have ended.
    pub fn on_forget(&self, forget: ForgetSessions) {
        self.forgets.get_or_init(|| forget);
    }

    /// Tells every process which sessions have ended. `Told::Nobody`: there is neither a cache nor a proxy here.
    ///
    /// # Errors
    /// When the cache could not pass it on: other processes may not know.
    pub async fn forget(&self, forget: &Forget) -> Result<Told, PublishError> {
        let here = self.forgets.get();
        if let Some(forgets) = here {
            forgets(forget);
        }
        match &self.cache {
            Some(cache) => cache.forget(forget).await.map(|()| Told::Everybody),
            None if here.is_some() => Ok(Told::Everybody),
            None => Ok(Told::Nobody),
        }
    }

    /// Notes whether the cache lacks changes that it could not be told of, and by which fault. The log is told of each cause
    /// once: a connection that breaks first is not all that an operator has to mend.
    pub fn set_behind(&self, is_behind: bool, fault: Option<&PublishError>) {
        let was_behind = self.is_behind.swap(is_behind, Ordering::Relaxed);
        let mut causes = self.causes.lock();
        if !is_behind {
            causes.clear();
            if was_behind {
                tracing::info!("the cache lacks no change any more");
            }
            return;
        }
        let cause = self.cause(fault);
        let is_new = cause.as_ref().is_some_and(|cause| causes.len() < CAUSES_MAX && !causes.contains(cause));
        if !was_behind || is_new {
            tracing::warn!(cause, "the cache lacks changes: proxies ask billing until it has them");
            causes.extend(cause);
        }
    }

    /// The cause of a fault: other work may still be noted as refused for a former one.
    fn cause(&self, fault: Option<&PublishError>) -> Option<String> {
        let refusal = match fault {
            Some(PublishError::Redis(error)) => Refusal::of(error),
            _ => None,
        };
        match (refusal, self.place_of_cache()) {
            // The right that a script lacks is found out after it.
            (Some(refusal), Some(place)) if refusal != Refusal::RightOfScript => Some(format!("{place}: {refusal}")),
            _ => self.redis_fault(),
        }
    }

    /// Whether the cache lacks changes that it could not be told of.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Puts what was asked for into the cache, unless it holds something as new. `None` when there is no cache.
    pub async fn fill(&self, record: &Record) -> Result<Option<Outcome>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(Some(cache.fill(record).await?)),
            None => Ok(None),
        }
    }

    /// Puts a record of another database, which is held, where it stood before; nothing newer is overwritten, and nobody is told.
    pub async fn put_back(&self, record: &Record) -> Result<(), PublishError> {
        match &self.cache {
            Some(cache) => cache.put_back(record).await,
            None => Ok(()),
        }
    }

    /// A place for an answer that is to be put into the cache; none without a cache, and when too many have one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.cache.as_ref()?;
        Arc::clone(&self.fills).try_acquire_owned().ok()
    }

    /// Stores once more what the cache was told lately. Returns the accounts whose record it had lost: all have to be told
    /// again. What cannot be stored may be lost, and the cache is behind until it is known.
    pub async fn store_again(&self) -> Vec<AccountId> {
        let Some(cache) = &self.cache else { return Vec::new() };
        let connection = cache.connection();
        let due = self.recent.lock().due(connection, Instant::now());
        let (mut lost, mut is_behind) = (Vec::new(), connection.is_none() && !self.recent.lock().is_empty());
        let (mut due, mut fault) = (due.into_iter(), None);
        while let Some(record) = due.next() {
            match self.fill(&record).await {
                Ok(Some(Outcome::Stored)) => lost.push(record.entitlement.account.clone()),
                Ok(_) => {}
                Err(error) => {
                    is_behind = true;
                    fault = Some(error);
                    let mut recent = self.recent.lock();
                    std::iter::once(record).chain(due.by_ref()).for_each(|record| recent.note(record, Instant::now()));
                    recent.is_elsewhere();
                }
            }
        }
        self.set_behind(is_behind, fault.as_ref());
        lost
    }

    /// As if the connection were another now.
    #[cfg(test)]
    pub fn is_elsewhere(&self) {
        self.recent.lock().is_elsewhere();
    }

    /// The version of an account that the cache holds of a database; `None` when it holds none, or there is no cache.
    pub async fn cached_version(&self, database: DatabaseId, account: &AccountId) -> Result<Option<u64>, PublishError> {
        let record = self.newest_of(&[database], account).await?;
        Ok(record.map(|record| record.entitlement.version))
    }

    /// The newest record of an account that the cache holds of some databases; `None` when it holds none, or there is no cache.
    pub async fn newest_of(
        &self,
        databases: &[DatabaseId],
        account: &AccountId,
    ) -> Result<Option<Record>, PublishError> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let held = try_join_all(databases.iter().map(|database| cache.record(*database, account))).await?;
        Ok(held.into_iter().flatten().max_by_key(|record| record.entitlement.version))
    }

    /// Lets a database meet who has the word; `None` without a cache.
    pub async fn meet(&self, me: Newcomer) -> Result<Option<Met>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(Some(cache.meet(me).await?)),
            None => Ok(None),
        }
    }

    /// As [`Outlets::meet`], but changes nothing.
    pub async fn overlook(&self, me: Newcomer) -> Result<Option<Met>, PublishError> {
        match &self.cache {
            Some(cache) => Ok(Some(cache.overlook(me).await?)),
            None => Ok(None),
        }
    }

    /// Gives a database the word.
    pub async fn own(&self, me: Newcomer) -> Result<(), PublishError> {
        match &self.cache {
            Some(cache) => Ok(cache.own(me).await?),
            None => Ok(()),
        }
    }

    /// Whether the cache answers and grants every right that is needed; true when there is none. One that is full or read-only
    /// for a while is reached.
    pub async fn reach(&self) -> bool {
        let Some(cache) = &self.cache else { return true };
        match cache.probe().await {
            Ok(()) => true,
            Err(PublishError::Redis(error)) => Refusal::of(&error).is_some_and(|refusal| !refusal.is_lasting()),
            Err(_) => false,
        }
    }

    /// Why the cache does not do what it is told, with its address: there is no connection, or something is refused.
    pub fn redis_fault(&self) -> Option<String> {
        self.cache.as_ref()?.fault()
    }

    /// Whether the cache refuses something.
    pub fn is_refused(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| !cache.refused().is_empty())
    }

    /// What the cache refuses, in words; while it refuses something, it is asked whether it still does.
    pub async fn refused(&self) -> Vec<String> {
        let Some(cache) = &self.cache else { return Vec::new() };
        if !cache.refused().is_empty() {
            // How it went is noted.
            let _ = cache.probe().await;
        }
        cache.refused().iter().map(Refusal::to_string).collect()
    }
}
