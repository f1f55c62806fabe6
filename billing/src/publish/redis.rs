//! The cache in Redis: a record is replaced only by a newer one, whoever comes last.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cache::{
    CacheId, Link, Lost, MEET, Met, Newcomer, Outcome, Owner, Patience, Place, PlaceError, Push, Refusal, Refusals,
    STORE, Scan, Store, Task,
};
use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use entitlement::record::forget::{self, Forget};
use entitlement::record::{self, DatabaseId, Entitlement, Namespace, Record, before};
use entitlement::timeline::timeline;
use redis::{RedisResult, Script, cmd};
use secrecy::ExposeSecret;

use super::PublishError;
use crate::settings::Secret;

/// How long a record of a known account is kept, in seconds. A proxy that misses it has it computed again.
const KEPT_SECONDS: u64 = 24 * 3600;

/// How long "nothing is known of this account" is kept, in seconds: its first purchase must not wait.
const NEGATIVE_SECONDS: u64 = 2;

/// The database of records that are stored to find out what the cache allows.
const NOBODYS: DatabaseId = DatabaseId::new(0);

/// How long Redis may take to answer, and to be connected to. Whoever publishes tries again by itself.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_millis(500) };

/// A connection to Redis that comes back by itself.
pub(super) struct Cache {
    pub place: Place,
    link: Link,
    refusals: Arc<Refusals>,
    store: Script,
    meet: Script,
    namespace: Namespace,
    channel: String,
    owner_key: String,
    cache_key: String,
    /// Its id, as it was last read.
    id: ArcSwapOption<CacheId>,
    /// Another namespace under which records of this installation are held.
    also: ArcSwapOption<Namespace>,
}

