//! The cache in Redis: a record is replaced only by a newer one, whoever comes last.

use std::time::Duration;

use cache::{Link, Outcome, Patience, Place, PlaceError, Push, STORE, Store};
use entitlement::account::AccountId;
use entitlement::record::{self, Entitlement};
use redis::{RedisResult, Script};
use secrecy::ExposeSecret;

use crate::settings::Secret;

/// How long a record of a known account is kept, in seconds. A proxy that misses it has it computed again.
const KEPT_SECONDS: u64 = 24 * 3600;

/// How long "nothing is known of this account" is kept, in seconds: its first purchase must not wait.
const NEGATIVE_SECONDS: u64 = 2;

/// How long Redis may take to answer, and to be connected to. Whoever publishes tries again by itself.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_millis(500) };

/// A connection to Redis that comes back by itself.
pub(super) struct Cache {
    link: Link,
    store: Script,
}

impl Cache {
    /// Begins to connect, on the current runtime.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &Secret) -> Result<Self, PlaceError> {
        let place = Place::parse(url.expose_secret())?;
        Ok(Self { link: Link::open(place, PATIENCE), store: Script::new(STORE) })
    }

    /// Stores a record and tells the proxies, unless something newer is there.
    pub async fn publish(&self, entitlement: &Entitlement, text: &str) -> RedisResult<Outcome> {
        self.write(entitlement, text, Push::To(record::CHANNEL)).await
    }

    /// Stores a record that was asked for, unless something as new is there.
    pub async fn fill(&self, entitlement: &Entitlement, text: &str) -> RedisResult<Outcome> {
        self.write(entitlement, text, Push::Nobody).await
    }

    async fn write(&self, entitlement: &Entitlement, text: &str, push: Push<'_>) -> RedisResult<Outcome> {
        let kept_seconds = if entitlement.version == 0 { NEGATIVE_SECONDS } else { KEPT_SECONDS };
        let key = record::key(&entitlement.account);
        let store = Store { key: &key, version: entitlement.version, text, kept_seconds, push };
        self.link.store(&self.store, store).await
    }

    /// The version of the record that is there.
    pub async fn version(&self, account: &AccountId) -> RedisResult<Option<u64>> {
        let mut get = redis::cmd("GET");
        get.arg(record::key(account));
        let text: Option<String> = self.link.query(&get).await?;
        Ok(text.and_then(|text| record::decode_for(account, &text).ok()).map(|entitlement| entitlement.version))
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> RedisResult<()> {
        self.link.query(&redis::cmd("PING")).await
    }

    /// Which connection it is; see [`Link::number`].
    pub fn connection(&self) -> Option<u64> {
        self.link.number()
    }
}
