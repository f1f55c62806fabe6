//! Accounts, and the one way in which what they may use changes.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::{StoreError, reason_of, version_of};

/// Why an account changes, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What brought it about: an event, an operator.
    pub cause: &'a str,
    /// What is different now.
    pub detail: &'a str,
}

/// How long the one who commits has to publish before the background publisher does, in seconds.
const HEAD_START_SECONDS: i64 = 1;

/// Makes sure that the account has a row.
///
/// # Errors
/// When the database fails.
pub async fn ensure(conn: &mut PgConnection, account: &AccountId, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "insert into accounts (account, version, created_at) values ($1, 1, $2) on conflict (account) do nothing",
        account.as_str(),
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Gives the account a new version, and writes down that the cache must be told and why. To be called in every
/// transaction that changes what an account may use, after the change. Returns the new version.
///
/// # Errors
/// When the account has no row, or the database fails.
pub async fn changed(
    conn: &mut PgConnection,
    account: &AccountId,
    change: Change<'_>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with bumped as (
            update accounts set version = version + 1 where account = $1 returning account, version
        ), told as (
            insert into outbox (account, version, committed_at, next_attempt_at)
            select account, version, $2, $3 from bumped
            on conflict (account) do update
            set version = excluded.version, attempts = 0, next_attempt_at = excluded.next_attempt_at
        ), noted as (
            insert into audit_log (at, account, version, cause, detail)
            select $2, account, version, $4, $5 from bumped
        )
        select version from bumped
        "#,
        account.as_str(),
        now,
        now + Duration::seconds(HEAD_START_SECONDS),
        reason_of(change.cause),
        reason_of(change.detail)
    );
    let version = query.fetch_optional(conn).await?.ok_or_else(|| StoreError::missing("accounts", account))?;
    version_of("accounts", account, version)
}
