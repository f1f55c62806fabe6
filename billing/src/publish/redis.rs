//! The cache in Redis: a record is replaced only by a newer one, whoever comes last.

use std::sync::Arc;
use std::time::Duration;

use cache::{Link, Outcome, Patience, Place, PlaceError, Push, Refusal, Refusals, STORE, Store, Task};
use entitlement::account::AccountId;
use entitlement::catalog::Catalog;
use entitlement::record::{self, Entitlement};
use entitlement::timeline::timeline;
use redis::{RedisResult, Script, cmd};
use secrecy::ExposeSecret;

use super::PublishError;
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
    refusals: Arc<Refusals>,
    store: Script,
}

impl Cache {
    /// Begins to connect, on the current runtime.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &Secret) -> Result<Self, PlaceError> {
        let place = Place::parse(url.expose_secret())?;
        let refusals: Arc<Refusals> = Arc::default();
        let link = Link::open(place, PATIENCE, Arc::clone(&refusals));
        Ok(Self { link, refusals, store: Script::new(STORE) })
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

    /// Tries all that is ever asked of Redis, with the record of an account that nobody has.
    ///
    /// # Errors
    /// When Redis does not answer, or refuses.
    pub async fn probe(&self) -> Result<(), PublishError> {
        // One that was never stored: what lies there already is not stored again.
        let probe = format!("{}:{:x}", record::PROBE, rand::random::<u64>());
        let Ok(account) = AccountId::parse(&probe) else { return Ok(()) };
        let nothing = Entitlement { account, version: 0, timeline: timeline(&Catalog::empty(), &[]) };
        let text = record::encode(&nothing)?;
        if let Err(error) = self.publish(&nothing, &text).await {
            if Refusal::of(&error) == Some(Refusal::RightOfScript) {
                self.name_right(&nothing.account, &text).await;
            }
            return Err(error.into());
        }
        self.version(&nothing.account).await?;
        Ok(())
    }

    /// Notes which right a script lacks: each of its steps by itself has an answer that names it.
    async fn name_right(&self, account: &AccountId, text: &str) {
        let (mut read, mut set, mut publish) = (cmd("GETRANGE"), cmd("SET"), cmd("PUBLISH"));
        read.arg(record::key(account)).arg(0).arg(0);
        set.arg(record::key(account)).arg(text).arg("EX").arg(NEGATIVE_SECONDS);
        publish.arg(record::CHANNEL).arg(text);
        for step in [read, set, publish] {
            let answer: RedisResult<redis::Value> = self.link.query_unnoted(&step).await;
            if let Err(error) = answer
                && matches!(Refusal::of(&error), Some(Refusal::Right(_)))
            {
                return self.refusals.note(Task::Store, Some(&error));
            }
        }
    }

    /// What Redis refuses.
    pub fn refused(&self) -> Vec<Refusal> {
        self.refusals.all()
    }

    /// Which connection it is; see [`Link::number`].
    pub fn connection(&self) -> Option<u64> {
        self.link.number()
    }
}
