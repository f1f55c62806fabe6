//! What the cache has not been told yet.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// An account that the cache must be told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    pub account: AccountId,
    /// Failures so far.
    pub attempts: u32,
}

/// The accounts that are due at `now`, the longest waiting first.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn due(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<Untold>, StoreError> {
    let query = sqlx::query!(
        "select account, attempts from outbox where next_attempt_at <= $1 order by next_attempt_at limit $2",
        now,
        limit
    );
    let read = |account: String, attempts: i32| {
        let attempts = u32::try_from(attempts).map_err(|e| StoreError::row("outbox", &account, &e))?;
        Ok(Untold { account: account_of("outbox", &account)?, attempts })
    };
    query.fetch_all(conn).await?.into_iter().map(|row| read(row.account, row.attempts)).collect()
}

/// Forgets an account, now that the cache has been told of this version or a later one. Returns since when it waited;
/// `None` when a newer version still waits, or nothing did.
///
/// # Errors
/// When the version is beyond what Postgres counts, or the database fails.
pub async fn told(conn: &mut PgConnection, account: &AccountId, version: u64) -> Result<Option<Timestamp>, StoreError> {
    let version = i64::try_from(version).map_err(|e| StoreError::row("outbox", account, &e))?;
    let query = sqlx::query_scalar!(
        "delete from outbox where account = $1 and version <= $2 returning committed_at",
        account.as_str(),
        version
    );
    Ok(query.fetch_optional(conn).await?)
}

/// Puts an account off, after one more failure that is its own.
///
/// # Errors
/// When the database fails.
pub async fn put_off(conn: &mut PgConnection, account: &AccountId, until: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "update outbox set attempts = attempts + 1, next_attempt_at = $2 where account = $1",
        account.as_str(),
        until
    );
    query.execute(conn).await?;
    Ok(())
}
