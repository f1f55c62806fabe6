//! The site's own session tokens, good and bad.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::clock::in_seconds;

pub const SECRET: &str = "the secret with which the tested site signs";
pub const ISSUER: &str = "https://site.test";
pub const AUDIENCE: &str = "site.test";

/// A token that is good in everything.
pub fn token(account: &str) -> String {
    signed(&claims(account), SECRET)
}

/// The claims of a good token.
pub fn claims(account: &str) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": account,
        "iat": in_seconds(0),
        "exp": in_seconds(3600),
    })
}

/// Any claims under any secret.
pub fn signed(claims: &Value, secret: &str) -> String {
    let header = Header::new(Algorithm::HS256);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("it signs")
}

/// Claims as this text writes them, which need be no text that can be read.
pub fn signed_text(claims: &str) -> String {
    let message = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("it signs");
    format!("{message}.{signature}")
}

/// The same claims under the header `{"alg":"none"}` and no signature.
pub fn unsigned(claims: &Value) -> String {
    let signed = signed(claims, SECRET);
    let payload = signed.split('.').nth(1).expect("a token has three parts");
    format!("eyJhbGciOiJub25lIn0.{payload}.")
}
