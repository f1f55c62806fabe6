//! Accounts that are blocked.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::StoreError;

/// Blocks an account that has a row. Returns whether it was not blocked before.
///
/// # Errors
/// When the database fails.
pub async fn block(conn: &mut PgConnection, account: &AccountId, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "update accounts set blocked_at = $2 where account = $1 and blocked_at is null",
        account.as_str(),
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// Ends the block of an account. Returns whether it was blocked.
///
/// # Errors
/// When the database fails.
pub async fn unblock(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "update accounts set blocked_at = null where account = $1 and blocked_at is not null",
        account.as_str()
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}
