//! What a token must say, and which of its claims name the account.

use std::fmt;
use std::str::FromStr;

use entitlement::account::AccountId;
use serde_json::{Map, Value};

use super::principal::{Naming, Principal};
use super::refusal::Refusal;

/// A claim by its name, or by a JSON pointer (RFC 6901) into nested ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim(Pointer);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pointer {
    Name(String),
    Path(String),
}

/// The text names no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a claim's name, such as \"sub\", or a JSON pointer, such as \"/app_metadata/org_id\"")]
pub struct NoClaim;

impl FromStr for Claim {
    type Err = NoClaim;

    fn from_str(text: &str) -> Result<Self, NoClaim> {
        // `~` begins an escape: `~0` is `~`, `~1` is `/`.
        let mut escapes = text.split('~');
        escapes.next();
        match text.strip_prefix('/') {
            Some(_) if !escapes.all(|rest| rest.starts_with(['0', '1'])) => Err(NoClaim),
            Some(_) => Ok(Self(Pointer::Path(text.to_owned()))),
            None if text.is_empty() => Err(NoClaim),
            None => Ok(Self(Pointer::Name(text.to_owned()))),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pointer::Name(text) | Pointer::Path(text) => f.write_str(text),
        }
    }
}

impl Claim {
    /// `sub` (RFC 7519 section 4.1.2).
    #[must_use]
    pub fn subject() -> Self {
        Self(Pointer::Name("sub".to_owned()))
    }

    /// Its value; null is none.
    pub(super) fn of<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let value = match &self.0 {
            Pointer::Name(name) => claims.get(name),
            Pointer::Path(path) => {
                let (first, rest) = path[1..].split_at(path[1..].find('/').unwrap_or(path.len() - 1));
                claims.get(&first.replace("~1", "/").replace("~0", "~")).and_then(|inner| inner.pointer(rest))
            }
        };
        value.filter(|value| !value.is_null())
    }
}

/// What every token of a way must say.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// One of these is the `iss` claim; empty: it is not asked for.
    pub(super) issuers: Vec<String>,
    /// One of these is in the `aud` claim; empty: it is not asked for.
    pub(super) audiences: Vec<String>,
    /// One of these is the `azp` claim, where there is one; empty: it is not asked for.
    pub(super) parties: Vec<String>,
    pub(super) naming: Naming,
    /// How far the clocks of the issuer and of this host may be apart, in seconds.
    pub(super) leeway_seconds: i64,
}

impl Expected {
    /// The principal that rightly signed claims name at `now`, in seconds since 1970, and the second at which they end, leeway included.
    pub(super) fn read(&self, claims: &Map<String, Value>, now: i64) -> Result<(Principal, i64), Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_one = |known: &[String], text: &str| known.iter().any(|known| known == text);
        if !self.issuers.is_empty() && !text("iss").is_some_and(|iss| is_one(&self.issuers, iss)) {
            return Err(Refusal::WrongIssuer);
        }
        if !self.audiences.is_empty() && !audiences(claims).any(|aud| is_one(&self.audiences, aud)) {
            return Err(Refusal::WrongAudience);
        }
        if let (false, Some(azp)) = (self.parties.is_empty(), claims.get("azp"))
            && !azp.as_str().is_some_and(|azp| is_one(&self.parties, azp))
        {
            return Err(Refusal::WrongParty);
        }
        let Some(exp) = claims.get("exp").and_then(Value::as_f64) else { return Err(Refusal::NoExpiry) };
        match claims.get("nbf") {
            None | Some(Value::Null) => {}
            Some(nbf) => {
                let Some(nbf) = nbf.as_f64() else { return Err(Refusal::Malformed) };
                if seconds(nbf).saturating_sub(self.leeway_seconds) > now {
                    return Err(Refusal::NotYetValid);
                }
            }
        }
        let principal = self.naming.principal(claims)?;
        let expires = seconds(exp).saturating_add(self.leeway_seconds);
        if now < expires { Ok((principal, expires)) } else { Err(Refusal::Expired) }
    }
}

