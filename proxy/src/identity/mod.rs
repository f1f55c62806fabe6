//! Who asks: the account that a token names, from the `Authorization` header or the session cookie.
//!
//! There are one or more ways, each with its cookies, keys and claims. All credentials of a request are read. Those that do not verify count as absent beside one that does, as an old cookie of another
//! path or domain must lock out no user; valid ones of several accounts are nobody's. Their order decides nothing.

mod claims;
mod cookies;
mod credential;
mod head;
mod json;
mod jwks;
mod key;
mod reader;
mod refusal;
mod seen;
mod settings;
mod sum;
mod token;

use std::sync::Arc;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use futures_util::future::join_all;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::runtime::Handle;

pub use claims::{Claim, NoClaim};
pub use cookies::WAYS_MAX;
pub use jsonwebtoken::Algorithm;
pub use jwks::{KEY_WAIT, Location, LocationError, PublishedError, Settings as JwksSettings};
pub use key::{FILE_KEYS_MAX, Key, KeyError};
pub use refusal::Refusal;
pub use settings::{FLAT, Keys, Settings, Way};

use cookies::{Found, Names, Ways};
use jwks::Published;
use reader::{Reader, Trust};
use refusal::Refusals;
use seen::Seen;
use sum::Sum;
use token::{Invalid, Tries, Verified};

/// Longest token that is read, in bytes: as much as a request's headers may have (`limits.header_bytes`) by default.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

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
    ways: Vec<Reader>,
    /// All ways: each reads the bearer token.
    all: Ways,
    cookies: Names,
    seen: Seen,
    refusals: Refusals,
}

