//! The verification of one token: HS256 with one key, whatever the token's header says.

use std::fmt;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::assertion::SECRET_BYTES_MIN;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// How far the clocks of the issuer and of this host may be apart, in seconds.
const LEEWAY_SECONDS: i64 = 2;

/// A key that verifies tokens. `Debug` does not show it.
#[derive(Clone)]
pub struct Key(DecodingKey);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the token secret is shorter than 32 bytes: use `openssl rand -hex 32`")]
    ShortSecret,
}

impl Key {
    /// A shared secret of 32 bytes or more, for HS256.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn hs256(secret: &str) -> Result<Self, KeyError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self(DecodingKey::from_secret(secret.as_bytes())))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(HS256, [redacted])")
    }
}

/// Verifies tokens of one issuer for one audience.
pub(super) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

/// What a valid token says.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) account: AccountId,
    /// Seconds since 1970, leeway included.
    expires: i64,
}

/// The claims that are read beside `iss` and `aud`, which the library compares. A date that is not a number is no date.
#[derive(Deserialize)]
struct Claims {
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

impl Verifier {
    pub(super) fn new(key: Key, issuer: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the system's clock: both dates are compared below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { key: key.0, validation }
    }

    /// What a token says, if it verifies at `now`.
    pub(super) fn verify(&self, token: &[u8], now: Timestamp) -> Option<Verified> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?;
        // An extension that the issuer calls critical and that we do not know (RFC 7515 section 4.1.11).
        if data.header.crit.is_some() {
            return None;
        }
        let Claims { sub, exp, nbf } = data.claims;
        if nbf.is_some_and(|nbf| seconds(nbf).saturating_sub(LEEWAY_SECONDS) > now.timestamp()) {
            return None;
        }
        // A header value loses its outer blanks on the way: the application would read another account.
        if sub.trim() != sub {
            return None;
        }
        let account = AccountId::parse(&sub).ok()?;
        let verified = Verified { account, expires: seconds(exp).saturating_add(LEEWAY_SECONDS) };
        verified.is_valid(now).then_some(verified)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("validation", &self.validation).finish_non_exhaustive()
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "a date beyond all time saturates, which is what is meant")]
fn seconds(date: f64) -> i64 {
    date.floor() as i64
}
