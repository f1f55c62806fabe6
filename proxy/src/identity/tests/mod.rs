//! The corpus of credentials: what is accepted, and everything that must not be.

mod algorithms;
pub(super) mod host;
mod keys;
mod published;
mod tokens;

use std::time::Duration;

use http::HeaderValue;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::token::KeySet;
use super::*;

// Made for these tests alone.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const RSA: &str = include_str!("../../../../tests/keys/rsa.pem");
const RSA_OTHER: &str = include_str!("../../../../tests/keys/rsa-other.pem");
const RSA_PUBLIC: &str = include_str!("../../../../tests/keys/rsa.pub.pem");
const RSA_1024_PUBLIC: &str = include_str!("../../../../tests/keys/rsa-1024.pub.pem");
const P256: &str = include_str!("../../../../tests/keys/p256.pem");
const P256_PUBLIC: &str = include_str!("../../../../tests/keys/p256.pub.pem");
const P384: &str = include_str!("../../../../tests/keys/p384.pem");
const P384_PUBLIC: &str = include_str!("../../../../tests/keys/p384.pub.pem");
const ED25519: &str = include_str!("../../../../tests/keys/ed25519.pem");
const ED25519_PUBLIC: &str = include_str!("../../../../tests/keys/ed25519.pub.pem");
const ED25519_OTHER: &str = include_str!("../../../../tests/keys/ed25519-other.pem");

const NOW: i64 = 1_700_000_000;
const LEEWAY_SECONDS: i64 = 30;

/// Every algorithm with a public key: its private half, its public half.
const PUBLIC: [(Algorithm, &str, &str); 9] = [
    (Algorithm::RS256, RSA, RSA_PUBLIC),
    (Algorithm::RS384, RSA, RSA_PUBLIC),
    (Algorithm::RS512, RSA, RSA_PUBLIC),
    (Algorithm::PS256, RSA, RSA_PUBLIC),
    (Algorithm::PS384, RSA, RSA_PUBLIC),
    (Algorithm::PS512, RSA, RSA_PUBLIC),
    (Algorithm::ES256, P256, P256_PUBLIC),
    (Algorithm::ES384, P384, P384_PUBLIC),
    (Algorithm::EdDSA, ED25519, ED25519_PUBLIC),
];

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).expect("in range")
}

fn way(keys: Keys) -> Way {
    let leeway = Duration::from_secs(LEEWAY_SECONDS.unsigned_abs());
    Way::simple(Some("session"), ("https://read.example", "read.example"), leeway, keys)
}

fn with_keys(keys: Keys) -> Identity {
    Identity::new(Settings::of(way(keys))).expect("it can be made")
}

/// With TOLLGATE_JWT_SECRET.
fn identity() -> Identity {
    with_keys(Keys::Fixed(vec![Key::hs256(SECRET).expect("a key")]))
}

/// With a key file.
fn of_file(pem: &str, algorithm: Algorithm) -> Identity {
    with_keys(Keys::Fixed(Key::from_pem(pem, algorithm).expect("keys")))
}

fn claims() -> Value {
    json!({ "iss": "https://read.example", "aud": "read.example", "sub": "user-1", "exp": NOW + 60 })
}

/// The half of a key that signs.
fn signer(key: &str, algorithm: Algorithm) -> EncodingKey {
    let read = match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return EncodingKey::from_secret(key.as_bytes()),
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(key.as_bytes()),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(key.as_bytes()),
        _ => EncodingKey::from_rsa_pem(key.as_bytes()),
    };
    read.expect("a key")
}

fn signed(algorithm: Algorithm, key: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &signer(key, algorithm)).expect("it signs")
}

/// A token whose header and claims are any text, rightly signed for `algorithm`, whatever the header says.
fn forged(header: &str, claims: &str, algorithm: Algorithm, key: &str) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signer(key, algorithm), algorithm);
    format!("{message}.{}", signature.expect("it signs"))
}

fn base64(text: &str) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// The public half of a key as it is published.
fn jwk(key: &str, algorithm: Algorithm, id: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(&signer(key, algorithm), algorithm).expect("a key");
    jwk.common.key_id = Some(id.to_owned());
    serde_json::to_value(jwk).expect("it encodes")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

fn bearing(token: &str) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {token}"))])
}

fn known(account: &str) -> Credential {
    Credential::Account(entitlement::account::AccountId::parse(account).expect("an id").into())
}
