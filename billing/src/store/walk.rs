//! The way through all accounts after a change of the catalog: in batches, one process at a time, gone on with after a crash.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::accounts::HEAD_START_SECONDS;
use super::{StoreError, account_of};

/// SQLSTATE of a lock that was not free in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Where the way through the accounts stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    pub catalog: i64,
    /// The account up to which all have a new version.
    after: String,
}

/// Takes the way that is not at its end, until the transaction ends; `None` when there is none, or another process has it.
///
/// # Errors
/// When the database fails.
pub async fn take(conn: &mut PgConnection) -> Result<Option<Walk>, StoreError> {
    // What waits longer for an account is tried again later: those in the same batch must not be held up with it.
    sqlx::query!("set local lock_timeout = '50ms'").execute(&mut *conn).await?;
    let query = sqlx::query!(
        r#"select id, walk as "walk!" from catalogs where walk is not null order by id desc limit 1 for update skip locked"#
    );
    Ok(query.fetch_optional(conn).await?.map(|row| Walk { catalog: row.id, after: row.walk }))
}

/// The account up to which the newest way is done; `None` when all are at their end.
///
/// # Errors
/// When the database fails.
pub async fn place(conn: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let query =
        sqlx::query_scalar!(r#"select walk as "walk!" from catalogs where walk is not null order by id desc limit 1"#);
    Ok(query.fetch_optional(conn).await?)
}

/// Gives the next accounts a new version each, writes down that the cache must be told, and notes how far the way is. `renamed`
/// are tiers with their new codes. Returns the accounts; `None` when one of them is held for longer than the others can wait.
///
/// # Errors
/// When the database fails.
pub async fn on(
    conn: &mut PgConnection,
    walk: &Walk,
    renamed: &[(String, String)],
    limit: i64,
    now: Timestamp,
) -> Result<Option<Vec<AccountId>>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with locked as (
            select account from accounts where account > $1 order by account limit $2 for no key update
        ), bumped as (
            update accounts set version = version + 1 where account in (select account from locked)
            returning account, version
        ), told as (
            insert into outbox (account, version, committed_at, next_attempt_at)
            select account, version, $3, $4 from bumped order by account
            on conflict (account) do update
            set version = excluded.version, attempts = 0, next_attempt_at = excluded.next_attempt_at
        )
        select account from bumped order by account
        "#,
        walk.after,
        limit,
        now,
        now + Duration::seconds(HEAD_START_SECONDS)
    );
    let accounts = match query.fetch_all(&mut *conn).await {
        Ok(accounts) => accounts,
        Err(error) if is_late(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !renamed.is_empty() {
        let (old, new): (Vec<String>, Vec<String>) = renamed.iter().cloned().unzip();
        let query = sqlx::query!(
            r#"
            update credits c set tier = renamed.new from unnest($2::text[], $3::text[]) renamed (old, new)
            where c.account = any($1) and c.tier = renamed.old
            "#,
            &accounts,
            &old,
            &new
        );
        query.execute(&mut *conn).await?;
    }
    let is_full = i64::try_from(accounts.len()).is_ok_and(|count| count == limit);
    let after = accounts.last().filter(|_| is_full);
    sqlx::query!("update catalogs set walk = $2 where id = $1", walk.catalog, after).execute(&mut *conn).await?;
    if after.is_none() {
        note_end(conn, walk, now).await?;
    }
    accounts.iter().map(|account| account_of("accounts", account)).collect::<Result<_, _>>().map(Some)
}

/// Notes with one of the accounts that all have been told: how far the database has come is read off the changes of accounts, and a
/// cache that goes back behind this one has to be told again.
async fn note_end(conn: &mut PgConnection, walk: &Walk, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into audit_log (at, account, version, cause, detail)
        select $1, account, version, 'catalog', $2 from accounts where erased_at is null order by account desc limit 1
        "#,
        now,
        format!("every account has a new version after catalog {}", walk.catalog)
    );
    query.execute(conn).await?;
    Ok(())
}

fn is_late(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}
