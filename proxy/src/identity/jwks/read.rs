//! A key set as it is published: what of it can be trusted.

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use super::fetch::FetchError;
use crate::identity::key::{Key, KeyError};

/// Most keys of a set that are used: it may have more beside them.
const KEYS_MAX: usize = 64;

/// What only the owner of a key may know (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys of a set that verify tokens of one of these algorithms. Others are left out (RFC 7517 section 5).
///
/// # Errors
/// When it is no set, or has none that can be used.
pub(in crate::identity) fn keys(body: &[u8], algorithms: &[Algorithm]) -> Result<Vec<Key>, FetchError> {
    let Set { keys } = serde_json::from_slice(body).map_err(|_| FetchError::NoSet)?;
    let mut found = keys.iter().map(|key| of_one(key, algorithms)).filter(|usable| !usable.is_empty());
    let usable: Vec<Key> = found.by_ref().take(KEYS_MAX).flatten().collect();
    if found.next().is_some() {
        warn!(kept = KEYS_MAX, "the key set has more keys than are used: the first count");
    }
    if usable.is_empty() { Err(FetchError::NoKey) } else { Ok(usable) }
}

/// A key that does not say its algorithm is one for each that its type and curve allow.
fn of_one(value: &Value, algorithms: &[Algorithm]) -> Vec<Key> {
    let of_algorithms = |jwk: &Jwk| {
        let candidates = match jwk.common.key_algorithm {
            None => algorithms.to_vec(),
            Some(stated) => algorithms.iter().copied().filter(|ours| stated == (*ours).into()).collect(),
        };
        let keys: Vec<_> = candidates.into_iter().map(|algorithm| Key::from_jwk(jwk, algorithm)).collect();
        let reason = keys.iter().filter_map(|key| key.as_ref().err()).find(|error| **error != KeyError::OtherAlgorithm);
        reason.map_or(Ok(()), |reason| Err(*reason))?;
        Ok(keys.into_iter().flatten().collect())
    };
    let keys = readable(value).and_then(|jwk| of_algorithms(&jwk));
    keys.unwrap_or_else(|reason: KeyError| {
        warn!(kid = value["kid"].as_str().unwrap_or_default(), %reason, "a published key is left out");
        Vec::new()
    })
}

/// A published key whose purpose is to verify.
fn readable(value: &Value) -> Result<Jwk, KeyError> {
    if value["kty"] == "oct" {
        return Err(KeyError::Shared);
    }
    if PRIVATE_MEMBERS.iter().any(|member| value.get(member).is_some()) {
        return Err(KeyError::PrivateHalf);
    }
    let jwk = Jwk::deserialize(usual(value)).map_err(|_| KeyError::Unreadable)?;
    let is_for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let operations = jwk.common.key_operations.as_ref().filter(|all| !all.is_empty());
    let may_verify = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    if is_for_signatures && may_verify { Ok(jwk) } else { Err(KeyError::OtherUse) }
}

/// A key under the name of its algorithm that the library knows: `Ed25519` is EdDSA (RFC 9864 section 2.2).
fn usual(value: &Value) -> Value {
    let mut value = value.clone();
    if value["alg"] == "Ed25519" {
        value["alg"] = "EdDSA".into();
    }
    value
}
