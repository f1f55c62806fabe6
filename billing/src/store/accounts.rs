//! Accounts, and the one way in which what they may use changes.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::{AccountId, UserId};
use sqlx::PgConnection;

use super::{StoreError, account_of, reason_of, version_of};
use crate::caller;

/// Why an account changes, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What brought it about: an event, an operator.
    pub cause: &'a str,
    /// What is different now.
    pub detail: &'a str,
}

/// How long the one who commits has to publish before the background publisher does, in seconds.
pub(super) const HEAD_START_SECONDS: i64 = 1;

/// Makes sure that the account has a row. One that was erased has come back by this: its versions go on above those that were told.
/// A row that is there is not locked: it would be before those of the accounts that come before it in their order.
///
/// # Errors
/// When the database fails.
pub async fn ensure(conn: &mut PgConnection, account: &AccountId, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        with back as (
            delete from erased where hash = erasure_hash('account', $1) returning version
        )
        insert into accounts (account, version, created_at)
        select $1::text, coalesce((select version from back), 0) + 1, $2::timestamptz
        where not exists (select from accounts where account = $1 and erased_at is null)
        on conflict (account) do update set erased_at = null where accounts.erased_at is not null
        "#,
        account.as_str(),
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Locks the rows of accounts that are to change, in their order as [`each_changed`] does: before anything else in the transaction locks one
/// of them.
///
/// # Errors
/// When the database fails.
pub async fn hold(conn: &mut PgConnection, accounts: &[&AccountId]) -> Result<(), StoreError> {
    let accounts: Vec<&str> = accounts.iter().map(|account| account.as_str()).collect();
    let query = sqlx::query!(
        "select account from accounts where account = any($1) order by account for no key update",
        &accounts as _
    );
    query.fetch_all(conn).await?;
    Ok(())
}

/// Whether the account has a row, and was not erased.
///
/// # Errors
/// When the database fails.
pub async fn is_known(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select exists (select from accounts where account = $1 and erased_at is null) as "is!""#,
        account.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// Accounts that a subscription or a credit may give something, in their order, after a given one.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn with_grants(conn: &mut PgConnection, after: &str, limit: i64) -> Result<Vec<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select account as "account!" from (
            (select distinct account from subscriptions where account > $1 and state <> 'ended' order by account limit $2)
            union
            (select distinct account from credits where account > $1 and revoked_at is null order by account limit $2)
        ) holders
        order by account limit $2
        "#,
        after,
        limit
    );
    query.fetch_all(conn).await?.iter().map(|account| account_of("accounts", account)).collect()
}

/// Gives the account a new version: [`each_changed`] of one. Returns the new version.
///
/// # Errors
/// When the account has no row, or the database fails.
pub async fn changed(
    conn: &mut PgConnection,
    account: &AccountId,
    change: Change<'_>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let version = each_changed(conn, &[(account, change)], now).await?.pop();
    version.map_or_else(|| Err(StoreError::missing("accounts", account)), |(_, version)| Ok(version))
}

/// Gives each account a new version, one for all of its changes, and writes down that the cache must be told and why, with the user whose
/// request it is, if any.
/// To be called in every transaction that changes what an account may use, after the change. Returns the new versions.
///
/// The rows are locked in the order of the accounts: two transactions never wait for each other here.
///
/// # Errors
/// When an account has no row, or the database fails.
pub async fn each_changed(
    conn: &mut PgConnection,
    changes: &[(&AccountId, Change<'_>)],
    now: Timestamp,
) -> Result<Vec<(AccountId, u64)>, StoreError> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: Vec<&str> = changes.iter().map(|(account, _)| account.as_str()).collect();
    let causes: Vec<String> = changes.iter().map(|(_, change)| reason_of(change.cause)).collect();
    let details: Vec<String> = changes.iter().map(|(_, change)| reason_of(change.detail)).collect();
    let user = caller::user();
    // Not `for update`: others who have written a row that refers to the account wait for it here as well, and each of two
    // would wait for the other.
    let query = sqlx::query!(
        r#"
        with locked as (
            select account from accounts where account = any($1) order by account for no key update
        ), bumped as (
            update accounts set version = version + 1, database = (select id from database_identity), erased_at = null
            where account in (select account from locked)
            returning account, version
        ), told as (
            insert into outbox (account, version, committed_at, next_attempt_at)
            select account, version, $4, $5 from bumped order by account
            on conflict (account) do update
            set version = excluded.version, attempts = 0, next_attempt_at = excluded.next_attempt_at
        ), noted as (
            insert into audit_log (at, account, version, cause, detail, acted_by)
            select $4, b.account, b.version, c.cause, c.detail, $6
            from unnest($1::text[], $2::text[], $3::text[]) with ordinality c (account, cause, detail, place)
            join bumped b on b.account = c.account
            order by c.place
        )
        select account, version from bumped
        "#,
        &accounts as _,
        &causes,
        &details,
        now,
        now + Duration::seconds(HEAD_START_SECONDS),
        user.as_ref().map(UserId::as_str)
    );
    let rows = query.fetch_all(conn).await?;
    if let Some(missing) = accounts.iter().find(|account| rows.iter().all(|row| row.account != **account)) {
        return Err(StoreError::missing("accounts", missing));
    }
    let read = |account: &str, version| {
        let account = account_of("accounts", account)?;
        Ok((account.clone(), version_of("accounts", &account, version)?))
    };
    rows.iter().map(|row| read(&row.account, row.version)).collect()
}
