//! The layer in Redis: one bounded read per question, and none while it is down.

use std::time::Duration;

use entitlement::account::AccountId;
use entitlement::record::{self, Entitlement, RECORD_BYTES_MAX};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, cmd};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::circuit::Circuit;
use crate::metrics::LayerCounters;

/// How long one read may take.
const DEADLINE: Duration = Duration::from_millis(50);

/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Longest pause between two attempts to connect again.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The cache that all proxies share.
pub(super) struct Redis {
    connection: ConnectionManager,
    circuit: Circuit,
    counters: LayerCounters,
}

/// What a read finds.
#[derive(Debug)]
pub(super) enum Read {
    Found(Entitlement),
    /// Nothing, or nothing that is a record.
    Nothing,
    /// It cannot be asked now.
    Down,
}

impl Redis {
    /// Must be called within the runtime that is to carry the connection. Connects at the first read.
    ///
    /// # Errors
    /// When the client's options contradict each other.
    pub(super) fn new(client: Client, counters: LayerCounters) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            .set_max_delay(RECONNECT_PAUSE_MAX);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { connection, circuit: Circuit::new(1), counters })
    }

    /// The record that is stored for an account.
    pub(super) async fn read(&self, account: &AccountId, now_ms: u64) -> Read {
        if !self.circuit.is_closed(now_ms) {
            return Read::Down;
        }
        let mut connection = self.connection.clone();
        // A bounded read: whatever lies under the key, no more than the longest record and a byte is transferred.
        let mut query = cmd("GETRANGE");
        query.arg(record::key(account)).arg(0).arg(RECORD_BYTES_MAX);
        let answer = timeout(DEADLINE, query.query_async::<Vec<u8>>(&mut connection)).await;
        match answer {
            Ok(Ok(value)) => {
                self.circuit.succeeded();
                self.decode(account, &value)
            }
            Ok(Err(error)) if is_about_the_value(&error) => {
                self.circuit.succeeded();
                self.poisoned(&error);
                Read::Nothing
            }
            Ok(Err(error)) => {
                debug!(%error, "redis failed");
                self.down(now_ms)
            }
            Err(_) => {
                debug!("redis did not answer in time");
                self.down(now_ms)
            }
        }
    }

    fn decode(&self, account: &AccountId, value: &[u8]) -> Read {
        if value.is_empty() {
            self.counters.miss.inc();
            return Read::Nothing;
        }
        match record::decode_for(account, &String::from_utf8_lossy(value)) {
            Ok(record) => {
                self.counters.hit.inc();
                Read::Found(record)
            }
            Err(error) => {
                self.poisoned(&error);
                Read::Nothing
            }
        }
    }

    fn poisoned(&self, error: &(dyn std::error::Error + 'static)) {
        self.counters.poisoned.inc();
        warn!(error, "redis holds something else than a record");
    }

    fn down(&self, now_ms: u64) -> Read {
        self.counters.error.inc();
        self.circuit.failed(now_ms);
        Read::Down
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("circuit", &self.circuit).finish_non_exhaustive()
    }
}

/// Whether the server answered, and what it does not like is the value under the key.
fn is_about_the_value(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.kind() == redis::ErrorKind::UnexpectedReturnType
}
