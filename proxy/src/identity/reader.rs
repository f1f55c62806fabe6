//! One way to read a token: where it stands in a credential, what it must say, and the keys that verify it.

use std::sync::{Arc, OnceLock};

use entitlement::Timestamp;
use jsonwebtoken::Algorithm;

use super::claims::Expected;
use super::jwks::{Following, Published, PublishedError};
use super::principal::Naming;
use super::refusal::Refusal;
use super::settings::{Keys, Way};
use super::token::{Invalid, KeySet, Tries, Verified};
use super::{TOKEN_BYTES_MAX, cookies, credential};

/// One way to read a token.
#[derive(Debug)]
pub(super) struct Reader {
    token_at: Option<String>,
    pub(super) expected: Expected,
    pub(super) trust: Trust,
}

/// The keys that are trusted.
#[derive(Debug)]
pub(super) enum Trust {
    Fixed(KeySet),
    Published { keys: Arc<Published>, following: OnceLock<Following> },
}

impl Reader {
    pub(super) fn new(way: Way, naming: Naming) -> Result<Self, PublishedError> {
        let Way { token_at, issuers, audiences, authorized_parties: parties, leeway, keys, .. } = way;
        let leeway_seconds = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
        let expected = Expected { issuers, audiences, parties, naming, leeway_seconds };
        let trust = match keys {
            Keys::Fixed(keys) => Trust::Fixed(KeySet::new(1, keys)),
            // There are none: no token verifies.
            Keys::Unsigned | Keys::Asked(_) => Trust::Fixed(KeySet::new(1, Vec::new())),
            Keys::Published(settings) => {
                let keys = Arc::new(Published::new(settings)?);
                Trust::Published { keys, following: OnceLock::new() }
            }
        };
        Ok(Self { token_at, expected, trust })
    }

    pub(super) fn has_keys(&self) -> bool {
        match &self.trust {
            Trust::Fixed(_) => true,
            Trust::Published { keys, .. } => keys.is_known(),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        match &self.trust {
            Trust::Fixed(set) => set.generation,
            Trust::Published { keys, .. } => keys.set().generation,
        }
    }

    /// Whether a newer set could have a key for this algorithm.
    fn may_learn(&self, algorithm: Algorithm) -> bool {
        matches!(&self.trust, Trust::Published { keys, .. } if keys.allows(algorithm))
    }

    fn has_key_for(&self, algorithm: Algorithm) -> bool {
        match &self.trust {
            Trust::Fixed(set) => set.has_key_for(algorithm),
            Trust::Published { keys, .. } => keys.set().has_key_for(algorithm),
        }
    }

    /// What a credential says. What is no token as it stands may be one inside of quotes and the like, or of JSON.
    pub(super) fn verify(&self, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<Verified, Invalid> {
        let verified = self.verify_token(value, now, tries);
        let Err(invalid) = verified else { return verified };
        let inner = match &self.token_at {
            Some(pointer) => {
                let inside = cookies::inside(value, pointer);
                let bare = inside.map(|token| credential::unwrapped(&token).unwrap_or(token));
                bare.or_else(|| credential::unwrapped(value))
            }
            None => credential::unwrapped(value),
        };
        // The reason is that of the token inside, where there is one.
        let verified = match inner {
            Some(token) if token.len() <= TOKEN_BYTES_MAX => self.verify_token(&token, now, tries),
            _ => Err(invalid),
        };
        match verified {
            Err(Invalid::UnknownKey(algorithm)) if !self.may_learn(algorithm) => {
                let refusal = if self.has_key_for(algorithm) { Refusal::UnknownKey } else { Refusal::WrongAlgorithm };
                Err(Invalid::Always(refusal))
            }
            verified => verified,
        }
    }

    fn verify_token(&self, token: &[u8], now: Timestamp, tries: &mut Tries) -> Result<Verified, Invalid> {
        match &self.trust {
            Trust::Fixed(set) => set.verify(token, now, &self.expected, tries),
            Trust::Published { keys, .. } => keys.set().verify(token, now, &self.expected, tries),
        }
    }
}
