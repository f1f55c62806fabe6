//! The signed identity that Tollgate hands to the application, and that its own billing component trusts.
//!
//! A JWT of at most 60 seconds, signed with EdDSA or ES256 (a PEM private key; the public half is published as a JWK
//! set) or with HS256 (any other text of 32 bytes or more).
//!
//! While keys are rotated there are several: the first signs, all of them verify and are published. A new key is added
//! last, put first when every reader has fetched it, and the old one is taken away a minute later.

use std::fmt;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::account::{AccountId, UserId};

/// How long an assertion is valid, in seconds.
pub const LIFETIME_SECONDS: i64 = 60;

/// How far behind the clock of whoever verifies that of whoever signs may be, in seconds: else a proxy whose clock is behind by
/// a minute could ask billing nothing, and turn away those who have just paid. More would let what was stolen be of use longer.
pub const APART_SECONDS: i64 = 60;

/// Shortest shared secret, in bytes: the output of HMAC-SHA256 (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// How a PEM block begins and ends (RFC 7468 section 2).
const BEGIN: &str = "-----BEGIN";
const END: &str = "-----END";
const DASHES: &str = "-----";

/// Most keys at a time.
pub const KEYS_MAX: usize = 4;

/// What an assertion states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: AccountId,
    /// The user who acts for the account, where that is another (RFC 8693 section 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// Whether the user may buy, change and cancel for the account. Only a refusal is written: an older build, which writes none, lets
    /// every user do so.
    #[serde(default = "may_buy", skip_serializing_if = "is_buyer")]
    pub buyer: bool,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
    /// As `X-Entitlement-Tier`; absent when nobody could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// As `X-Entitlement-Status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// As `X-Entitlement-Features`, as a list.
    #[serde(default)]
    pub features: Vec<String>,
    /// As `X-Entitlement-Valid-Until`, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
}

/// A user who acts for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub sub: UserId,
}

const fn may_buy() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_buyer(buyer: &bool) -> bool {
    *buyer
}

impl Claims {
    /// The user who acts, where that is another than the account.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.act.as_ref().map(|actor| &actor.sub)
    }
}

/// The key that signs assertions, and those that verify them beside it. `Debug` shows the algorithms only.
#[derive(Clone)]
pub struct AssertionKey {
    first: Pair,
    /// Those that a rotation has not reached yet, or has left behind.
    others: Vec<Pair>,
}

/// One key with both of its halves.
#[derive(Clone)]
struct Pair {
    algorithm: Algorithm,
    sign: EncodingKey,
    verify: DecodingKey,
    /// The public half; none for a shared secret.
    public: Option<Jwk>,
}

/// Why a key or an assertion is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    #[error(
        "the assertion key is shorter than 32 bytes: use `openssl genpkey -algorithm ed25519` or `openssl rand -hex 32`"
    )]
    ShortSecret,
    #[error(
        "the assertion key is a PEM, but neither an Ed25519 nor a P-256 private key in PKCS#8: use `openssl genpkey -algorithm ed25519`"
    )]
    BadPem,
    #[error("there is no assertion key: use `openssl genpkey -algorithm ed25519`")]
    None,
    #[error("there are more than 4 assertion keys: take those away that signed nothing in the last minute")]
    TooMany,
    #[error("the assertion could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
    #[error("the assertion does not verify")]
    Verify(#[source] jsonwebtoken::errors::Error),
    #[error("the assertion has expired")]
    Expired,
}

