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
    // What has never failed is due a second after its commit. If it seems to be due later, whoever committed it has a clock that
    // is ahead of ours, and may be gone.
    let query = sqlx::query!(
        r#"
        select account, attempts from outbox
        where next_attempt_at <= $1 or (attempts = 0 and next_attempt_at > $1 + interval '5 seconds')
        order by next_attempt_at limit $2
        "#,
        now,
        limit
    );
    let read = |account: String, attempts: i32| {
        let attempts = u32::try_from(attempts).map_err(|e| StoreError::row("outbox", &account, &e))?;
        Ok(Untold { account: account_of("outbox", &account)?, attempts })
    };
    query.fetch_all(conn).await?.into_iter().map(|row| read(row.account, row.attempts)).collect()
}

/// Whether the cache has not been told of something that was committed until a moment.
///
/// # Errors
/// When the database fails.
pub async fn has_untold(conn: &mut PgConnection, until: Timestamp) -> Result<bool, StoreError> {
    let query =
        sqlx::query_scalar!(r#"select exists (select from outbox where committed_at <= $1) as "waits!""#, until);
    Ok(query.fetch_one(conn).await?)
}

/// Forgets accounts, now that the cache has been told of these versions or later ones. Returns since when they waited:
/// those of which a newer version still waits, or nothing did, are not among them. Of an account that was erased the row goes with this.
///
/// # Errors
/// When a version is beyond what Postgres counts, or the database fails.
pub async fn told(conn: &mut PgConnection, told: &[(AccountId, u64)]) -> Result<Vec<Timestamp>, StoreError> {
    let accounts: Vec<&str> = told.iter().map(|(account, _)| account.as_str()).collect();
    let versions = told
        .iter()
        .map(|(account, version)| i64::try_from(*version).map_err(|e| StoreError::row("outbox", account, &e)));
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    // Locked in the order in which those who change accounts lock them.
    let query = sqlx::query_scalar!(
        r#"
        with locked as (
            select o.account from outbox o
            join unnest($1::text[], $2::bigint[]) t (account, version)
                on t.account = o.account and o.version <= t.version
            order by o.account for update of o
        ), told as (
            delete from outbox where account in (select account from locked) returning account, committed_at
        ), gone as (
            delete from accounts a where a.account in (select account from told) and a.erased_at is not null
            returning account, version
        ), last as (
            update erased e set version = greatest(e.version, g.version) from gone g
            where e.hash = erasure_hash('account', g.account)
        )
        select committed_at from told
        "#,
        &accounts as _,
        &versions
    );
    Ok(query.fetch_all(conn).await?)
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
