//! Whose word counts in the cache: a database that is new there, or that has gone back behind what was told of it, lowers nobody
//! before a person agrees.
//!
//! Each database has an id, and the cache remembers which one has the word and how far it had come. One that is behind that gets
//! another id: from then on what it says is told apart from what was told before, and from what a billing says that is still
//! connected to its former primary. What was told before is held: it goes on to serve, account by account, until something new is
//! learnt of the account, or a person has accepted the database.

mod caches;
mod elsewhere;
mod formerly;
mod heard;
mod keep;
mod look;
mod recall;
#[cfg(test)]
mod tests;

pub(crate) use caches::Caches;
pub(crate) use elsewhere::Elsewhere;
use formerly::Formerly;
pub(crate) use keep::ScanError;

use std::time::{Duration, Instant};

use cache::{Met, Owner};
use entitlement::Timestamp;
use entitlement::record::{DatabaseId, Namespace};
use serde::Serialize;

use crate::component::Billing;
use crate::store::identity::Identity;

/// How long after its last sign of life another installation counts as alive.
const ALIVE: Duration = Duration::from_secs(15);

/// After how long it is known whether anybody lives who speaks for another database that has the word: several signs of life.
const KNOWN_AFTER: Duration = Duration::from_secs(2);

/// Whose word counts, as this process knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The cache has not been asked yet, or the database has another id since.
    Unknown,
    /// The database's word counts.
    Settled,
    /// The records of these databases serve until a person agrees.
    Held { databases: Vec<DatabaseId>, since: Timestamp },
    /// Another installation has the word under the same namespace, and was seen alive: neither serves what the other one has, also
    /// while that one is restarted.
    Beside { databases: Vec<DatabaseId> },
    /// Another database has taken the place of this one, and lives: this one is a former primary. What that one says of an account
    /// counts, in the place of what this one says.
    Replaced { by: DatabaseId, databases: Vec<DatabaseId>, since: Timestamp },
    /// The owner's key cannot be read.
    Unreadable,
}

/// The state of the database, and of the one that has the word.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub database: Option<DatabaseId>,
    pub owner: Option<DatabaseId>,
    pub word: Word,
    /// How far the database had come when it was last read.
    pub mark: u64,
    /// Of another one that has the word.
    other: Option<Seen>,
    /// Records that are held under a former namespace.
    formerly: Option<Formerly>,
}

/// Signs of life of another database.
#[derive(Clone, Copy, Debug)]
struct Seen {
    database: DatabaseId,
    first_at: Timestamp,
    first: Instant,
    /// When it was last looked at.
    last: Instant,
    beat: u64,
    /// When it last gave a sign.
    alive_at: Option<Instant>,
}

impl Lineage {
    /// As long as the cache has not been asked.
    pub const fn unknown() -> Self {
        Self { database: None, owner: None, word: Word::Unknown, mark: 0, other: None, formerly: None }
    }

    /// The state after the cache was asked for a database. Records that are held stay so when the cache has forgotten it.
    fn after(&self, identity: &Identity, met: &Met, (now, tick): (Timestamp, Instant)) -> Self {
        let Identity { id: database, former, held_since, mark, replaced_by, is_beside, .. } = *identity;
        let of = |owner: &Owner, word, other| Self {
            database: Some(database),
            owner: Some(owner.database),
            word,
            mark,
            other,
            formerly: None,
        };
        match met {
            Met::Unreadable => Self { database: Some(database), word: Word::Unreadable, mark, ..Self::unknown() },
            Met::Behind(owner) => of(owner, Word::Unknown, None),
            Met::Mine(owner) if owner.held.is_empty() && held_since.is_none() => of(owner, Word::Settled, None),
            Met::Mine(owner) => {
                let since = i64::try_from(owner.since_ms).ok().and_then(Timestamp::from_timestamp_millis);
                let since = held_since.or(since).unwrap_or(now);
                // Redis may have forgotten it, and proxies hand over what they have of it.
                let forgotten = former.filter(|former| held_since.is_some() && !owner.held.contains(former));
                let databases = owner.held.iter().copied().chain(forgotten).collect();
                of(owner, Word::Held { databases, since }, None)
            }
            Met::Theirs(owner) => {
                let seen = Seen::after(self.other, owner, now, tick);
                let databases: Vec<_> = [owner.database].into_iter().chain(owner.held.iter().copied()).collect();
                let since = held_since.unwrap_or(seen.first_at);
                let is_replaced = replaced_by.is_some_and(|by| databases.contains(&by));
                let word = match (seen.is_alive(tick), is_replaced) {
                    (true, true) => Word::Replaced { by: owner.database, databases, since },
                    (true, false) => Word::Beside { databases },
                    // Its own gate was in force already.
                    (false, false) if is_beside || seen.alive_at.is_some() => Word::Beside { databases },
                    (false, _) => Word::Held { databases, since },
                };
                of(owner, word, Some(seen))
            }
        }
    }

    /// The state, with what is held under a former namespace.
    fn with(self, formerly: Option<Formerly>) -> Self {
        let Some(formerly) = formerly else { return self };
        Self { word: formerly.with(self.word), formerly: Some(formerly), ..self }
    }

    /// Whether the cache has been asked for long enough to know who lives.
    pub fn is_known(&self) -> bool {
        self.word != Word::Unknown
            && self.other.is_none_or(|seen| seen.is_sure())
            && self.formerly.as_ref().is_none_or(Formerly::is_known)
    }

    /// The former namespace under which something is held.
    fn former_namespace(&self) -> Option<&Namespace> {
        self.formerly.as_ref().map(|formerly| &formerly.namespace)
    }

    /// Whether what the database says counts, whatever was told before.
    pub fn is_settled(&self) -> bool {
        self.word == Word::Settled
    }

