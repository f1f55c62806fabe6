//! The site's own session tokens, good and bad.

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

/// The same claims under the header `{"alg":"none"}` and no signature.
pub fn unsigned(claims: &Value) -> String {
    let signed = signed(claims, SECRET);
    let payload = signed.split('.').nth(1).expect("a token has three parts");
    format!("eyJhbGciOiJub25lIn0.{payload}.")
}
