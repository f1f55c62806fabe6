//! The signed identity that Tollgate hands to the application, and that its own billing component trusts.
//!
//! A JWT of at most 60 seconds, signed with EdDSA or ES256 (a PEM private key; the public half is published as a JWK
//! set) or with HS256 (any other text of 32 bytes or more).

use std::fmt;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::account::AccountId;

/// How long an assertion is valid, in seconds.
pub const LIFETIME_SECONDS: i64 = 60;

/// Shortest shared secret, in bytes: the output of HMAC-SHA256 (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// What an assertion states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: AccountId,
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

/// The key that signs and verifies assertions. `Debug` shows the algorithm only.
#[derive(Clone)]
pub struct AssertionKey {
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
    #[error("the assertion could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
    #[error("the assertion does not verify")]
    Verify(#[source] jsonwebtoken::errors::Error),
    #[error("the assertion has expired")]
    Expired,
}

impl AssertionKey {
    /// Reads a key from its text: a PEM private key, or a shared secret.
    ///
    /// # Errors
    /// When it is a PEM of another kind, or a secret that is too short.
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
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
            public.common.key_id = Some(public.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).ok()?);
            let verify = DecodingKey::from_jwk(&public).ok()?;
            Some(Self { algorithm, sign, verify, public: Some(public) })
        };
        read(Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes()))
            .or_else(|| read(Algorithm::ES256, EncodingKey::from_ec_pem(pem.as_bytes())))
    }

    /// Signs claims.
    ///
    /// # Errors
    /// When the crypto library refuses the key.
    pub fn sign(&self, claims: &Claims) -> Result<String, AssertionError> {
        let mut header = Header::new(self.algorithm);
        header.kid = self.public.as_ref().and_then(|jwk| jwk.common.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.sign).map_err(AssertionError::Sign)
    }

    /// Verifies an assertion for this issuer and audience at `now`.
    ///
    /// # Errors
    /// When it was not signed with this key, is not for this issuer and audience, or has expired.
    pub fn verify(&self, token: &str, issuer: &str, audience: &str, now: Timestamp) -> Result<Claims, AssertionError> {
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the system's clock.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Claims>(token, &self.verify, &validation).map_err(AssertionError::Verify)?;
        if data.claims.exp <= now.timestamp() {
            return Err(AssertionError::Expired);
        }
        Ok(data.claims)
    }

    /// What applications fetch to verify assertions; empty for a shared secret, which is never published.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.public.iter().cloned().collect() }
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({:?}, [redacted])", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made for these tests alone.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMoQy2GF88za/3IwjYLf4F4epGKA3rKMiFVjzOgqTxLD\n-----END PRIVATE KEY-----";
    const P256: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZm+KPY5ygeG4uoIk\nDVpelKTvjfkqToXIfjELFzmK6KShRANCAATbewZ9WIdgvc2d4DCh+R/0a265LxEd\nzgfaRzBC4II6nNorRz4x+9nojYBsG0wnXK8dDYT2HFGk/mRnZFrUmcak\n-----END PRIVATE KEY-----";
    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn claims() -> Claims {
        Claims {
            iss: "https://read.example".into(),
            aud: "read.example".into(),
            sub: AccountId::parse("user-1").expect("an id"),
            iat: 1_000,
            exp: 1_000 + LIFETIME_SECONDS,
            tier: Some("paid".into()),
            status: Some("active".into()),
            features: vec!["archive".into()],
            valid_until: None,
        }
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).expect("in range")
    }

    #[test]
    fn every_kind_of_key_signs_what_it_verifies_until_it_expires() {
        for text in [ED25519, P256, SECRET] {
            let key = AssertionKey::parse(text).expect("a usable key");
            let token = key.sign(&claims()).expect("it signs");
            let verify = |issuer, audience, second| key.verify(&token, issuer, audience, moment(second));
            assert_eq!(verify("https://read.example", "read.example", 1_059).expect("it verifies"), claims());
            assert!(matches!(verify("https://read.example", "read.example", 1_060), Err(AssertionError::Expired)));
            assert!(verify("https://evil.example", "read.example", 1_001).is_err(), "another issuer");
            assert!(verify("https://read.example", "evil.example", 1_001).is_err(), "another audience");
        }
    }

    #[test]
    fn another_key_does_not_verify() {
        let token = AssertionKey::parse(SECRET).expect("a key").sign(&claims()).expect("it signs");
        for other in [ED25519, P256, "another-secret-of-more-than-32-bytes"] {
            let key = AssertionKey::parse(other).expect("a key");
            assert!(key.verify(&token, "https://read.example", "read.example", moment(1_001)).is_err());
        }
    }

    #[test]
    fn only_public_keys_are_published() {
        let jwks = |text| serde_json::to_string(&AssertionKey::parse(text).expect("a key").jwks()).expect("it encodes");
        assert_eq!(jwks(SECRET), r#"{"keys":[]}"#);
        let ed25519 = jwks(ED25519);
        assert!(ed25519.contains("OKP") && ed25519.contains("kid") && !ed25519.contains("\"d\""), "{ed25519}");
    }

    #[test]
    fn a_key_never_shows_itself_and_a_bad_one_says_what_to_do() {
        let shown = format!("{:?}", AssertionKey::parse(SECRET).expect("a key"));
        assert_eq!(shown, "AssertionKey(HS256, [redacted])");
        assert!(matches!(AssertionKey::parse("short"), Err(AssertionError::ShortSecret)));
        let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        assert!(matches!(AssertionKey::parse(rsa), Err(AssertionError::BadPem)));
    }
}