impl Identity {
    /// Published keys are not fetched before [`Identity::follow`].
    ///
    /// # Errors
    /// When there are too many ways, or keys cannot be fetched at all: TLS or a metric cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, PublishedError> {
        if settings.ways.len() > WAYS_MAX {
            return Err(PublishedError::TooManyWays);
        }
        let (mut ways, mut all, mut cookies) = (Vec::new(), Ways::default(), Names::default());
        let refusals = Refusals::new(settings.ways.iter().map(|way| way.name.clone()))?;
        for (place, way) in settings.ways.into_iter().enumerate() {
            let me = Ways::one(place);
            all = all | me;
            way.cookies.iter().for_each(|name| cookies.add(name, me));
            ways.push(Reader::new(way)?);
        }
        Ok(Self { ways, all, cookies, seen: Seen::new(), refusals })
    }

    fn published(&self) -> impl Iterator<Item = &Arc<Published>> {
        self.ways.iter().filter_map(|way| match &way.trust {
            Trust::Published { keys, .. } => Some(keys),
            Trust::Fixed(_) => None,
        })
    }

    /// Keeps published keys fresh, on `io`, for as long as this value lives. Fixed ones need nothing.
    pub fn follow(&self, io: &Handle) {
        for way in &self.ways {
            if let Trust::Published { keys, following } = &way.trust {
                following.get_or_init(|| Arc::clone(keys).follow(io));
            }
        }
    }

    /// Waits for the first fetch of published keys, 10 s at most, once they are followed. Where one of several sets is there, or a way
    /// has keys of its own, the others are waited for by nobody.
    ///
    /// # Errors
    /// When there are no keys then.
    pub async fn reach(&self) -> Result<(), PublishedError> {
        let reached = join_all(self.published().map(|keys| keys.reach())).await;
        if reached.is_empty() || self.has_keys() {
            return Ok(());
        }
        reached.into_iter().collect()
    }

    /// Whether any way has keys, or has ever had.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.ways.iter().any(Reader::has_keys)
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
            self.refuse(self.all, Refusal::Doubled, now);
            return Some(Credential::Rejected);
        }
        let mut sum = Sum::default();
        for token in credential::bearers(headers) {
            self.take(&mut sum, self.all, token, now);
        }
        let mut in_pieces = false;
        for found in self.cookies.all(headers) {
            match found {
                Found::Whole(ways, value) => self.take(&mut sum, ways, value, now),
                Found::Piece => in_pieces = true,
            }
        }
        if in_pieces {
            for (ways, joined) in self.cookies.joined(headers) {
                match joined {
                    Some(value) => self.take(&mut sum, ways, &value, now),
                    None => {
                        self.refuse(ways, Refusal::Doubled, now);
                        sum.rejects();
                    }
                }
            }
        }
        sum.credential()
    }

    /// Adds what a credential says, for the ways that read it.
    fn take(&self, sum: &mut Sum, ways: Ways, value: &[u8], now: Timestamp) {
        match self.verify(ways, value, now, &mut sum.tries) {
            Ok(account) => sum.names(account),
            Err(Invalid::Ambiguous) => sum.is_ambiguous = true,
            Err(Invalid::UnknownKey(_)) => sum.is_pending = true,
            Err(Invalid::Always(_)) => sum.rejects(),
        }
    }

    fn refuse(&self, ways: Ways, refusal: Refusal, now: Timestamp) {
        ways.places().for_each(|way| self.refusals.note(way, refusal, now));
    }

    async fn renew(&self, headers: &HeaderMap, now: Timestamp) -> Credential {
        join_all(self.published().map(|keys| keys.renew())).await;
        self.peek(headers, now).unwrap_or_else(|| {
            if self.ways.iter().all(Reader::has_keys) {
                self.refuse(self.all, Refusal::UnknownKey, now);
                Credential::Rejected
            } else {
                self.refuse(self.all, Refusal::NoKeys, now);
                Credential::Unverified
            }
        })
    }

    /// The account that a token names, or the check that it does not pass; keys that are published are there already.
    ///
    /// # Errors
    /// The check: of several ways that of the one which the token fits best.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<AccountId, Refusal> {
        self.verify(self.all, token.as_bytes(), now, &mut Tries::default()).map_err(Invalid::refusal)
    }

    /// The account that a credential names: remembered from before, or verified by each of the ways that read it.
    fn verify(&self, ways: Ways, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<AccountId, Invalid> {
        if value.len() > TOKEN_BYTES_MAX {
            self.refuse(ways, Refusal::TooLong, now);
            return Err(Invalid::Always(Refusal::TooLong));
        }
        // What one set of ways makes of it is nothing to another one.
        let digest = self.seen.digest(value) ^ u128::from(ways.bits());
        let generation = self.generation(ways);
        if let Some(account) = self.seen.get(digest, generation, now) {
            return Ok(account);
        }
        self.verify_anew(ways, value, now, tries).map(|verified| {
            let account = verified.account.clone();
            self.seen.remember(digest, Verified { generation, ..verified });
            account
        })
    }

    /// Which sets of keys are in force.
    fn generation(&self, ways: Ways) -> u64 {
        ways.places().filter_map(|place| self.ways.get(place)).map(Reader::generation).fold(0, u64::wrapping_add)
    }

    #[cold]
    fn verify_anew(&self, ways: Ways, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<Verified, Invalid> {
        let (mut found, mut invalid): (Option<Verified>, Option<Invalid>) = (None, None);
        let mut refused: Vec<(usize, Invalid)> = Vec::new();
        for (place, way) in ways.places().filter_map(|place| Some((place, self.ways.get(place)?))) {
            match (way.verify(value, now, tries), &found) {
                (Ok(verified), Some(known)) if known.account != verified.account => {
                    self.refuse(ways, Refusal::Ambiguous, now);
                    return Err(Invalid::Ambiguous);
                }
                // It is remembered for as long as all of them accept it.
                (Ok(verified), Some(known)) if known.expires < verified.expires => {}
                (Ok(verified), _) => found = Some(verified),
                (Err(why), _) => refused.push((place, why)),
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        for (place, why) in refused {
            // A newer set may have its key: nothing is refused yet.
            if !matches!(why, Invalid::UnknownKey(_)) {
                self.refusals.note(place, why.refusal(), now);
            }
            invalid = Some(invalid.map_or(why, |known| known.nearer(why)));
        }
        Err(invalid.unwrap_or(Invalid::Always(Refusal::Malformed)))
    }
}

#[cfg(test)]
mod tests;
