//! All the SQL of billing, one file per table family.
//!
//! Functions take a connection, so that the caller decides what is one transaction, and never ask for a second one:
//! the pool may hold a single connection. What an account may use changes only together with
//! [`accounts::changed`], which is how the cache learns of it.

mod error;
pub mod accounts;
pub mod addons;
pub mod audit;
pub mod blocks;
pub mod caches;
pub mod catalogs;
pub mod checkouts;
pub mod consents;
pub mod credits;
pub mod customers;
pub mod endings;
pub mod erasure;
pub mod events;
pub mod export;
pub mod first_links;
pub mod foreign;
pub mod gone;
pub mod identity;
pub mod imports;
pub mod inbox;
pub mod keys;
pub mod links;
pub mod migration;
pub mod money;
pub mod moves;
pub mod outbox;
pub mod referrals;
pub mod renaming;
pub mod reconciliations;
pub mod retention;
pub mod rights;
pub mod schema;
pub mod search;
pub mod session;
pub mod snapshot;
pub mod subscriptions;
pub mod takings;
pub mod told;
pub mod trials;
pub mod writable;
pub mod walk;
pub mod wishes;
pub mod naming;
pub mod unseen;
pub mod victims;

pub use error::StoreError;

use entitlement::account::AccountId;

/// Longest reason that is stored, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Reads an account id out of a row.
fn account_of(table: &'static str, account: &str) -> Result<AccountId, StoreError> {
    AccountId::parse(account).map_err(|e| StoreError::row(table, account, &e))
}

/// Reads a version out of a row.
fn version_of(table: &'static str, account: &AccountId, version: i64) -> Result<u64, StoreError> {
    u64::try_from(version).map_err(|e| StoreError::row(table, account, &e))
}

/// A reason as it is stored: cut, and without what Postgres cannot keep in a text.
fn reason_of(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(REASON_CHARS_MAX).collect()
}
