//! Who asks: the account that a token names, from the `Authorization` header or the session cookie.
//!
//! Where a request has both, the header counts, as a program that sends one means it. What could be read in two ways
//! (two cookies of the name, two `Authorization` headers) is a credential that does not verify.

mod cookie;
mod head;
mod jwks;
mod key;
mod seen;
mod token;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use tokio::runtime::Handle;

pub use jsonwebtoken::Algorithm;
pub use jwks::{KEY_WAIT, Location, LocationError, PublishedError, Settings as JwksSettings};
pub use key::{FILE_KEYS_MAX, Key, KeyError};

use jwks::{Following, Published};
use seen::{Digest, Seen};
use token::{Expected, Invalid, KeySet, Verified};

/// Longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

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
}

/// The keys that are trusted.
#[derive(Debug)]
enum Trust {
    Fixed(KeySet),
    Published { keys: Arc<Published>, following: OnceLock<Following> },
}

/// One of several values, or the only one.
enum Sole<T> {
    None,
    One(T),
    Many,
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
            Keys::Fixed(keys) => Trust::Fixed(KeySet::new(1, keys, &expected)),
            Keys::Published(settings) => {
                let keys = Arc::new(Published::new(settings, expected.clone())?);
                Trust::Published { keys, following: OnceLock::new() }
            }
        };
        Ok(Self { cookie, expected, trust, seen: Seen::new() })
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
        match self.token(headers) {
            Sole::None => Some(Credential::Missing),
            Sole::Many => Some(Credential::Rejected),
            Sole::One(token) if token.len() > TOKEN_BYTES_MAX => Some(Credential::Rejected),
            Sole::One(token) => self.verify(token, now),
        }
    }

    async fn renew(&self, headers: &HeaderMap, now: Timestamp) -> Credential {
        if let Trust::Published { keys, .. } = &self.trust {
            keys.renew().await;
        }
        let unknown = || if self.has_keys() { Credential::Rejected } else { Credential::Unverified };
        self.peek(headers, now).unwrap_or_else(unknown)
    }

    fn token<'a>(&self, headers: &'a HeaderMap) -> Sole<&'a [u8]> {
        match (bearer(headers), &self.cookie) {
            (Sole::None, Some(name)) => cookie::find(headers, name),
            (found, _) => found,
        }
    }

    fn verify(&self, token: &[u8], now: Timestamp) -> Option<Credential> {
        let digest = self.seen.digest(token);
        let account = match &self.trust {
            Trust::Fixed(set) => self.verify_with(set, token, digest, now),
            Trust::Published { keys, .. } => match self.verify_with(&keys.set(), token, digest, now) {
                Err(Invalid::UnknownKey(algorithm)) if keys.allows(algorithm) => return None,
                known => known,
            },
        };
        Some(account.map_or(Credential::Rejected, Credential::Account))
    }

    fn verify_with(&self, set: &KeySet, token: &[u8], digest: Digest, now: Timestamp) -> Result<AccountId, Invalid> {
        if let Some(account) = self.seen.get(digest, set.generation, now) {
            return Ok(account);
        }
        let verified: Verified = set.verify(token, now, &self.expected)?;
        let account = verified.account.clone();
        self.seen.remember(digest, verified);
        Ok(account)
    }
}

/// The bearer token (RFC 6750 section 2.1). Another scheme than `Bearer` is none of ours.
fn bearer(headers: &HeaderMap) -> Sole<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    match (values.next(), values.next()) {
        (None, _) => Sole::None,
        (Some(_), Some(_)) => Sole::Many,
        (Some(value), None) => match value.split_first_chunk::<7>() {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Sole::One(token.trim_ascii()),
            _ if value.eq_ignore_ascii_case(b"bearer") => Sole::One(b""),
            _ => Sole::None,
        },
    }
}

#[cfg(test)]
mod tests;
