//! The verification of one token by the keys that are trusted now.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use super::head::Head;
use super::key::Key;

/// Most keys that are tried for a token that does not say which it means.
const TRIES_MAX: usize = 4;

/// What every token must say.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The `iss` claim.
    pub(super) issuer: String,
    /// One of the `aud` claim.
    pub(super) audience: String,
    /// How far the clocks of the issuer and of this host may be apart, in seconds.
    pub(super) leeway_seconds: i64,
}

/// The keys that are trusted at some time.
#[derive(Debug)]
pub(super) struct KeySet {
    /// Which set it is: what another one verified must be verified again.
    pub(super) generation: u64,
    keys: Vec<Trusted>,
}

/// A key, and what the library is to check with it: its algorithm and no other.
#[derive(Debug)]
struct Trusted {
    key: Key,
    validation: Validation,
}

/// What a valid token says.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) account: AccountId,
    /// Of the set that verified it.
    pub(super) generation: u64,
    /// Seconds since 1970, leeway included.
    expires: i64,
}

/// Why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The set has no key that it could mean: another set may have it. Its algorithm is what the token says.
    UnknownKey(Algorithm),
    /// Whatever keys there are.
    Always,
}

/// The claims that are read beside `aud`, which the library compares. A date that is not a number is no date, and an
/// issuer is one.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "it must be one text; the library compares it")]
    iss: String,
    sub: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
}

impl Verified {
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        now.timestamp() < self.expires
    }
}

impl KeySet {
    pub(super) fn new(generation: u64, keys: Vec<Key>, expected: &Expected) -> Self {
        let trusted = |key: Key| {
            let mut validation = Validation::new(key.algorithm());
            validation.set_issuer(&[&expected.issuer]);
            validation.set_audience(&[&expected.audience]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            // The library would read the system's clock: both dates are compared below.
            validation.validate_exp = false;
            validation.validate_nbf = false;
            Trusted { key, validation }
        };
        Self { generation, keys: keys.into_iter().map(trusted).collect() }
    }

    /// Whether these are the keys of the set.
    pub(super) fn holds(&self, keys: &[Key]) -> bool {
        self.keys.iter().map(|trusted| &trusted.key).eq(keys)
    }

    /// What a token says, if it verifies at `now`.
    pub(super) fn verify(&self, token: &[u8], now: Timestamp, expected: &Expected) -> Result<Verified, Invalid> {
        let head = Head::read(token).ok_or(Invalid::Always)?;
        let named = || self.keys.iter().filter(|trusted| trusted.key.is_named(head.key_id()));
        if named().next().is_none() {
            return Err(Invalid::UnknownKey(head.alg));
        }
        let usable = named().filter(|trusted| trusted.key.algorithm() == head.alg).take(TRIES_MAX);
        let decode = |with: &Trusted| jsonwebtoken::decode::<Claims>(token, with.key.decoding(), &with.validation).ok();
        let data = usable.filter_map(decode).next().ok_or(Invalid::Always)?;
        self.read(data.claims, now, expected.leeway_seconds).ok_or(Invalid::Always)
    }

    /// What the claims of a rightly signed token come to at `now`.
    fn read(&self, claims: Claims, now: Timestamp, leeway_seconds: i64) -> Option<Verified> {
        let Claims { sub, exp, nbf, .. } = claims;
        if nbf.is_some_and(|nbf| seconds(nbf).saturating_sub(leeway_seconds) > now.timestamp()) {
            return None;
        }
        // A header value loses its outer blanks on the way: the application would read another account.
        if sub.trim() != sub {
            return None;
        }
        let account = AccountId::parse(&sub).ok()?;
        let expires = seconds(exp).saturating_add(leeway_seconds);
        let verified = Verified { account, generation: self.generation, expires };
        verified.is_valid(now).then_some(verified)
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "a date beyond all time saturates, which is what is meant")]
fn seconds(date: f64) -> i64 {
    date.floor() as i64
}
