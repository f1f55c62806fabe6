//! Who asks: the account that a token names, from the `Authorization` header or the session cookie.
//!
//! Where a request has both, the header counts, as a program that sends one means it. What could be read in two ways
//! (two cookies of the name, two `Authorization` headers) is a credential that does not verify.

mod cookie;
mod seen;
mod token;

pub use token::{Key, KeyError};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use seen::Seen;
use token::Verifier;

/// Longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Where the token is and what it must say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cookie that holds the token, beside `Authorization: Bearer`.
    pub cookie: Option<String>,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    pub key: Key,
}

/// What a request says about who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Missing,
    /// Something that does not verify.
    Rejected,
    /// A valid token of this account.
    Account(AccountId),
}

/// Reads credentials.
#[derive(Debug)]
pub struct Identity {
    cookie: Option<String>,
    verifier: Verifier,
    seen: Seen,
}

/// One of several values, or the only one.
enum Sole<T> {
    None,
    One(T),
    Many,
}

impl Identity {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { cookie, issuer, audience, key } = settings;
        Self { cookie, verifier: Verifier::new(key, &issuer, &audience), seen: Seen::new() }
    }

    /// Who sends these headers at `now`. A token that was verified before is not verified again.
    #[must_use]
    pub fn identify(&self, headers: &HeaderMap, now: Timestamp) -> Credential {
        match self.token(headers) {
            Sole::None => Credential::Missing,
            Sole::Many => Credential::Rejected,
            Sole::One(token) => self.verify(token, now),
        }
    }

    fn token<'a>(&self, headers: &'a HeaderMap) -> Sole<&'a [u8]> {
        match (bearer(headers), &self.cookie) {
            (Sole::None, Some(name)) => cookie::find(headers, name),
            (found, _) => found,
        }
    }

    fn verify(&self, token: &[u8], now: Timestamp) -> Credential {
        if token.len() > TOKEN_BYTES_MAX {
            return Credential::Rejected;
        }
        let digest = self.seen.digest(token);
        if let Some(account) = self.seen.get(digest, now) {
            return Credential::Account(account);
        }
        let Some(verified) = self.verifier.verify(token, now) else { return Credential::Rejected };
        let account = verified.account.clone();
        self.seen.remember(digest, verified);
        Credential::Account(account)
    }
}

/// The bearer token (RFC 6750 section 2.1). Another scheme than `Bearer` is none of ours.
fn bearer(headers: &HeaderMap) -> Sole<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    match (values.next(), values.next()) {
        (None, _) => Sole::None,
        (Some(_), Some(_)) => Sole::Many,
        (Some(value), None) => match value.split_first_chunk::<7>() {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Sole::One(token.trim_ascii()),
            _ if value.eq_ignore_ascii_case(b"bearer") => Sole::One(b""),
            _ => Sole::None,
        },
    }
}

#[cfg(test)]
mod tests;
