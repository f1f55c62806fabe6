//! The checkout of an account: who works on it, and which session was opened last.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{StoreError, accounts};

/// The right to work on the checkout of an account, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows with each: an earlier holder that comes late writes nothing.
    number: i64,
    /// Grows with each session that is opened for the account.
    pub attempt: i64,
    /// The one that was opened last and has not been given up.
    pub session: Option<Session>,
}

/// A session that was opened at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub provider: Provider,
    pub id: String,
    pub price: String,
    pub trial_days: u32,
    pub url: String,
    /// When the provider last said that it is open.
    pub seen_at: Timestamp,
}

/// Takes the right until a moment; `None` while another holder has it. Makes the account's row if need be. Sessions are counted from a number
/// that no earlier row of the account had: one that was erased and is back must not get a session of before again.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn take(
    conn: &mut PgConnection,
    account: &AccountId,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    accounts::ensure(conn, account, now).await?;
    let query = sqlx::query_as!(
        Row,
        r#"
        insert into checkouts (account, leased_until, lease, attempt)
        values ($1, $2, 1, (extract(epoch from $3::timestamptz) * 1000)::bigint)
        on conflict (account) do update set leased_until = excluded.leased_until, lease = checkouts.lease + 1
        where checkouts.leased_until <= $3
        returning lease, attempt, provider, session_id, price_id, trial_days, url, seen_at
        "#,
        account.as_str(),
        until,
        now
    );
    query.fetch_optional(conn).await?.map(|row| row.read(account)).transpose()
}

/// Gives the right back.
///
/// # Errors
/// When the database fails.
pub async fn release(
    conn: &mut PgConnection,
    account: &AccountId,
    lease: &Lease,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "update checkouts set leased_until = $3 where account = $1 and lease = $2",
        account.as_str(),
        lease.number,
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// When the right of the present holder ends; `None` when there is no holder, or never was one.
///
/// # Errors
/// When the database fails.
pub async fn leased_until(conn: &mut PgConnection, account: &AccountId) -> Result<Option<Timestamp>, StoreError> {
    let query = sqlx::query_scalar!("select leased_until from checkouts where account = $1", account.as_str());
    Ok(query.fetch_optional(conn).await?)
}

/// Stores the session that was opened, or found still open; with `None` the last one is given up. Answers whether the
/// lease still holds: else nothing is stored.
///
/// # Errors
/// When the database fails.
pub async fn put(
    conn: &mut PgConnection,
    account: &AccountId,
    lease: &Lease,
    session: Option<&Session>,
) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        r#"
        update checkouts set provider = $3, session_id = $4, price_id = $5, trial_days = $6, url = $7, seen_at = $8,
            superseded_at = null,
            attempt = attempt + case when $4::text is null or session_id is not distinct from $4 then 0 else 1 end
        where account = $1 and lease = $2
        "#,
        account.as_str(),
        lease.number,
        session.map(|session| session.provider.as_str()),
        session.map(|session| session.id.as_str()),
        session.map(|session| session.price.as_str()),
        session.map(|session| i32::try_from(session.trial_days).unwrap_or(i32::MAX)),
        session.map(|session| session.url.as_str()),
        session.map(|session| session.seen_at)
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// The session that was opened last for an account.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn session_of(conn: &mut PgConnection, account: &AccountId) -> Result<Option<Session>, StoreError> {
    let query = sqlx::query_as!(
        Row,
        r#"
        select lease, attempt, provider, session_id, price_id, trial_days, url, seen_at from checkouts
        where account = $1
        "#,
        account.as_str()
    );
    let row = query.fetch_optional(conn).await?.map(|row| row.read(account)).transpose()?;
    Ok(row.and_then(|lease| lease.session))
}

/// Has the account's open checkout, if it has one, looked at: something was bought. Answers whether there is one.
///
/// # Errors
/// When the database fails.
pub async fn supersede(conn: &mut PgConnection, account: &AccountId, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "update checkouts set superseded_at = $2 where account = $1 and session_id is not null",
        account.as_str(),
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// The accounts whose open checkout is to be looked at, the longest due first.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn superseded(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        "select account from checkouts where superseded_at <= $1 order by superseded_at limit $2",
        now,
        limit
    );
    query.fetch_all(conn).await?.iter().map(|account| super::account_of("checkouts", account)).collect()
}

/// Has the account's open checkout looked at later.
///
/// # Errors
/// When the database fails.
pub async fn look_again(conn: &mut PgConnection, account: &AccountId, at: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "update checkouts set superseded_at = $2 where account = $1 and superseded_at is not null",
        account.as_str(),
        at
    );
    query.execute(conn).await?;
    Ok(())
}

struct Row {
    lease: i64,
    attempt: i64,
    provider: Option<String>,
    session_id: Option<String>,
    price_id: Option<String>,
    trial_days: Option<i32>,
    url: Option<String>,
    seen_at: Option<Timestamp>,
}

impl Row {
    fn read(self, account: &AccountId) -> Result<Lease, StoreError> {
        let Self { lease: number, attempt, .. } = self;
        let session = match (self.provider, self.session_id, self.price_id, self.trial_days, self.url, self.seen_at) {
            (Some(provider), Some(id), Some(price), Some(days), Some(url), Some(seen_at)) => Some(Session {
                provider: provider.parse().map_err(|e| StoreError::row("checkouts", account, &e))?,
                id,
                price,
                trial_days: u32::try_from(days).map_err(|e| StoreError::row("checkouts", account, &e))?,
                url,
                seen_at,
            }),
            _ => None,
        };
        Ok(Lease { number, attempt, session })
    }
}