impl AssertionKey {
    /// Reads one or several keys: PEM private keys one after the other, shared secrets with commas between. The first
    /// is the one that signs.
    ///
    /// # Errors
    /// When one is a PEM of another kind or a secret that is too short, or there are too many.
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        let texts = split(text);
        if texts.len() > KEYS_MAX {
            return Err(AssertionError::TooMany);
        }
        let mut pairs = texts.into_iter().map(Pair::parse);
        let first = pairs.next().ok_or(AssertionError::None)??;
        Ok(Self { first, others: pairs.collect::<Result<_, _>>()? })
    }

    /// Signs claims with the first key.
    ///
    /// # Errors
    /// When the crypto library refuses the key.
    pub fn sign(&self, claims: &Claims) -> Result<String, AssertionError> {
        let mut header = Header::new(self.first.algorithm);
        header.kid = self.first.id().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.first.sign).map_err(AssertionError::Sign)
    }

    /// Verifies an assertion by any of the keys, for this issuer and audience at `now`, on a machine whose clock may be
    /// [`APART_SECONDS`] ahead of the signer's.
    ///
    /// # Errors
    /// When it was signed with none of the keys, is not for this issuer and audience, or expired before that.
    pub fn verify(&self, token: &str, issuer: &str, audience: &str, now: Timestamp) -> Result<Claims, AssertionError> {
        let mut verified = self.first.verify(token, issuer, audience);
        for other in &self.others {
            verified = verified.or_else(|_| other.verify(token, issuer, audience));
        }
        let claims = verified?;
        if claims.exp.saturating_add(APART_SECONDS) <= now.timestamp() {
            return Err(AssertionError::Expired);
        }
        Ok(claims)
    }

    /// What applications fetch to verify assertions; empty for shared secrets, which are never published.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.pairs().filter_map(|pair| pair.public.clone()).collect() }
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Pair {
    fn parse(text: &str) -> Result<Self, AssertionError> {
        if text.starts_with(BEGIN) {
            return Self::from_pem(text).ok_or(AssertionError::BadPem);
        }
        if text.len() < SECRET_BYTES_MIN {
            return Err(AssertionError::ShortSecret);
        }
        let (sign, verify) = (EncodingKey::from_secret(text.as_bytes()), DecodingKey::from_secret(text.as_bytes()));
        Ok(Self { algorithm: Algorithm::HS256, sign, verify, public: None })
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let read = |algorithm, sign: jsonwebtoken::errors::Result<EncodingKey>| {
            let sign = sign.ok()?;
            let mut public = Jwk::from_encoding_key(&sign, algorithm).ok()?;
            public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
            public.common.public_key_use = Some(PublicKeyUse::Signature);
            let verify = DecodingKey::from_jwk(&public).ok()?;
            Some(Self { algorithm, sign, verify, public: Some(public) })
        };
        read(Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes()))
            .or_else(|| read(Algorithm::ES256, EncodingKey::from_ec_pem(pem.as_bytes())))
    }

    /// The `kid` under which the public half is published: its thumbprint (RFC 7638).
    fn id(&self) -> Option<&str> {
        self.public.as_ref()?.common.key_id.as_deref()
    }

    fn verify(&self, token: &str, issuer: &str, audience: &str) -> Result<Claims, AssertionError> {
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the system's clock.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Claims>(token, &self.verify, &validation).map_err(AssertionError::Verify)?;
        Ok(data.claims)
    }
}

/// The keys of a text: what is a PEM stands for itself, between commas is a secret.
fn split(text: &str) -> Vec<&str> {
    let is_between = |letter: char| letter == ',' || letter.is_whitespace();
    let mut keys = Vec::new();
    let mut rest = text.trim_start_matches(is_between);
    while !rest.is_empty() {
        let pem = rest.starts_with(BEGIN).then(|| rest.find(END)).flatten();
        let end =
            pem.map(|end| end + END.len() + rest[end + END.len()..].find(DASHES).map_or(0, |at| at + DASHES.len()));
        let end = end.or_else(|| rest.find([',']).into_iter().chain(rest.find(BEGIN).filter(|at| *at > 0)).min());
        let (key, after) = rest.split_at(end.unwrap_or(rest.len()));
        keys.push(key.trim());
        rest = after.trim_start_matches(is_between);
    }
    keys
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<Algorithm> = self.pairs().map(|pair| pair.algorithm).collect();
        write!(f, "AssertionKey({algorithms:?}, [redacted])")
    }
}

#[cfg(test)]
mod tests;
