//! The verification of one token by the keys that are trusted now.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto;
use serde::Deserialize;

use super::head::Head;
use super::key::Key;
use super::refusal::Refusal;

/// Most keys that are tried for a token that does not say which it means.
const KEYS_MAX: usize = 16;

/// Most signatures that are verified for one request, however many credentials it has: each costs up to a millisecond.
const TRIES_MAX: usize = 64;

/// How many signatures may still be verified for a request.
#[derive(Debug)]
pub(super) struct Tries(usize);

impl Default for Tries {
    fn default() -> Self {
        Self(TRIES_MAX)
    }
}

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
    keys: Vec<Key>,
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
    /// Whatever other keys there may be.
    Always(Refusal),
}

impl Invalid {
    pub(super) const fn refusal(self) -> Refusal {
        match self {
            Self::UnknownKey(_) => Refusal::UnknownKey,
            Self::Always(refusal) => refusal,
        }
    }
}

/// The claims that are read. A date that is not a number is no date, and an issuer is one.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
}

/// For whom a token is (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == wanted),
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
        self.read(claims, now, expected).map_err(Invalid::Always)
    }

    /// What the claims of a rightly signed token come to at `now`.
    fn read(&self, claims: Claims, now: Timestamp, expected: &Expected) -> Result<Verified, Refusal> {
        let Claims { iss, aud, sub, exp, nbf } = claims;
        let leeway_seconds = expected.leeway_seconds;
        if iss != expected.issuer {
            return Err(Refusal::WrongIssuer);
        }
        if !aud.has(&expected.audience) {
            return Err(Refusal::WrongAudience);
        }
        if nbf.is_some_and(|nbf| seconds(nbf).saturating_sub(leeway_seconds) > now.timestamp()) {
            return Err(Refusal::NotYetValid);
        }
        // A header value loses its outer blanks on the way: the application would read another account.
        if sub.trim() != sub {
            return Err(Refusal::NoAccount);
        }
        let account = AccountId::parse(&sub).map_err(|_| Refusal::NoAccount)?;
        let expires = seconds(exp).saturating_add(leeway_seconds);
        let verified = Verified { account, generation: self.generation, expires };
        if verified.is_valid(now) { Ok(verified) } else { Err(Refusal::Expired) }
    }
}

impl Tries {
    /// Whether one more may be made.
    const fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        if let Some(left) = left {
            self.0 = left;
        }
        left.is_some()
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

    fn claims(&self) -> Result<Claims, Refusal> {
        let text = URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| Refusal::Malformed)?;
        serde_json::from_slice(&text).map_err(|_| missing(&text))
    }
}

/// The first claim that is not there as it has to be.
fn missing(text: &[u8]) -> Refusal {
    let Ok(serde_json::Value::Object(claims)) = serde_json::from_slice(text) else { return Refusal::Malformed };
    let is_text = |name| claims.get(name).is_some_and(serde_json::Value::is_string);
    let is_number = |name| claims.get(name).is_some_and(serde_json::Value::is_number);
    if !is_text("iss") {
        Refusal::WrongIssuer
    } else if !is_text("aud") && !claims.get("aud").is_some_and(serde_json::Value::is_array) {
        Refusal::WrongAudience
    } else if !is_number("exp") {
        Refusal::NoExpiry
    } else if !is_text("sub") {
        Refusal::NoAccount
    } else {
        Refusal::Malformed
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "a date beyond all time saturates, which is what is meant")]
fn seconds(date: f64) -> i64 {
    date.floor() as i64
}
