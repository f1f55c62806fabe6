//! What the ladder answers.

use std::sync::Arc;

use super::entry::Entry;

/// A layer that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    L1,
    Redis,
    Billing,
}

impl Layer {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::Redis => "redis",
            Self::Billing => "billing",
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Found {
    pub entry: Arc<Entry>,
    pub layer: Layer,
    /// Milliseconds since the record was last confirmed.
    pub age_ms: u64,
    pub freshness: Freshness,
}

/// Whether an answer is within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// Older than allowed, as nothing below answers.
    Stale,
}

/// Nobody can say what the account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody can say what the account has")]
pub struct Unresolved;
