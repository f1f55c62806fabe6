//! Nothing takes access from many accounts without a person who was told how many: here it is counted.
//!
//! What takes access asks [`weigh`] before the first account loses it, over 24 hours and over everything that takes. How
//! many is many is decided by [`entitlement::many`]. Not counted: a verified event about one subscription, the provider's
//! answer that was asked for because of it, a person's command, and time.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::many;
use sqlx::PgConnection;

use crate::metrics;
use crate::store::StoreError;
use crate::store::takings::{self as store, Tally};

/// What takes access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A comparison with a provider.
    Comparison,
    /// Live subscriptions that begin to count.
    Mode,
    /// Another catalog, grace or policy.
    Catalog,
    /// A database that has gone back, or is another one.
    Database,
    /// Other claims that name accounts.
    Identity,
}

impl What {
    /// The label of the metric, and the word in the rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Comparison => "comparison",
            Self::Mode => "mode",
            Self::Catalog => "catalog",
            Self::Database => "database",
            Self::Identity => "identity",
        }
    }
}

impl What {
    /// The advice to a person when it is held back.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Comparison => {
                "`tollgate reconcile --held-back` lists them, and `tollgate reconcile --force` takes it"
            }
            Self::Mode => {
                "live subscriptions are stored beside those of test mode, which go on to grant: `tollgate provider use-live --force` ends that"
            }
            Self::Catalog => "`tollgate catalog apply` with the file asks, and applies it",
            Self::Database => "`tollgate database accept` asks, and takes the database's word",
            Self::Identity => "`tollgate identity accept` asks, and names accounts as the configuration says",
        }
    }
}

/// From how many accounts access would be taken, and how that stands to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// That would lose access now.
    pub wanted: u64,
    pub tally: Tally,
}

impl Verdict {
    /// The accounts that had access before any of it was taken.
    #[must_use]
    pub const fn holders(&self) -> u64 {
        self.tally.holders.saturating_add(self.tally.taken)
    }

    /// Whether it needs a person who was told how many.
    #[must_use]
    pub const fn is_many(&self) -> bool {
        self.wanted > 0 && many::is_many(self.tally.taken.saturating_add(self.wanted), self.holders())
    }
}

/// Weighs that so many accounts would lose access.
///
/// # Errors
/// When the database fails.
pub async fn weigh(conn: &mut PgConnection, wanted: u64, now: Timestamp) -> Result<Verdict, StoreError> {
    let tally = if wanted == 0 { Tally::default() } else { store::tally(conn, now).await? };
    Ok(Verdict { wanted, tally })
}

/// Notes that accounts lost access; they count for 24 hours.
///
/// # Errors
/// When the database fails.
pub async fn taken(
    conn: &mut PgConnection,
    what: What,
    accounts: &[AccountId],
    now: Timestamp,
) -> Result<(), StoreError> {
    if accounts.is_empty() { Ok(()) } else { store::taken(conn, what.as_str(), accounts, now).await }
}

/// Tells operators that so many accounts were spared.
pub fn tell_held_back(what: What, verdict: &Verdict) {
    metrics::count_held_back(what, verdict.wanted);
    tracing::error!(
        what = what.as_str(),
        accounts = verdict.wanted,
        taken_in_24h = verdict.tally.taken,
        holders = verdict.tally.holders,
        remedy = what.remedy(),
        "too many accounts would lose access: nothing of it is done before a person says so, as `remedy` says"
    );
}
