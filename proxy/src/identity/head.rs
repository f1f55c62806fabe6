//! The header of a token: what it says, and what no token may say here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{Deserialize, Deserializer, IgnoredAny};

/// Longest `kid`, in bytes.
const ID_BYTES_MAX: usize = 256;

/// What a token's header says of how it was signed. Nothing of it is believed: it only finds the key, whose own
/// algorithm must be the same.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Head {
    #[serde(deserialize_with = "algorithm")]
    pub(super) alg: Algorithm,
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): none is.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
    /// A payload that is not encoded (RFC 7797), or packed.
    #[serde(default, deserialize_with = "is_there")]
    b64: bool,
    #[serde(default, deserialize_with = "is_there")]
    zip: bool,
    /// Keys that the sender brings along, or where to fetch them.
    #[serde(default, deserialize_with = "is_there")]
    jwk: bool,
    #[serde(default, deserialize_with = "is_there")]
    jku: bool,
    #[serde(default, deserialize_with = "is_there")]
    x5u: bool,
    #[serde(default, deserialize_with = "is_there")]
    x5c: bool,
}

impl Head {
    /// The header of a token in compact form, if it says nothing that is refused.
    pub(super) fn read(token: &[u8]) -> Option<Self> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let head: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        let refused = [head.crit, head.b64, head.zip, head.jwk, head.jku, head.x5u, head.x5c].contains(&true);
        let is_short = head.kid.as_ref().is_none_or(|id| id.len() <= ID_BYTES_MAX);
        (!refused && is_short).then_some(head)
    }

    /// The `kid`: which key the token means.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// `Ed25519` is what RFC 9864 calls the only kind of EdDSA that there is here.
fn algorithm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
    named(&name).ok_or_else(|| serde::de::Error::custom("an algorithm that is not known"))
}

/// The algorithm of this name.
pub(super) fn named(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" { Some(Algorithm::EdDSA) } else { name.parse().ok() }
}

/// Whatever its value is.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
