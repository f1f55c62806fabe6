//! `[identity]` as it is written: flat for one way, or a table for each of several.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

/// The section as it is written: one way by its flat keys, or several by tables of their own.
#[derive(Debug, Deserialize)]
pub struct Section {
    /// The keys that stand in it, where [`nest`] puts them.
    pub(super) flat: WaySection,
    /// The tables, by their names.
    pub(super) ways: BTreeMap<String, WaySection>,
}

/// One way as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WaySection {
    pub(super) cookie: OneOrMore,
    pub(super) token_at: Option<String>,
    pub(super) algorithm: Option<String>,
    pub(super) public_key_file: Option<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) jwks_insecure: bool,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) issuer: OneOrMore,
    pub(super) audience: OneOrMore,
    pub(super) authorized_parties: Vec<String>,
    pub(super) account: Option<OneOrMore>,
    pub(super) user: Option<String>,
    pub(super) prefix: String,
    #[serde(with = "crate::config::span")]
    pub(super) leeway: Option<Duration>,
    #[serde(with = "crate::config::span")]
    pub(super) jwks_refresh: Option<Duration>,
    #[serde(with = "crate::config::span")]
    pub(super) jwks_refetch_min: Option<Duration>,
    // Ways that are no tokens.
    pub(super) ask: Option<String>,
    pub(super) signature: bool,
    pub(super) header: Option<String>,
    pub(super) from: Option<OneOrMore>,
    #[serde(with = "crate::config::span")]
    pub(super) keep: Option<Duration>,
    #[serde(with = "crate::config::span")]
    pub(super) deadline: Option<Duration>,
    #[serde(with = "crate::config::span")]
    pub(super) stale: Option<Duration>,
}

/// One text, or a list of them; an empty text is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or a list of texts")]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    pub(super) fn all(&self) -> Vec<String> {
        match self {
            Self::One(text) if text.is_empty() => Vec::new(),
            Self::One(text) => vec![text.clone()],
            Self::More(texts) => texts.clone(),
        }
    }
}

/// Keys that are no way's own: they stand beside the tables, for all of them.
const COMMON: [&str; 5] = ["leeway", "jwks_refresh", "jwks_refetch_min", "deadline", "stale"];

/// Takes from the defaults what the operator's file says in another way: the algorithm that goes with TOLLGATE_JWT_SECRET, where it names a
/// key set; and all keys of a way, where it has tables.
///
/// # Errors
/// When keys of a way stand beside tables, or a table is called like a key.
pub fn make_room(merged: &mut toml::Table, mine: &toml::Table) -> Result<()> {
    let none = toml::Table::new();
    let mine = mine.get("identity").and_then(toml::Value::as_table).unwrap_or(&none);
    let Some(merged) = merged.get_mut("identity").and_then(toml::Value::as_table_mut) else { return Ok(()) };
    if mine.contains_key("jwks_url") {
        merged.remove("algorithm");
    }
    let tables: Vec<String> = mine.iter().filter(|(_, value)| value.is_table()).map(|(name, _)| name.clone()).collect();
    for name in &tables {
        if KEYS.contains(&name.as_str())
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            bail!("[identity.{name}] cannot be the name of a way: take another one, in letters, digits, - and _");
        }
    }
    if let Some(first) = tables.first() {
        if let Some(key) = mine.keys().find(|key| !tables.contains(key) && !COMMON.contains(&key.as_str())) {
            bail!("identity.{key} stands beside [identity.{first}]: where ways have tables, each says this by itself");
        }
        merged.retain(|key, _| COMMON.contains(&key));
    }
    Ok(())
}

/// Puts the tables of the section into one of their own, and what stands beside them into another.
pub fn nest(table: &mut toml::Table) {
    let Some(section) = table.get_mut("identity").and_then(toml::Value::as_table_mut) else { return };
    let (ways, flat) = std::mem::take(section).into_iter().partition(|(_, value)| value.is_table());
    section.insert("flat".to_owned(), toml::Value::Table(flat));
    section.insert("ways".to_owned(), toml::Value::Table(ways));
}

/// A place in the section as it is written, of one after [`nest`].
pub fn written(place: &str) -> String {
    place.replacen("identity.flat", "identity", 1).replacen("identity.ways.", "identity.", 1)
}

/// The keys of a way.
const KEYS: [&str; 23] = [
    "cookie",
    "token_at",
    "algorithm",
    "public_key_file",
    "jwks_url",
    "jwks_insecure",
    "algorithms",
    "issuer",
    "audience",
    "authorized_parties",
    "account",
    "user",
    "prefix",
    "leeway",
    "jwks_refresh",
    "jwks_refetch_min",
    "ask",
    "signature",
    "header",
    "from",
    "keep",
    "deadline",
    "stale",
];