/// The id that a claim's value is, with `prefix` before it.
pub(super) fn id(value: &Value, prefix: &str) -> Option<AccountId> {
    let named = match value {
        // A header value loses its outer blanks on the way: the application would read another id.
        Value::String(text) if text.trim() == text && !text.is_empty() => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    AccountId::parse(&format!("{prefix}{named}")).ok()
}

/// For which the token is (RFC 7519 section 4.1.3): one, or several, all of which are texts.
fn audiences(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let (one, several) = match claims.get("aud") {
        Some(Value::String(one)) => (Some(one.as_str()), [].as_slice()),
        Some(Value::Array(several)) if several.iter().all(Value::is_string) => (None, several.as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter().chain(several.iter().filter_map(Value::as_str))
}

/// A NumericDate (RFC 7519 section 2) in whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "a date beyond all time saturates, which is what is meant")]
fn seconds(date: f64) -> i64 {
    date.floor() as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(text: &str) -> Claim {
        text.parse().expect("a claim")
    }

    fn read(expected: &Expected, claims: Value) -> Result<String, Refusal> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        expected.read(&claims, 1_000).map(|(principal, _)| principal.account.to_string())
    }

    fn anybody() -> Expected {
        let (issuers, audiences, parties) = (Vec::new(), Vec::new(), Vec::new());
        let (account, prefix) = (vec![Claim::subject()], String::new());
        let naming = Naming { account, user: None, prefix, buyers: [].into() };
        Expected { issuers, audiences, parties, naming, leeway_seconds: 2 }
    }

    #[test]
    fn a_claim_is_named_or_pointed_at() {
        for text in ["sub", "https://read.example/account", "user_id", "/app_metadata/org_id", "/a~1b/c", "/0"] {
            assert_eq!(claim(text).to_string(), text);
        }
        for text in ["", "/a~2", "/~"] {
            assert_eq!(text.parse::<Claim>(), Err(NoClaim), "{text}");
        }
        let claims =
            json!({ "a": { "b": ["x", { "c": "deep" }] }, "a/b": "slash", "https://x/y": "namespaced", "n": null });
        let claims = claims.as_object().expect("an object");
        for (text, expected) in [
            ("/a/b/1/c", Some("deep")),
            ("/a~1b", Some("slash")),
            ("a/b", Some("slash")),
            ("https://x/y", Some("namespaced")),
            ("/a/b/9", None),
            ("/n", None),
            ("n", None),
        ] {
            assert_eq!(claim(text).of(claims).and_then(Value::as_str), expected, "{text}");
        }
    }

    #[test]
    fn the_first_claim_that_is_there_names_the_account() {
        let account = vec![claim("/app_metadata/org_id"), Claim::subject()];
        let naming = Naming { account, prefix: "clerk:".to_owned(), ..anybody().naming };
        let expected = Expected { naming, ..anybody() };
        for (claims, account) in [
            (json!({ "exp": 2_000, "sub": "u", "app_metadata": { "org_id": "o" } }), Ok("clerk:o")),
            (json!({ "exp": 2_000, "sub": "u", "app_metadata": { "org_id": null } }), Ok("clerk:u")),
            (json!({ "exp": 2_000, "sub": "u" }), Ok("clerk:u")),
            (json!({ "exp": 2_000, "sub": 42 }), Ok("clerk:42")),
            (json!({ "exp": 2_000, "sub": -1 }), Ok("clerk:-1")),
            (json!({ "exp": 2_000, "sub": 4.5 }), Err(Refusal::NoAccount)),
            (json!({ "exp": 2_000, "sub": true }), Err(Refusal::NoAccount)),
            (json!({ "exp": 2_000, "sub": { "x": 1 } }), Err(Refusal::NoAccount)),
            // What is there and names nobody is not passed over.
            (json!({ "exp": 2_000, "sub": "u", "app_metadata": { "org_id": "" } }), Err(Refusal::NoAccount)),
            (json!({ "exp": 2_000, "sub": "u", "app_metadata": { "org_id": [1] } }), Err(Refusal::NoAccount)),
            (json!({ "exp": 2_000, "sub": "x".repeat(250) }), Err(Refusal::NoAccount)),
        ] {
            assert_eq!(read(&expected, claims.clone()), account.map(str::to_owned), "{claims}");
        }
    }

    #[test]
    fn what_is_not_asked_for_may_be_anything() {
        let all = Expected {
            issuers: vec!["a".into(), "b".into()],
            audiences: vec!["x".into(), "y".into()],
            parties: vec!["https://read.example".into()],
            ..anybody()
        };
        for (claims, refusal) in [
            (json!({ "exp": 2_000, "sub": "u", "iss": "b", "aud": "y" }), None),
            (json!({ "exp": 2_000, "sub": "u", "iss": "b", "aud": ["z", "x"], "azp": "https://read.example" }), None),
            (json!({ "exp": 2_000, "sub": "u", "iss": "c", "aud": "y" }), Some(Refusal::WrongIssuer)),
            (json!({ "exp": 2_000, "sub": "u", "iss": ["a"], "aud": "y" }), Some(Refusal::WrongIssuer)),
            (json!({ "exp": 2_000, "sub": "u", "iss": "a", "aud": [] }), Some(Refusal::WrongAudience)),
            (json!({ "exp": 2_000, "sub": "u", "iss": "a", "aud": ["x", 1] }), Some(Refusal::WrongAudience)),
            (json!({ "exp": 2_000, "sub": "u", "iss": "a", "aud": "x", "azp": "evil" }), Some(Refusal::WrongParty)),
            (json!({ "exp": 2_000, "sub": "u", "iss": "a", "aud": "x", "azp": null }), Some(Refusal::WrongParty)),
        ] {
            assert_eq!(read(&all, claims.clone()).err(), refusal, "{claims}");
        }
        for claims in
            [json!({ "exp": 2_000, "sub": "u" }), json!({ "exp": 2_000, "sub": "u", "iss": 1, "aud": 2, "azp": 3 })]
        {
            assert_eq!(read(&anybody(), claims), Ok("u".to_owned()));
        }
        for (claims, refusal) in [
            (json!({ "sub": "u" }), Refusal::NoExpiry),
            (json!({ "sub": "u", "exp": "2000" }), Refusal::NoExpiry),
            (json!({ "sub": "u", "exp": 998 }), Refusal::Expired),
            (json!({ "sub": "u", "exp": 2_000, "nbf": 1_003 }), Refusal::NotYetValid),
            (json!({ "sub": "u", "exp": 2_000, "nbf": "1" }), Refusal::Malformed),
        ] {
            assert_eq!(read(&anybody(), claims.clone()), Err(refusal), "{claims}");
        }
        assert!(read(&anybody(), json!({ "sub": "u", "exp": 999, "nbf": 1_002 })).is_ok(), "clocks may differ");
    }
}
