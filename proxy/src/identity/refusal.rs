//! Why a credential is refused: told to operators alone, counted and logged, never in an answer.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use entitlement::Timestamp;
use prometheus::IntCounter;
use tracing::{debug, info};

use super::PublishedError;
use super::jwks::MetricsError;
use crate::metrics::Metrics;

/// How often a kind of refusal is logged at most, in seconds.
const LOGGED_EVERY_SECONDS: u64 = 60;

/// The check that a credential does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Malformed,
    TooLong,
    WrongAlgorithm,
    UnknownKey,
    BadSignature,
    WrongIssuer,
    WrongAudience,
    WrongParty,
    NoExpiry,
    Expired,
    NotYetValid,
    NoAccount,
    NoUser,
    Doubled,
    Ambiguous,
    NoKeys,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::TooLong,
        Self::WrongAlgorithm,
        Self::UnknownKey,
        Self::BadSignature,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongParty,
        Self::NoExpiry,
        Self::Expired,
        Self::NotYetValid,
        Self::NoAccount,
        Self::NoUser,
        Self::Doubled,
        Self::Ambiguous,
        Self::NoKeys,
    ];

    /// The label's value.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongParty => "wrong_party",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoAccount => "no_account",
            Self::NoUser => "no_user",
            Self::Doubled => "doubled",
            Self::Ambiguous => "ambiguous",
            Self::NoKeys => "no_keys",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "it is no signed JWT in three parts, or its header or its claims are no JSON that is read here: an opaque session id and an \
                 encrypted token are none"
            }
            Self::TooLong => "it is longer than may be: a token 64 KiB, a session about which the site is asked 16 KiB",
            Self::WrongAlgorithm => {
                "its `alg` is none that the keys here are for: look at `algorithm` or `algorithms` under [identity]"
            }
            Self::UnknownKey => "its `kid` names no key that is known here",
            Self::BadSignature => "its signature is not by the key here: another secret or key signed it, or it was changed",
            Self::WrongIssuer => "its `iss` is not `issuer` under [identity]",
            Self::WrongAudience => "its `aud` has no `audience` under [identity]",
            Self::WrongParty => "its `azp` is none of `authorized_parties` under [identity]",
            Self::NoExpiry => "it has no `exp`, or one that is no number",
            Self::Expired => "its `exp` is past",
            Self::NotYetValid => "its `nbf` is to come: the clocks of its issuer and of this host differ by more than `identity.leeway`",
            Self::NoAccount => "what is `account` under [identity] (the claim `sub` by default), or the header of a proxy in front, is not there, or names no account: a text of 1 to 255 bytes without control characters and outer blanks, or an integer",
            Self::NoUser => "what is `user` under [identity] (the claim `sub` by default) is there and names no user: a text of 1 to 255 bytes without control characters and outer blanks, or an integer",
            Self::Doubled => "the request has two `Authorization` headers, a header of a proxy in front twice or as a list, or a piece of a cookie twice",
            Self::Ambiguous => "several ways under [identity] accept it, for different accounts or users",
            Self::NoKeys => "the key set of the identity provider could not be fetched yet",
        })
    }
}

/// Counts refusals, and tells of each kind once a minute.
#[derive(Debug)]
pub(super) struct Refusals {
    ways: Vec<(String, [Kind; Refusal::ALL.len()])>,
}

#[derive(Debug)]
struct Kind {
    counted: IntCounter,
    /// Refusals since it was last logged.
    since: AtomicU64,
    /// When it was last logged, in seconds since 1970.
    logged: AtomicU64,
}

impl Refusals {
    /// Each is there from the start, at 0.
    ///
    /// # Errors
    /// When something else in the process has taken the name.
    pub(super) fn new(names: impl Iterator<Item = String>) -> Result<Self, PublishedError> {
        let metrics = Metrics::get().map_err(MetricsError)?;
        let kind = |source: &str, refusal: Refusal| Kind {
            counted: metrics.identity(source, refusal.code()),
            since: AtomicU64::new(0),
            logged: AtomicU64::new(0),
        };
        let ways = names.map(|name| {
            let kinds = Refusal::ALL.map(|refusal| kind(&name, refusal));
            (name, kinds)
        });
        Ok(Self { ways: ways.collect() })
    }

    /// The name of a way, by its place.
    pub(super) fn source(&self, way: usize) -> &str {
        self.ways.get(way).map_or("", |(name, _)| name)
    }

    /// Notes that a way, by its place, refuses a credential.
    pub(super) fn note(&self, way: usize, refusal: Refusal, now: Timestamp) {
        let Some((source, kinds)) = self.ways.get(way) else { return };
        debug!(source, reason = refusal.code(), "a credential is refused");
        let Some(kind) = kinds.get(refusal as usize) else { return };
        kind.counted.inc();
        kind.since.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(now.timestamp()).unwrap_or(0);
        let logged = kind.logged.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(logged) >= LOGGED_EVERY_SECONDS;
        if is_due && kind.logged.compare_exchange(logged, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let count = kind.since.swap(0, Ordering::Relaxed);
            info!(source, reason = refusal.code(), count, "credentials are refused: {refusal}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_code_and_words_and_stands_where_it_is_counted() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
            let others = Refusal::ALL.into_iter().filter(|other| *other != refusal);
            for other in others {
                assert!(other.code() != refusal.code() && other.to_string() != refusal.to_string(), "{other:?}");
            }
        }
    }
}