    /// Whether this is of the database as it is now, with what is held in its place.
    fn agrees_with(&self, identity: &Identity) -> bool {
        self.database == Some(identity.id) && (identity.held_since.is_none() || !self.is_settled())
    }

    /// Whether what the database says may have to wait: what another one had told serves in its place, or nobody has asked yet.
    pub fn is_held_back(&self) -> bool {
        matches!(self.word, Word::Held { .. } | Word::Replaced { .. } | Word::Unknown)
    }

    /// Whether another installation has the word in the namespace, and serves nobody here.
    pub const fn is_beside(&self) -> bool {
        matches!(self.word, Word::Beside { .. })
    }

    /// Whether what stands in the cache about the word could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.word == Word::Unreadable
    }

    /// The database that has taken the place of this one, and lives.
    pub fn replaced_by(&self) -> Option<DatabaseId> {
        match &self.word {
            Word::Replaced { by, .. } => Some(*by),
            _ => None,
        }
    }

    /// The databases whose records serve where they are newer.
    pub fn held(&self) -> &[DatabaseId] {
        match &self.word {
            Word::Held { databases, .. } | Word::Replaced { databases, .. } => databases,
            _ => &[],
        }
    }

    /// The version above which something new is told while records are held: higher than any that was told before, also where Redis has
    /// forgotten it and only proxies know. Versions grow by one with each change, so none comes near a time in milliseconds by itself.
    pub fn floor(&self) -> Option<u64> {
        match &self.word {
            Word::Held { since, .. } | Word::Replaced { since, .. } => u64::try_from(since.timestamp_millis()).ok(),
            _ => None,
        }
    }

    /// The databases above whose versions something new is told: proxies may still have their records.
    pub fn above(&self) -> &[DatabaseId] {
        match &self.word {
            Word::Held { databases, .. } | Word::Replaced { databases, .. } | Word::Beside { databases } => databases,
            _ => &[],
        }
    }

    /// The warning for operators.
    pub fn warning(&self, namespace: &Namespace) -> Option<String> {
        match &self.word {
            Word::Unknown | Word::Settled => None,
            Word::Held { since, .. } => Some(format!(
                "since {} PostgreSQL is behind what was told of it, or is another database: what was told before goes on to serve, and only what is new of an account counts. `tollgate reconcile` asks the providers for what is missing; after that, `tollgate database accept` says how many accounts would lose something, and takes the database's word",
                since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            )),
            Word::Beside { .. } => Some(format!(
                "another installation, with another database, runs on the same Redis in the namespace \"{namespace}\", or DATABASE_URL leads to a former primary here: its records stand there, and the gate here goes by this database alone. Set cache.namespace to another one here or there; if this database is to take its place, stop the other one and run `tollgate database accept`"
            )),
            Word::Replaced { .. } => Some(
                "another database has taken the place of the one that DATABASE_URL leads to here, which may be a former primary: what that one has told of an account counts, and nothing is told from here. Let DATABASE_URL lead to the other one, and restart; if this one is to take its place again, stop the processes there and run `tollgate database accept`"
                    .to_owned(),
            ),
            Word::Unreadable => Some(format!(
                "what stands in Redis under {} cannot be read: `tollgate database accept` writes it anew",
                namespace.owner_key()
            )),
        }
    }
}

/// The records that proxies may serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub namespace: Namespace,
    /// The database that is asked here.
    pub database: DatabaseId,
    /// The one that has the word, where somebody has.
    pub owner: Option<DatabaseId>,
    /// Whether what it says counts, whatever was told before.
    pub settled: bool,
    /// Whether another installation has the word in the namespace: what it has told serves nobody here.
    pub beside: bool,
    /// Whether it is known for sure who has the word, and lives.
    pub known: bool,
    /// How far the database has come: proxies remember it, in case Redis does not.
    pub mark: u64,
}

impl Billing {
    /// The present state.
    pub(crate) fn lineage(&self) -> std::sync::Arc<Lineage> {
        self.shared().lineage.load_full()
    }

    /// Whether what the database says may have to wait; asked first when nobody has asked yet.
    pub(crate) async fn is_held_back(&self) -> bool {
        let known = self.lineage();
        if !self.shared().outlets.has_cache() {
            return false;
        }
        if known.word != Word::Unknown {
            return known.is_held_back();
        }
        self.look().await.map_or(true, |now| now.is_held_back())
    }

    /// Of which records this billing speaks; `None` as long as it does not know its database.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        let lineage = self.lineage();
        let namespace = self.settings().namespace.clone();
        let (database, owner) = (lineage.database?, lineage.owner);
        Some(Line {
            namespace,
            database,
            owner,
            settled: lineage.is_settled(),
            beside: lineage.is_beside(),
            known: lineage.is_known(),
            mark: lineage.mark,
        })
    }
}

impl Seen {
    /// Signs after another look.
    fn after(before: Option<Self>, owner: &Owner, now: Timestamp, tick: Instant) -> Self {
        let Some(known) = before.filter(|known| known.database == owner.database) else {
            let (database, beat) = (owner.database, owner.beat);
            return Self { database, first_at: now, first: tick, last: tick, beat, alive_at: None };
        };
        let alive_at = if known.beat == owner.beat { known.alive_at } else { Some(tick) };
        Self { last: tick, beat: owner.beat, alive_at, ..known }
    }

    /// Whether a sign was given lately.
    fn is_alive(&self, tick: Instant) -> bool {
        self.alive_at.is_some_and(|at| tick.saturating_duration_since(at) <= ALIVE)
    }

    /// Whether it was looked for long enough to know whether anybody lives.
    fn is_sure(&self) -> bool {
        self.alive_at.is_some() || self.last.duration_since(self.first) >= KNOWN_AFTER
    }
}