impl Cache {
    /// Begins to connect, on the current runtime.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &Secret, namespace: Namespace) -> Result<Self, PlaceError> {
        let place = Place::parse(url.expose_secret())?;
        let refusals: Arc<Refusals> = Arc::default();
        let link = Link::open(place.clone(), PATIENCE, Arc::clone(&refusals));
        let (channel, owner_key, cache_key) = (namespace.channel(), namespace.owner_key(), namespace.cache_key());
        let (store, meet) = (Script::new(STORE), Script::new(MEET));
        Ok(Self {
            place,
            link,
            refusals,
            store,
            meet,
            namespace,
            channel,
            owner_key,
            cache_key,
            id: ArcSwapOption::empty(),
            also: ArcSwapOption::empty(),
        })
    }

    /// Stores a record and tells the proxies, unless something newer is there.
    pub async fn publish(&self, record: &Record) -> Result<Outcome, PublishError> {
        self.write(record, Push::To(&self.channel), Push::To(before::CHANNEL)).await
    }

    /// Tells the proxies which sessions have ended.
    pub async fn forget(&self, forget: &Forget) -> Result<(), PublishError> {
        let mut publish = cmd("PUBLISH");
        publish.arg(&self.channel).arg(forget::encode(forget)?);
        let told: RedisResult<i64> = self.link.query_unnoted(&publish).await;
        // It needs no right that a change does not need: with the next one that is told the refusal is over.
        if let Err(error) = &told {
            self.refusals.note(Task::Push, Some(error));
        }
        told?;
        Ok(())
    }

    /// Stores a record that was asked for, unless something as new is there.
    pub async fn fill(&self, record: &Record) -> Result<Outcome, PublishError> {
        self.write(record, Push::Nobody, Push::Nobody).await
    }

    /// Stores a record of another database, which is held, unless something as new is there.
    pub async fn put_back(&self, record: &Record) -> Result<(), PublishError> {
        let (version, text) = (record.entitlement.version, record::encode(record)?);
        let key = self.namespace.key(record.database, &record.entitlement.account);
        let store = Store { key: &key, version, text: &text, kept_seconds: KEPT_SECONDS, push: Push::Nobody };
        self.link.store(&self.store, store).await?;
        Ok(())
    }

    /// The old form goes to proxies that are not upgraded yet. It is written after the new one: whoever takes its message for a
    /// hint finds the new one.
    async fn write(&self, record: &Record, push: Push<'_>, old: Push<'_>) -> Result<Outcome, PublishError> {
        let (entitlement, text) = (&record.entitlement, record::encode(record)?);
        let (version, account) = (entitlement.version, &entitlement.account);
        let kept_seconds = if version == 0 { NEGATIVE_SECONDS } else { KEPT_SECONDS };
        let key = self.namespace.key(record.database, account);
        let store = Store { key: &key, version, text: &text, kept_seconds, push };
        let outcome = self.link.store(&self.store, store).await?;
        if outcome != Outcome::Outdated {
            let (key, text) = (before::key(account), before::encode(entitlement)?);
            let store = Store { key: &key, version, text: &text, kept_seconds, push: old };
            self.link.store(&self.store, store).await?;
        }
        Ok(outcome)
    }

    /// Under which other namespace records of this installation are held; `None` when none are.
    pub fn hold_under(&self, also: Option<&Namespace>) {
        self.also.store(also.cloned().map(Arc::new));
    }

    /// The namespaces under which records of this installation may stand, its own first.
    pub fn namespaces(&self) -> Vec<Namespace> {
        std::iter::once(self.namespace.clone()).chain(self.also.load().as_deref().cloned()).collect()
    }

    /// The record of an account that is there, as `database` had it; the newest, where it may stand under several namespaces.
    pub async fn record(&self, database: DatabaseId, account: &AccountId) -> RedisResult<Option<Record>> {
        let own = self.record_under(&self.namespace, database, account).await?;
        let also = self.also.load_full();
        let Some(also) = also else { return Ok(own) };
        let other = self.record_under(&also, database, account).await?;
        Ok([own, other].into_iter().flatten().max_by_key(|record| record.entitlement.version))
    }

    async fn record_under(
        &self,
        namespace: &Namespace,
        database: DatabaseId,
        account: &AccountId,
    ) -> RedisResult<Option<Record>> {
        let mut get = redis::cmd("GET");
        get.arg(namespace.key(database, account));
        let text: Option<String> = self.link.query(&get).await?;
        Ok(text.and_then(|text| record::decode_for(account, &text).ok()).filter(|record| record.database == database))
    }

    /// Meets who has the word. The id of the cache is read on the way.
    pub async fn meet(&self, me: Newcomer) -> RedisResult<Met> {
        // One that takes nothing in for a while has none until it does.
        if let Ok(id) = self.link.made_id(&self.cache_key).await {
            self.id.store(Some(Arc::new(id)));
        }
        match self.link.meet(&self.meet, &self.owner_key, me).await {
            // It takes nothing in for a while: that is no reason not to know.
            Err(error) if Refusal::of(&error).is_some_and(|refusal| !refusal.is_lasting()) => {
                let stands = self.link.owner(&self.owner_key).await?.filter(|owner| owner.database == me.database);
                let met = self.link.overlook(&self.owner_key, me).await?;
                // A mark that was refused is not missed there later.
                let unwritten = |owner: Owner| Owner { mark: stands.map_or(0, |stands| stands.mark), ..owner };
                Ok(if let Met::Mine(owner) = met { Met::Mine(unwritten(owner)) } else { met })
            }
            Err(error) if Refusal::of(&error) == Some(Refusal::RightOfScript) => {
                // The step that reads has an answer that names the right.
                let answer: RedisResult<redis::Value> = self.link.query_unnoted(cmd("GET").arg(&self.owner_key)).await;
                if let Err(named) = answer
                    && matches!(Refusal::of(&named), Some(Refusal::Right(_)))
                {
                    self.refusals.note(Task::Meet, Some(&named));
                }
                Err(error)
            }
            met => met,
        }
    }

    /// As [`Cache::meet`], but changes nothing.
    pub async fn overlook(&self, me: Newcomer) -> RedisResult<Met> {
        self.link.overlook(&self.owner_key, me).await
    }

    /// Takes the word.
    pub async fn own(&self, me: Newcomer) -> RedisResult<()> {
        for namespace in self.namespaces() {
            self.link.own(&namespace.owner_key(), me).await?;
        }
        Ok(())
    }

    /// Tries all that is ever asked of Redis, with the record of an account that nobody has.
    ///
    /// # Errors
    /// When Redis does not answer, or refuses.
    pub async fn probe(&self) -> Result<(), PublishError> {
        let (Some(nothing), Some(quiet)) = (nothing(), nothing()) else { return Ok(()) };
        if let Err(error) = self.publish(&nothing).await {
            if let PublishError::Redis(refused) = &error
                && Refusal::of(refused) == Some(Refusal::RightOfScript)
            {
                self.name_right(&nothing).await;
            }
            return Err(error);
        }
        // A record that is stored and not told is refused by itself, and no account may be asked for for long.
        self.fill(&quiet).await?;
        self.record(NOBODYS, &nothing.entitlement.account).await?;
        // Records that a restore holds are kept for a while: a missing right would be noticed only then.
        let mut expire = cmd("EXPIRE");
        expire.arg(self.namespace.key(NOBODYS, &nothing.entitlement.account)).arg(NEGATIVE_SECONDS);
        self.link.query::<i64>(&expire).await?;
        self.probe_scan().await?;
        Ok(())
    }

    /// A restore needs to find all records: that it could not would be noticed only then.
    async fn probe_scan(&self) -> RedisResult<()> {
        let scanned = match Scan::begin(&self.place, record::PROBE).await {
            Ok(mut scan) => scan.next().await.map(drop),
            Err(Lost::Redis(error)) => Err(error),
            Err(lost) => Err(std::io::Error::other(lost).into()),
        };
        self.refusals.note(Task::Scan, scanned.as_ref().err());
        scanned
    }

    /// Notes which right a script lacks: each of its steps by itself has an answer that names it.
    async fn name_right(&self, record: &Record) {
        let key = self.namespace.key(record.database, &record.entitlement.account);
        let (mut read, mut set, mut publish) = (cmd("GETRANGE"), cmd("SET"), cmd("PUBLISH"));
        read.arg(&key).arg(0).arg(0);
        set.arg(&key).arg("").arg("EX").arg(NEGATIVE_SECONDS);
        publish.arg(&self.channel).arg("");
        for step in [read, set, publish] {
            let answer: RedisResult<redis::Value> = self.link.query_unnoted(&step).await;
            if let Err(error) = answer
                && matches!(Refusal::of(&error), Some(Refusal::Right(_)))
            {
                return self.refusals.note(Task::Push, Some(&error));
            }
        }
    }

    /// The id of the cache now.
    pub async fn look_for_id(&self) -> RedisResult<CacheId> {
        self.link.id(&self.cache_key).await
    }

    /// By which claims accounts are known, as was noted last; none where nothing was.
    pub async fn names(&self) -> RedisResult<Option<String>> {
        self.link.query(cmd("GET").arg(self.namespace.names_key())).await
    }

    /// Notes by which claims accounts are known.
    pub async fn note_names(&self, names: &str) -> RedisResult<()> {
        self.link.query(cmd("SET").arg(self.namespace.names_key()).arg(names)).await
    }

    /// The database that has the word there; nothing is changed.
    pub async fn owner(&self) -> RedisResult<Option<Owner>> {
        self.link.owner(&self.owner_key).await
    }

    /// As [`Cache::owner`], under another namespace.
    pub async fn owner_under(&self, namespace: &Namespace) -> RedisResult<Option<Owner>> {
        self.link.owner(&namespace.owner_key()).await
    }

    /// As [`Cache::owner_under`], where that may be another installation's.
    pub async fn owner_elsewhere(&self, namespace: &Namespace) -> RedisResult<Option<Owner>> {
        self.link.owner_elsewhere(&namespace.owner_key()).await
    }

    /// The id of the cache, as it was last read; `None` before.
    pub fn id(&self) -> Option<CacheId> {
        self.id.load().as_deref().cloned()
    }

    /// What Redis refuses.
    pub fn refused(&self) -> Vec<Refusal> {
        self.refusals.all()
    }

    /// The first refusal of Redis, with its address, or why there is no connection; see [`Link::away`].
    pub fn fault(&self) -> Option<String> {
        let refusal = self.refused().into_iter().next();
        refusal.map(|refusal| format!("{}: {refusal}", self.place)).or_else(|| self.link.away())
    }

    /// Which connection it is; see [`Link::number`].
    pub fn connection(&self) -> Option<u64> {
        self.link.number()
    }
}

/// A record of an account that nobody has, and that was never stored: what lies there already is not stored again.
fn nothing() -> Option<Record> {
    let account = AccountId::parse(&format!("{}:{:x}", record::PROBE, rand::random::<u64>())).ok()?;
    let entitlement = Entitlement { account, version: 0, timeline: timeline(&Catalog::empty(), &[]) };
    Some(Record { database: NOBODYS, entitlement })
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError, ServerErrorKind};

    use super::*;
    use crate::tests::{namespace, redis_url};

    #[tokio::test]
    async fn what_redis_takes_in_again_is_refused_no_more_although_nobody_asks_for_it() {
        let cache = Cache::new(&Secret::from(redis_url()), namespace()).expect("an address");
        let refused = RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "an error", String::new()));
        for task in [Task::Push, Task::Store, Task::Get, Task::Expire, Task::Scan] {
            cache.refusals.note(task, Some(&refused));
            assert_eq!(cache.refused(), [Refusal::ReadOnly], "{task:?}");
            cache.probe().await.expect("Redis answers");
            assert_eq!(cache.refused(), [], "{task:?}");
        }
    }
}
