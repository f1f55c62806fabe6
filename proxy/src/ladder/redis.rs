//! The layer in Redis: one bounded read per question, and none while it is down.

use std::sync::Arc;

use async_trait::async_trait;
use cache::{CacheId, Link, Owner, Patience, Place, Refusals, Sparing};
use entitlement::account::AccountId;
use entitlement::record::{self, Entitlement, Namespace, RECORD_BYTES_MAX, RecordError};
use redis::{RedisError, cmd};
use tracing::{debug, warn};

use std::time::Duration;

use super::circuit::Circuit;
use super::line::Line;
use crate::metrics::LayerCounters;

/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// The cache that all proxies share.
#[async_trait]
pub(super) trait Shared: Send + Sync + 'static {
    /// The record that is stored for an account, as the database of the line has it; nothing where none is known.
    async fn read(&self, line: Option<&Line>, account: &AccountId, now_ms: u64) -> Read;

    /// Where it is noted what the cache refuses.
    fn refusals(&self) -> Arc<Refusals> {
        Arc::default()
    }

    /// Why it cannot be asked at all, where it cannot.
    fn away(&self) -> Option<String> {
        None
    }

    /// The database that has the word in a namespace; `None` when it cannot be told.
    async fn owner(&self, namespace: &Namespace) -> Option<Owner> {
        let _ = namespace;
        None
    }

    /// The id of this very cache, empty where it has none; `None` when it cannot be told.
    async fn id(&self, namespace: &Namespace) -> Option<CacheId> {
        let _ = namespace;
        None
    }
}

/// The cache in Redis.
#[derive(Debug)]
pub(super) struct Redis {
    link: Link,
    refusals: Arc<Refusals>,
    circuit: Circuit,
    counters: LayerCounters,
}

/// What a read finds.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Found(Entitlement),
    /// Nothing, or nothing that is a record.
    Nothing,
    /// It cannot be asked now.
    Down,
}

impl Redis {
    /// Must be called within the runtime that is to carry the connection. `deadline` bounds one read.
    pub(super) fn new(place: Place, deadline: Duration, counters: LayerCounters) -> Arc<Self> {
        let refusals: Arc<Refusals> = Arc::default();
        let patience = Patience { connect: CONNECT_DEADLINE, answer: deadline };
        let link = Link::open(place, patience, Arc::clone(&refusals));
        Arc::new(Self { link, refusals, circuit: Circuit::new(1), counters })
    }

    fn decode(&self, line: &Line, account: &AccountId, value: &[u8]) -> Read {
        if value.is_empty() {
            self.counters.miss.inc();
            return Read::Nothing;
        }
        match record::decode_for(account, &String::from_utf8_lossy(value)) {
            Ok(record) if record.database == line.database => {
                self.counters.hit.inc();
                Read::Found(record.entitlement)
            }
            Ok(_) => {
                self.counters.poisoned.inc();
                static FOREIGN: Sparing = Sparing::new();
                if let Some(untold) = FOREIGN.tells(&line.database) {
                    warn!(%account, untold, "Redis holds the record of another database under a key of this one: billing is asked instead");
                }
                Read::Nothing
            }
            // Written by a newer build that runs beside this one: nothing is wrong.
            Err(RecordError::Format(_)) => {
                self.counters.miss.inc();
                Read::Nothing
            }
            Err(error) => {
                self.poisoned(account, &error);
                Read::Nothing
            }
        }
    }

    fn poisoned(&self, account: &AccountId, error: &(dyn std::error::Error + 'static)) {
        self.counters.poisoned.inc();
        static POISONED: Sparing = Sparing::new();
        if let Some(untold) = POISONED.tells(&error) {
            warn!(%account, error, untold, "Redis holds something else than a record: billing is asked instead; does something else write to this Redis?");
        }
    }
}

#[async_trait]
impl Shared for Redis {
    async fn read(&self, line: Option<&Line>, account: &AccountId, now_ms: u64) -> Read {
        let Some(line) = line else { return Read::Nothing };
        if !self.circuit.is_closed(now_ms) {
            return Read::Down;
        }
        // A bounded read: whatever lies under the key, no more than the longest record and a byte is transferred.
        let mut query = cmd("GETRANGE");
        query.arg(line.namespace.key(line.database, account)).arg(0).arg(RECORD_BYTES_MAX);
        match self.link.query::<Vec<u8>>(&query).await {
            Ok(value) => {
                self.circuit.succeeded();
                self.decode(line, account, &value)
            }
            Err(error) if is_about_the_value(&error) => {
                self.circuit.succeeded();
                self.poisoned(account, &error);
                Read::Nothing
            }
            Err(error) => {
                debug!(%error, "redis does not say what an account has");
                self.counters.error.inc();
                self.circuit.failed(now_ms);
                Read::Down
            }
        }
    }

    fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }

    fn away(&self) -> Option<String> {
        self.link.away()
    }

    async fn owner(&self, namespace: &Namespace) -> Option<Owner> {
        self.link.owner(&namespace.owner_key()).await.ok()?
    }

    async fn id(&self, namespace: &Namespace) -> Option<CacheId> {
        self.link.id(&namespace.cache_key()).await.ok()
    }
}

/// Whether the server answered, and what it does not like is the value under the key.
fn is_about_the_value(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.kind() == redis::ErrorKind::UnexpectedReturnType
}
