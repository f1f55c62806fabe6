//! Who asks: the account that a token names, from the `Authorization` header or the session cookie.
//!
//! All credentials of a request are read. Those that do not verify count as absent beside one that does, as an old cookie of another
//! path or domain must lock out no user; valid ones of several accounts are nobody's. Their order decides nothing.

mod credential;
mod head;
mod jwks;
mod key;
mod refusal;
mod seen;
mod token;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::runtime::Handle;

pub use jsonwebtoken::Algorithm;
pub use jwks::{KEY_WAIT, Location, LocationError, PublishedError, Settings as JwksSettings};
pub use key::{FILE_KEYS_MAX, Key, KeyError};
pub use refusal::Refusal;

use jwks::{Following, Published};
use refusal::{Place, Refusals};
use seen::{Digest, Seen};
use token::{Expected, Invalid, KeySet, Tries, Verified};

/// Longest token that is read, in bytes: as much as a request's headers may have (`limits.header_bytes`) by default.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Where the token is and what it must say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cookie that holds the token, beside `Authorization: Bearer`.
    pub cookie: Option<String>,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// How far the clocks of the issuer and of this host may be apart; whole seconds.
    pub leeway: Duration,
    pub keys: Keys,
}

/// What verifies tokens.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A shared secret, or the keys of a file: they change with a restart only.
    Fixed(Vec<Key>),
    /// The keys that an identity provider publishes.
    Published(JwksSettings),
}

/// What a request says about who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Missing,
    /// Something that does not verify.
    Rejected,
    /// Valid tokens of several accounts.
    Ambiguous,
    /// A token that nobody can verify now: there has never been a key set.
    Unverified,
    /// A valid token of this account.
    Account(AccountId),
}

/// Reads credentials.
#[derive(Debug)]
pub struct Identity {
    cookie: Option<String>,
    expected: Expected,
    trust: Trust,
    seen: Seen,
    refusals: Refusals,
}

/// The keys that are trusted.
#[derive(Debug)]
enum Trust {
    Fixed(KeySet),
    Published { keys: Arc<Published>, following: OnceLock<Following> },
}

