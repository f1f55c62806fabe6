//! Where the records of one installation stand among those of all that share a Redis.
//!
//! Key and channel carry the namespace, so that two sites never meet. The key carries the id of the database as well: what one
//! database says never takes the place of what another one said, also when both are behind the same site.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::account::AccountId;

/// Longest namespace, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 300;

/// The key of a namespace's owner, around the namespace.
pub const OWNER_KEYS: [&str; 2] = ["tollgate:", ":owner"];

/// Which database a record was computed from: made with the database, and copied with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(u128);

/// The text is not the id of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a database has 32 hexadecimal digits")]
pub struct NoDatabaseId;

impl DatabaseId {
    #[must_use]
    pub const fn new(id: u128) -> Self {
        Self(id)
    }

    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DatabaseId {
    type Err = NoDatabaseId;

    fn from_str(text: &str) -> Result<Self, NoDatabaseId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_id = text.len() == 32 && text.bytes().all(is_digit);
        is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self).ok_or(NoDatabaseId)
    }
}

impl Serialize for DatabaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A name that keeps the keys and channels of installations apart that share a Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(Box<str>);

/// The text is no namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has 1 to {NAMESPACE_BYTES_MAX} visible ASCII characters, without braces")]
pub struct NoNamespace;

impl Namespace {
    /// # Errors
    /// When the text is empty, too long, or has other characters. Braces would decide where a Cluster keeps a key.
    pub fn parse(text: &str) -> Result<Self, NoNamespace> {
        let fits = (1..=NAMESPACE_BYTES_MAX).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}".contains(&byte));
        (fits && is_plain).then(|| Self(text.into())).ok_or(NoNamespace)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The channel on which every newly stored record is pushed to the proxies.
    #[must_use]
    pub fn channel(&self) -> String {
        format!("tollgate:{self}:entitlements")
    }

    /// The prefix of all keys.
    #[must_use]
    pub fn root(&self) -> String {
        format!("tollgate:{self}:")
    }

    /// The key under which stands which database has the word here.
    #[must_use]
    pub fn owner_key(&self) -> String {
        let [before, after] = OWNER_KEYS;
        format!("{before}{self}{after}")
    }

    /// The namespace whose owner stands under this key, if it can be one's.
    #[must_use]
    pub fn of_owner_key(key: &str) -> Option<Self> {
        let [before, after] = OWNER_KEYS;
        Self::parse(key.strip_prefix(before)?.strip_suffix(after)?).ok()
    }

    /// The key of the id by which processes find out whether they share a cache.
    #[must_use]
    pub fn cache_key(&self) -> String {
        format!("tollgate:{self}:cache")
    }

    /// The key under which stands by which claims accounts are known, as was last agreed to.
    #[must_use]
    pub fn names_key(&self) -> String {
        format!("tollgate:{self}:names")
    }

    /// The key of an account's record, as `database` has it.
    #[must_use]
    pub fn key(&self, database: DatabaseId, account: &AccountId) -> String {
        format!("{}{account}", self.prefix(database))
    }

    /// The prefix of the keys of all records of a database.
    #[must_use]
    pub fn prefix(&self, database: DatabaseId) -> String {
        format!("tollgate:{self}:{database}:entitlement:")
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Namespace {
    type Error = NoNamespace;

    fn try_from(text: String) -> Result<Self, NoNamespace> {
        Self::parse(&text)
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_database_is_read_back_as_it_is_written_and_in_no_other_spelling() {
        let id = DatabaseId::new(0x00ab_cdef);
        assert_eq!(id.to_string(), "00000000000000000000000000abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "abcdef", "00000000000000000000000000ABCDEF", "+0000000000000000000000000abcdef"] {
            assert_eq!(text.parse::<DatabaseId>(), Err(NoDatabaseId), "{text}");
        }
    }

    #[test]
    fn two_installations_never_share_a_key() {
        let account = AccountId::parse("user:1").expect("an id");
        let namespaces = ["https://a.example", "https://a.example:8443", "http://a.example", "staging"];
        let namespaces = namespaces.map(|text| Namespace::parse(text).expect("a namespace"));
        let databases = [DatabaseId::new(1), DatabaseId::new(2)];
        let keys = namespaces.iter().flat_map(|namespace| databases.map(|id| namespace.key(id, &account)));
        let of_namespace = |namespace: &Namespace| {
            [namespace.channel(), namespace.owner_key(), namespace.cache_key(), namespace.names_key()]
        };
        let names = namespaces.iter().flat_map(of_namespace);
        let all: std::collections::BTreeSet<String> = keys.chain(names).collect();
        assert_eq!(all.len(), 4 * 2 + 4 * 4);
        for namespace in namespaces {
            assert_eq!(Namespace::of_owner_key(&namespace.owner_key()), Some(namespace.clone()));
            assert_eq!(Namespace::of_owner_key(&namespace.cache_key()), None);
        }
    }

    #[test]
    fn a_namespace_is_a_visible_text() {
        for text in ["", "with blank", "{tag}", "naïve", "line\nbreak", &"x".repeat(NAMESPACE_BYTES_MAX + 1)] {
            assert_eq!(Namespace::parse(text), Err(NoNamespace), "{text:?}");
        }
    }
}
