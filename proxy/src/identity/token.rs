//! The verification of one token by the keys that are trusted now.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entitlement::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};

use super::claims::Expected;
use super::cookies::Ways;
use super::head::Head;
use super::json;
use super::key::Key;
use super::principal::Principal;
use super::refusal::Refusal;

/// Most keys that are tried for a token that does not say which it means.
const KEYS_MAX: usize = 16;

/// Most signatures that are verified for one request, however many credentials it has: each costs up to a millisecond.
const TRIES_MAX: usize = 64;

/// The verification of all tokens of a request.
#[derive(Debug)]
pub(super) struct Tries {
    /// How many signatures may still be verified.
    left: usize,
    /// The ways of which a newer set of keys could say more.
    pub(super) pending: Ways,
    /// The checks that are not passed, each with the place of its way.
    pub(super) refused: Vec<(usize, Refusal)>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { left: TRIES_MAX, pending: Ways::default(), refused: Vec::new() }
    }
}

/// The keys that are trusted at some time.
#[derive(Debug)]
pub(super) struct KeySet {
    /// Which set it is: what another one verified must be verified again.
    pub(super) generation: u64,
    keys: Vec<Key>,
}

/// What a valid token says.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    /// Of the sets that verified it.
    pub(super) generation: u64,
    /// Seconds since 1970, leeway included.
    pub(super) expires: i64,
}

/// Why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The set has no key that it could mean: another set may have it. Its algorithm is what the token says.
    UnknownKey(Algorithm),
    /// Whatever other keys there may be.
    Always(Refusal),
    /// It is valid for several ways, which name different accounts or users.
    Ambiguous,
}

impl Invalid {
    /// Of the reasons of two ways that of the one which the token fits better. A key that may yet be learnt comes before all.
    pub(super) fn nearer(self, other: Self) -> Self {
        let rank = |invalid: &Self| match invalid {
            Self::UnknownKey(_) => usize::MAX,
            Self::Ambiguous => usize::MAX - 1,
            Self::Always(refusal) => *refusal as usize,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    pub(super) const fn refusal(self) -> Refusal {
        match self {
            Self::UnknownKey(_) => Refusal::UnknownKey,
            Self::Always(refusal) => refusal,
            Self::Ambiguous => Refusal::Ambiguous,
        }
    }
}

impl Verified {
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        now.timestamp() < self.expires
    }
}

impl KeySet {
    pub(super) const fn new(generation: u64, keys: Vec<Key>) -> Self {
        Self { generation, keys }
    }

    /// Whether these are the keys of the set.
    pub(super) fn holds(&self, keys: &[Key]) -> bool {
        self.keys == keys
    }

    pub(super) fn has_key_for(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithm() == algorithm)
    }

    /// What a token says, if it verifies at `now`.
    pub(super) fn verify(
        &self,
        token: &[u8],
        now: Timestamp,
        expected: &Expected,
        tries: &mut Tries,
    ) -> Result<Verified, Invalid> {
        let malformed = Invalid::Always(Refusal::Malformed);
        let head = Head::read(token).ok_or(malformed)?;
        let named = || self.keys.iter().filter(|key| key.is_named(head.key_id()));
        if named().next().is_none() {
            return Err(Invalid::UnknownKey(head.alg));
        }
        let signed = Signed::read(token).ok_or(malformed)?;
        let usable = || named().filter(|key| key.algorithm() == head.alg);
        if !usable().take(KEYS_MAX).any(|key| tries.take() && signed.is_by(key)) {
            // A key without an id may be meant by every token, and hides from none that a newer set has the right one.
            let is_known = head.key_id().is_none_or(|id| self.keys.iter().any(|key| key.has_id(id)));
            let refusal = if usable().next().is_some() { Refusal::BadSignature } else { Refusal::WrongAlgorithm };
            return Err(if is_known { Invalid::Always(refusal) } else { Invalid::UnknownKey(head.alg) });
        }
        let claims = signed.claims().map_err(Invalid::Always)?;
        let (principal, expires) = expected.read(&claims, now.timestamp()).map_err(Invalid::Always)?;
        Ok(Verified { principal, generation: self.generation, expires })
    }
}

impl Tries {
    /// Whether one more may be made.
    const fn take(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        if let Some(left) = left {
            self.left = left;
        }
        left.is_some()
    }

    /// Adds the same refusal for each of these ways.
    pub(super) fn refuse(&mut self, ways: Ways, refusal: Refusal) {
        self.refused.extend(ways.places().map(|place| (place, refusal)));
    }
}

/// A token's parts (RFC 7515 section 7.1).
struct Signed<'a> {
    /// Head and claims, as they were signed.
    message: &'a [u8],
    claims: &'a [u8],
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn read(token: &'a [u8]) -> Option<Self> {
        let end = token.iter().rposition(|byte| *byte == b'.')?;
        let message = &token[..end];
        let head = message.iter().position(|byte| *byte == b'.')?;
        let signature = std::str::from_utf8(&token[end + 1..]).ok()?;
        Some(Self { message, claims: &message[head + 1..], signature })
    }

    /// Whether this key has signed it. The algorithm is the key's own.
    fn is_by(&self, key: &Key) -> bool {
        crypto::verify(self.signature, self.message, key.decoding(), key.algorithm()).unwrap_or(false)
    }

    fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        let text = URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| Refusal::Malformed)?;
        json::object(&text).ok_or(Refusal::Malformed)
    }
}
