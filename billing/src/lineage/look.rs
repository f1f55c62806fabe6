//! Asks the cache who has the word, again and again, and gives a database that has gone back another id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Met, Newcomer};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::record::DatabaseId;
use tokio_util::sync::CancellationToken;

use super::{KNOWN_AFTER, Lineage, Word};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::publish::PublishError;
use crate::store::identity::{self, AreHeld, Hold, Identity, Renewal};
use crate::store::{StoreError, writable};
use crate::takings::What;

/// How long whoever has something to tell waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the cache is asked.
const EVERY: Duration = Duration::from_millis(500);

/// How long a command looks who lives.
const LONG: Duration = Duration::from_secs(2 * KNOWN_AFTER.as_secs());

impl Billing {
    /// Asks once. While the server accepts no writes, or the cache does not answer, what was known stays.
    ///
    /// # Errors
    /// When the database or the cache fails.
    pub(crate) async fn look(&self) -> Result<Arc<Lineage>, PublishError> {
        let _one = self.shared().looking.lock().await;
        self.look_now().await
    }

    /// As [`Billing::look`], unless somebody looks already: then what is known has to do.
    pub(crate) async fn glance(&self, database: DatabaseId) -> Result<Arc<Lineage>, PublishError> {
        let known = self.lineage();
        if known.database == Some(database) && known.word != Word::Unknown {
            return Ok(known);
        }
        let Ok(_one) = self.shared().looking.try_lock() else { return Ok(known) };
        self.look_now().await
    }

    /// As [`Billing::glance`]; a command looks on until it is known who lives, as processes that run know it.
    pub(crate) async fn look_long(&self, database: DatabaseId) -> Result<Arc<Lineage>, PublishError> {
        let (began, mut now) = (Instant::now(), self.glance(database).await?);
        let is_over = |now: &Lineage| now.is_known() || now.is_beside();
        while self.is_command() && !is_over(&now) && began.elapsed() < LONG {
            tokio::time::sleep(EVERY).await;
            now = self.look().await?;
        }
        Ok(now)
    }

    pub(super) async fn look_now(&self) -> Result<Arc<Lineage>, PublishError> {
        let Some(mut known) = self.identity().await? else { return Ok(self.lineage()) };
        let outlets = &self.shared().outlets;
        if !outlets.has_cache() {
            let (database, word) = (Some(known.id), Word::Settled);
            return Ok(self.note(Lineage { database, owner: database, word, ..Lineage::unknown() }));
        }
        if self.is_command() {
            self.check_cache().await?;
            let Some(met) = outlets.overlook(newcomer(known, clock::now())).await? else { return Ok(self.lineage()) };
            let (_, formerly) = self.look_formerly(known).await?;
            let now = self.lineage().after(&known, &met, (clock::now(), Instant::now())).with(formerly);
            return Ok(self.note(now));
        }
        // It was further when this process last read it.
        let before = self.lineage();
        if before.database == Some(known.id) && known.mark < before.mark {
            known = self.go_back(known.id).await?;
        }
        // Whether the cache answers or not, this process remembers how far the database has come.
        if before.database == Some(known.id) && known.mark > before.mark {
            self.note(Lineage { mark: known.mark, ..(*before).clone() });
        }
        let formerly;
        (known, formerly) = match self.look_formerly(known).await {
            Ok(looked) => looked,
            Err(error) => {
                self.note_database(known.id);
                return Err(error);
            }
        };
        let stood = outlets.owner().await.ok().flatten();
        let asked = outlets.meet(newcomer(known, clock::now())).await;
        if asked.is_err() {
            self.note_database(known.id);
        }
        let mut met = asked?;
        // Another process may have told of more than this one had read. Only what is read afterwards proves anything.
        if let Some(Met::Behind(owner)) = &met
            && let Some(again) = self.identity().await?
        {
            let is_behind = again.id == known.id && again.mark < owner.mark;
            known = if is_behind { self.go_back(again.id).await? } else { again };
            met = outlets.meet(newcomer(known, clock::now())).await?;
        }
        // Another database has taken the place of this one, which lives on: what it tells from now on is no more of what is held.
        if let Some(Met::Theirs(owner)) = &met
            && owner.held.contains(&known.id)
        {
            known = self.renew(known.id, Renewal::ReplacedBy(owner.database)).await?;
            met = outlets.meet(newcomer(known, clock::now())).await?;
        }
        let Some(met) = met else { return Ok(self.lineage()) };
        self.shared().caches.met(stood.as_ref(), &known, &met);
        let mut now = self.lineage().after(&known, &met, (clock::now(), Instant::now())).with(formerly);
        if let Word::Beside { databases } = &now.word
            && !known.is_beside
        {
            // It was taken for the database before this one, as it did not run.
            let is_its = before.held() == databases && now.formerly.is_none();
            let held = if is_its { AreHeld::Its } else { AreHeld::Others };
            identity::stand_beside(&mut *self.pool().acquire().await.map_err(StoreError::from)?, held).await?;
        }
        let is_ours = matches!(now.word, Word::Settled | Word::Held { .. });
        if is_ours && now.is_known() && now.formerly.is_none() {
            self.note_namespace().await?;
        }
        let is_noted = known.held_since.is_some() || !now.is_known();
        if let Word::Held { since, .. } = &mut now.word
            && !is_noted
        {
            *since = self.note_hold(Hold::Since(*since)).await?.unwrap_or(*since);
        }
        Ok(self.note(now))
    }

