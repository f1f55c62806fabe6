//! The cache in Redis: a record is replaced only by a newer one, whoever comes last.

use std::time::Duration;

use entitlement::account::AccountId;
use entitlement::record::{self, Entitlement};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult, Script};
use secrecy::ExposeSecret;

use crate::settings::Secret;

/// How long a record of a known account is kept, in seconds. A proxy that misses it has it computed again.
const KEPT_SECONDS: u64 = 24 * 3600;

/// How long "nothing is known of this account" is kept, in seconds: its first purchase must not wait.
const NEGATIVE_SECONDS: u64 = 2;

/// How long Redis may take to answer, and to be connected to.
const PATIENCE: Duration = Duration::from_millis(500);

/// Stores a record if it is newer than what is there, judged by the version in front of the text, not by the order of
/// arrival; versions are below 2^53, which Lua counts exactly. When a channel is given, the record is pushed unless
/// something newer is there: a record that is there already may have been stored by a fill, which pushes nothing.
const STORE: &str = r"
local stored = redis.call('GETRANGE', KEYS[1], 0, 40)
local known = tonumber(string.match(stored, '^%d+:(%d+):') or '-1')
local version = tonumber(ARGV[1])
if known > version then return 0 end
if known < version then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[2]) end
return 1
";

/// A connection to Redis that comes back by itself.
pub(super) struct Cache {
    connection: ConnectionManager,
    store: Script,
}

impl Cache {
    /// # Errors
    /// When the URL cannot be read. Nothing is contacted yet.
    pub fn new(url: &Secret) -> RedisResult<Self> {
        let client = Client::open(url.expose_secret())?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            // Whoever publishes tries again by itself, and must not wait here.
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { connection, store: Script::new(STORE) })
    }

    /// Stores a record and tells the proxies, unless something newer is there.
    pub async fn publish(&self, entitlement: &Entitlement, text: &str) -> RedisResult<()> {
        self.write(entitlement, text, record::CHANNEL).await
    }

    /// Stores a record that was asked for, unless something as new is there.
    pub async fn fill(&self, entitlement: &Entitlement, text: &str) -> RedisResult<()> {
        self.write(entitlement, text, "").await
    }

    async fn write(&self, entitlement: &Entitlement, text: &str, channel: &str) -> RedisResult<()> {
        let kept = if entitlement.version == 0 { NEGATIVE_SECONDS } else { KEPT_SECONDS };
        let mut invocation = self.store.prepare_invoke();
        invocation.key(record::key(&entitlement.account)).arg(entitlement.version).arg(text).arg(kept).arg(channel);
        invocation.invoke_async::<()>(&mut self.connection.clone()).await
    }

    /// The version of the record that is there.
    pub async fn version(&self, account: &AccountId) -> RedisResult<Option<u64>> {
        let mut get = redis::cmd("GET");
        get.arg(record::key(account));
        let text: Option<String> = get.query_async(&mut self.connection.clone()).await?;
        Ok(text.and_then(|text| record::decode_for(account, &text).ok()).map(|entitlement| entitlement.version))
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").query_async(&mut self.connection.clone()).await
    }
}