impl Identity {
    /// Published keys are not fetched before [`Identity::follow`].
    ///
    /// # Errors
    /// When they cannot be fetched at all: TLS or a metric cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, PublishedError> {
        let Settings { cookie, issuer, audience, leeway, keys } = settings;
        let leeway_seconds = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        let expected = Expected { issuer, audience, leeway_seconds };
        let trust = match keys {
            Keys::Fixed(keys) => Trust::Fixed(KeySet::new(1, keys)),
            Keys::Published(settings) => {
                let keys = Arc::new(Published::new(settings)?);
                Trust::Published { keys, following: OnceLock::new() }
            }
        };
        Ok(Self { cookie, expected, trust, seen: Seen::new(), refusals: Refusals::new()? })
    }

    /// Keeps published keys fresh, on `io`, for as long as this value lives. Fixed ones need nothing.
    pub fn follow(&self, io: &Handle) {
        if let Trust::Published { keys, following } = &self.trust {
            following.get_or_init(|| Arc::clone(keys).follow(io));
        }
    }

    /// Waits for the first fetch of published keys, 10 s at most, once they are followed.
    ///
    /// # Errors
    /// When there are no keys then.
    pub async fn reach(&self) -> Result<(), PublishedError> {
        match &self.trust {
            Trust::Fixed(_) => Ok(()),
            Trust::Published { keys, .. } => keys.reach().await,
        }
    }

    /// Whether there are keys, or have ever been.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        match &self.trust {
            Trust::Fixed(_) => true,
            Trust::Published { keys, .. } => keys.is_known(),
        }
    }

    /// Who sends these headers at `now`. A token that was verified before is not verified again, and nothing is waited
    /// for. A token whose key may just have been published is waited for, [`KEY_WAIT`] at most.
    pub async fn identify(&self, headers: &HeaderMap, now: Timestamp) -> Credential {
        match self.peek(headers, now) {
            Some(credential) => credential,
            None => Box::pin(self.renew(headers, now)).await,
        }
    }

    /// As [`Identity::identify`], but waits for nothing: none when a set that is newer than ours could say more.
    #[must_use]
    pub fn peek(&self, headers: &HeaderMap, now: Timestamp) -> Option<Credential> {
        // It is one header (RFC 9110 section 11.6.2): of several, the site may read another than the one that counts here.
        if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            self.refusals.note(Place::Bearer, Refusal::Doubled, now);
            return Some(Credential::Rejected);
        }
        let (mut account, mut credential) = (None, Some(Credential::Missing));
        let mut tries = Tries::default();
        for (place, value) in credential::all(headers, self.cookie.as_deref()) {
            match self.verify(value, now, &mut tries) {
                Ok(found) => match account.replace(found) {
                    Some(known) if Some(&known) != account.as_ref() => return Some(Credential::Ambiguous),
                    _ => {}
                },
                Err(Invalid::UnknownKey(algorithm)) if self.may_learn(algorithm) => credential = None,
                Err(invalid) => {
                    self.refusals.note(place, invalid.refusal(), now);
                    credential = credential.map(|_| Credential::Rejected);
                }
            }
        }
        // A user with one good session is not kept waiting for what lies beside it.
        account.map(Credential::Account).or(credential)
    }

    async fn renew(&self, headers: &HeaderMap, now: Timestamp) -> Credential {
        if let Trust::Published { keys, .. } = &self.trust {
            keys.renew().await;
        }
        self.peek(headers, now).unwrap_or_else(|| {
            let (refusal, credential) = match self.has_keys() {
                true => (Refusal::UnknownKey, Credential::Rejected),
                false => (Refusal::NoKeys, Credential::Unverified),
            };
            if let Some((place, _)) = credential::all(headers, self.cookie.as_deref()).next() {
                self.refusals.note(place, refusal, now);
            }
            credential
        })
    }

    /// The account that a token names, or the check that it does not pass; keys that are published are there already.
    ///
    /// # Errors
    /// The check.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<AccountId, Refusal> {
        self.verify(token.as_bytes(), now, &mut Tries::default()).map_err(Invalid::refusal)
    }

    /// Whether a newer set could have a key for this algorithm.
    fn may_learn(&self, algorithm: Algorithm) -> bool {
        matches!(&self.trust, Trust::Published { keys, .. } if keys.allows(algorithm))
    }

    /// The account that a credential names. What is no token as it stands may be one inside of quotes and the like.
    fn verify(&self, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<AccountId, Invalid> {
        self.verify_token(value, now, tries).or_else(|invalid| match credential::unwrapped(value) {
            // The reason is that of the token inside, where there is one.
            Some(token) => self.verify_token(&token, now, tries),
            None => Err(invalid),
        })
    }

    fn verify_token(&self, token: &[u8], now: Timestamp, tries: &mut Tries) -> Result<AccountId, Invalid> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Invalid::Always(Refusal::TooLong));
        }
        let digest = self.seen.digest(token);
        match &self.trust {
            Trust::Fixed(set) => self.verify_with(set, token, digest, now, tries),
            Trust::Published { keys, .. } => self.verify_with(&keys.set(), token, digest, now, tries),
        }
    }

    fn verify_with(
        &self,
        set: &KeySet,
        token: &[u8],
        digest: Digest,
        now: Timestamp,
        tries: &mut Tries,
    ) -> Result<AccountId, Invalid> {
        if let Some(account) = self.seen.get(digest, set.generation, now) {
            return Ok(account);
        }
        let verified: Verified = set.verify(token, now, &self.expected, tries)?;
        let account = verified.account.clone();
        self.seen.remember(digest, verified);
        Ok(account)
    }
}

#[cfg(test)]
mod tests;