    /// Gives a database that has gone back another id; what was told before is held, whatever Redis remembers of it.
    pub(super) async fn go_back(&self, known: DatabaseId) -> Result<Identity, StoreError> {
        self.renew(known, Renewal::GoneBack(clock::now())).await
    }

    async fn note_hold(&self, holds: Hold) -> Result<Option<Timestamp>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        identity::hold(&mut conn, holds).await
    }

    /// Takes the word for this database, whatever stood there.
    ///
    /// # Errors
    /// When the database accepts no writes, or the cache fails.
    pub(crate) async fn own(&self) -> Result<(), PublishError> {
        let known = self.identity().await?.ok_or(PublishError::ReadOnly)?;
        self.shared().outlets.own(newcomer(known, clock::now())).await?;
        self.note_hold(Hold::NoMore).await?;
        // Nothing is held any more, under no namespace.
        self.note_namespace().await?;
        self.look().await.map(drop)
    }

    /// The present state, asked anew when it may not be of this database.
    pub(crate) async fn lineage_of(&self, database: DatabaseId) -> Result<Arc<Lineage>, PublishError> {
        let known = self.lineage();
        if known.database == Some(database) && known.word != Word::Unknown {
            return Ok(known);
        }
        // Those who look one after the other at a cache that does not answer would wait for ever.
        let now = tokio::time::timeout(PATIENCE, self.look()).await.map_err(|_| PublishError::Unknown)??;
        if now.word == Word::Unknown { Err(PublishError::Unknown) } else { Ok(now) }
    }

    /// Whether the database has gone back behind a version of an account that was told of it: not if it has that version when it
    /// is read again, from a server that accepts writes. Then it has another id from now on.
    pub(crate) async fn has_gone_back(
        &self,
        account: &AccountId,
        (database, told): (DatabaseId, u64),
    ) -> Result<bool, PublishError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        if !writable::accepts_writes(&mut conn).await.map_err(StoreError::from)? {
            return Ok(false);
        }
        let version = identity::version(&mut conn, account).await?;
        let is_same = identity::read(&mut conn).await?.id == database;
        drop(conn);
        if !is_same || version.unwrap_or(0) >= told {
            return Ok(!is_same);
        }
        if self.is_command() {
            // The processes that run find out by themselves, if they use this database at all.
            return Err(PublishError::Unknown);
        }
        tracing::error!(%account, version, told, "PostgreSQL has gone back: what was told of it is newer");
        self.go_back(database).await?;
        self.look().await?;
        Ok(true)
    }

    /// `None` where the server accepts no writes: it may be behind another one.
    pub(super) async fn identity(&self) -> Result<Option<Identity>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        if !writable::accepts_writes(&mut conn).await? {
            return Ok(None);
        }
        identity::read(&mut conn).await.map(Some)
    }

    pub(super) async fn renew(&self, known: DatabaseId, renewal: Renewal) -> Result<Identity, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let id = identity::renew(&mut conn, known, renewal).await?;
        let is_behind = matches!(renewal, Renewal::GoneBack(_));
        tracing::error!(former = %known, now = %id, is_behind, "the database has another id from now on");
        identity::read(&mut conn).await
    }

    /// Proxies are to hear of a database, although nobody says more.
    fn note_database(&self, database: DatabaseId) {
        if self.lineage().database != Some(database) {
            self.note(Lineage { database: Some(database), ..Lineage::unknown() });
        }
    }

    /// Keeps what is known now, and tells operators what is new about it.
    fn note(&self, now: Lineage) -> Arc<Lineage> {
        self.shared().outlets.hold_under(now.former_namespace());
        let now = Arc::new(now);
        let before = self.shared().lineage.swap(Arc::clone(&now));
        if now.held() != before.held() {
            self.shared().held_changed.notify_one();
        }
        // Not before it is known who lives.
        if !now.is_known() {
            return now;
        }
        let mut told = self.shared().word_told.lock();
        let before = std::mem::replace(&mut *told, now.word.clone());
        if now.word == before {
            return Arc::clone(&now);
        }
        match (&now.word, now.warning(&self.settings().namespace)) {
            (Word::Held { .. } | Word::Replaced { .. }, Some(warning)) => {
                metrics::count_held_back(What::Database, 1);
                tracing::error!(warning, "the database lowers nobody before a person agrees");
            }
            (_, Some(warning)) => tracing::warn!(warning, "whose word counts in the cache is not settled"),
            (Word::Settled, None) if before != Word::Unknown => {
                tracing::info!("what the database says counts again");
            }
            _ => {}
        }
        drop(told);
        now
    }

    /// Asks until told to stop.
    pub(crate) async fn run_lineage(self, stop: CancellationToken) {
        let (mut was_wrong, mut has_looked) = (false, false);
        while !stop.is_cancelled() {
            let error = self.look().await.err();
            if let Err(error) = self.note_cache().await {
                tracing::debug!(error = chain::told(&error), "it cannot be noted which Redis this process uses");
            }
            let is_told = match self.tell_again().await {
                Ok(is_told) => is_told,
                Err(error) => {
                    tracing::debug!(error = chain::told(&error), "what Redis has lost cannot be told again yet");
                    true
                }
            };
            if let Some(error) = error.as_ref().filter(|_| !was_wrong) {
                tracing::warn!(
                    error = chain::told(error),
                    "it cannot be found out whose records the cache holds: it is tried twice a second, and what was known stays"
                );
            }
            was_wrong = error.is_some();
            if !has_looked && self.lineage().is_known() {
                has_looked = true;
                self.shared().tasks.spawn(self.clone().look_elsewhere(stop.clone()));
            }
            // A cache within this process is shared with nobody.
            if !self.shared().outlets.has_cache() && !was_wrong {
                return stop.cancelled().await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY), if is_told => {}
                () = std::future::ready(()), if !is_told => {}
            }
        }
    }
}

fn newcomer(identity: Identity, now: Timestamp) -> Newcomer {
    let Identity { id, former, mark, .. } = identity;
    Newcomer { database: id, former, mark, now_ms: u64::try_from(now.timestamp_millis()).unwrap_or(0) }
}
