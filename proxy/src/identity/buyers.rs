//! Which users may buy for their account, by their claims.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::claims::{Claim, NoClaim};

/// A claim and its value, such as `/org_role=admin`: a user who has it may buy for the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer {
    claim: Claim,
    value: String,
}

/// The text names no claim and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBuyer {
    #[error("write a JSON pointer to a claim, `=` and the claim's value, such as \"/org_role=admin\"")]
    NoPair,
    #[error("the part before `=` is no JSON pointer: write it like \"/org_role=admin\"")]
    NoPointer,
}

impl From<NoClaim> for NoBuyer {
    fn from(_: NoClaim) -> Self {
        Self::NoPointer
    }
}

impl FromStr for Buyer {
    type Err = NoBuyer;

    fn from_str(text: &str) -> Result<Self, NoBuyer> {
        let (pointer, value) = text.split_once('=').ok_or(NoBuyer::NoPair)?;
        let (pointer, value) = (pointer.trim(), value.trim());
        if value.is_empty() {
            return Err(NoBuyer::NoPair);
        }
        if !pointer.starts_with('/') || pointer.len() < 2 {
            return Err(NoBuyer::NoPointer);
        }
        Ok(Self { claim: pointer.parse()?, value: value.to_owned() })
    }
}

impl fmt::Display for Buyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.claim, self.value)
    }
}

impl Buyer {
    /// Whether a user with these claims is one. A list has the value if one of its members is it.
    pub(super) fn includes(&self, claims: &Map<String, Value>) -> bool {
        match self.claim.of(claims) {
            Some(Value::Array(members)) => members.iter().any(|member| self.is(member)),
            Some(value) => self.is(value),
            None => false,
        }
    }

    /// Whether these claims have the one that is asked for, whatever its value.
    pub(super) fn is_named(&self, claims: &Map<String, Value>) -> bool {
        self.claim.of(claims).is_some()
    }

    fn is(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => *text == self.value,
            Value::Bool(word) => word.to_string() == self.value,
            Value::Number(number) => (number.is_i64() || number.is_u64()) && number.to_string() == self.value,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_pointer_and_a_value() {
        for (text, expected) in [
            ("/org_role=admin", Ok("/org_role=admin")),
            ("/org/role = owner", Ok("/org/role=owner")),
            ("/https:~1~1read.example~1role=a=b", Ok("/https:~1~1read.example~1role=a=b")),
            ("", Err(NoBuyer::NoPair)),
            ("/org_role", Err(NoBuyer::NoPair)),
            ("/org_role=", Err(NoBuyer::NoPair)),
            ("org_role=admin", Err(NoBuyer::NoPointer)),
            ("=admin", Err(NoBuyer::NoPointer)),
            ("/=admin", Err(NoBuyer::NoPointer)),
            ("/a~2=admin", Err(NoBuyer::NoPointer)),
        ] {
            assert_eq!(text.parse::<Buyer>().map(|buyer| buyer.to_string()), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_user_is_a_buyer_by_the_very_value() {
        for (entry, claims, expected) in [
            ("/org_role=admin", json!({ "org_role": "admin" }), true),
            ("/org_role=admin", json!({ "org_role": "Admin" }), false),
            ("/org_role=admin", json!({ "org_role": "administrator" }), false),
            ("/org_role=admin", json!({ "org_role": ["member", "admin"] }), true),
            ("/org_role=admin", json!({ "org_role": [["admin"]] }), false),
            ("/org_role=admin", json!({ "org_role": { "admin": true } }), false),
            ("/org_role=admin", json!({ "org_role": null }), false),
            ("/org_role=admin", json!({ "role": "admin" }), false),
            ("/org/owner=true", json!({ "org": { "owner": true } }), true),
            ("/org/owner=true", json!({ "org": { "owner": false } }), false),
            ("/level=3", json!({ "level": 3 }), true),
            ("/level=3", json!({ "level": 3.0 }), false),
        ] {
            let buyer: Buyer = entry.parse().expect("an entry");
            assert_eq!(buyer.includes(claims.as_object().expect("an object")), expected, "{entry} {claims}");
        }
    }
}
