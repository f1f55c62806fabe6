//! The inbox, as ingest and the worker use it.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{StoreError, reason_of};

/// A verified event as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub provider: Provider,
    pub event_id: &'a str,
    pub kind: &'a str,
    pub api_version: Option<&'a str>,
    pub livemode: Option<bool>,
    pub body: &'a [u8],
    pub received_at: Timestamp,
    /// When the worker takes it up, if nobody has applied it by then.
    pub due_at: Timestamp,
}

/// What an arrival turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Seen for the first time: the row's id.
    New(i64),
    /// Seen before, but not done: it has been made due.
    Unfinished,
    /// Applied or ignored before: a duplicate.
    Done,
}

/// An event that this transaction alone may finish.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: i64,
    pub provider: Provider,
    pub event_id: String,
    pub kind: String,
    pub livemode: Option<bool>,
    pub received_at: Timestamp,
    /// Its number among what we learn.
    pub arrival: i64,
    pub attempts: i32,
    /// Why it is still due, or waits.
    pub reason: Option<String>,
    /// The customer that it was about when it was looked at before.
    pub customer: Option<String>,
    /// Empty when only its customer is left to be compared.
    pub body: Vec<u8>,
}

/// An event that is to be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: i64,
    pub provider: Provider,
}

/// Makes an event durable. When the connection is not in a transaction, it is committed on return.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut PgConnection, arrival: Arrival<'_>) -> Result<Arrived, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        insert into webhook_events (
            provider, event_id, type, api_version, livemode, received_at, state, attempts, next_attempt_at, body
        )
        values ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $8)
        on conflict (provider, event_id) do nothing
        returning id
        "#,
        arrival.provider.as_str(),
        arrival.event_id,
        arrival.kind,
        arrival.api_version,
        arrival.livemode,
        arrival.received_at,
        arrival.due_at,
        arrival.body
    );
    match query.fetch_optional(&mut *conn).await? {
        Some(id) => Ok(Arrived::New(id)),
        None => nudge(conn, arrival).await,
    }
}

/// An event that came again: when it is not done, it is made due, unless it is being applied right now.
async fn nudge(conn: &mut PgConnection, arrival: Arrival<'_>) -> Result<Arrived, StoreError> {
    let query = sqlx::query!(
        r#"
        select id, state in ('applied', 'ignored') as "done!" from webhook_events
        where provider = $1 and event_id = $2
        "#,
        arrival.provider.as_str(),
        arrival.event_id
    );
    let known = query.fetch_optional(&mut *conn).await?;
    let known = known.ok_or_else(|| StoreError::missing("webhook_events", arrival.event_id))?;
    if known.done {
        return Ok(Arrived::Done);
    }
    make_due(conn, known.id, arrival.received_at).await?;
    Ok(Arrived::Unfinished)
}

/// Makes an event that is not done due, with its failures forgotten. Returns whether it was made so: not when it is
/// done, is being applied, or does not exist.
///
/// # Errors
/// When the database fails.
pub async fn make_due(conn: &mut PgConnection, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set state = 'pending', attempts = 0, next_attempt_at = $2
        where id in (
            select id from webhook_events where id = $1 and state not in ('applied', 'ignored')
            for update skip locked
        )
        "#,
        id,
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// The events that are due at `now`, the longest waiting first.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn due(conn: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<Due>, StoreError> {
    // An event that has never failed is due some seconds after it came. Due later, it came in by a clock ahead of ours, whose process may be gone.
    let query = sqlx::query!(
        r#"
        select id as "id!", provider as "provider!" from (
            (select id, provider, next_attempt_at from webhook_events
                where next_attempt_at <= $1 order by next_attempt_at, id limit $2)
            union all
            (select id, provider, next_attempt_at from webhook_events
                where state = 'pending' and attempts = 0
                    and next_attempt_at > $1 + interval '10 seconds' and next_attempt_at <= $1 + interval '10 minutes'
                order by next_attempt_at, id limit $2)
        ) due
        order by next_attempt_at, id limit $2
        "#,
        now,
        limit
    );
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(|row| Ok(Due { id: row.id, provider: provider_of(row.id, &row.provider)? })).collect()
}

/// Claims events until the transaction ends, however it ends: a killed process leaves them as they were. What is done
/// or dead, or another transaction has, is left out. In the order in which they arrived.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn claim(conn: &mut PgConnection, ids: &[i64]) -> Result<Vec<Claimed>, StoreError> {
    let query = sqlx::query_as!(
        Row,
        r#"
        select id, provider, event_id, type as kind, livemode, received_at, arrival, attempts, reason, customer_id, body
        from webhook_events where id = any($1) and state in ('pending', 'parked')
        order by arrival
        for update skip locked
        "#,
        ids
    );
    query.fetch_all(conn).await?.into_iter().map(Claimed::try_from).collect()
}

/// An event that waits, without claiming it. `None` when it is done or dead.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn peek(conn: &mut PgConnection, id: i64) -> Result<Option<Claimed>, StoreError> {
    let query = sqlx::query_as!(
        Row,
        r#"
        select id, provider, event_id, type as kind, livemode, received_at, arrival, attempts, reason, customer_id, body
        from webhook_events where id = $1 and state in ('pending', 'parked')
        "#,
        id
    );
    query.fetch_optional(conn).await?.map(Claimed::try_from).transpose()
}

/// A row of `webhook_events`, as the worker needs it.
struct Row {
    id: i64,
    provider: String,
    event_id: String,
    kind: String,
    livemode: Option<bool>,
    received_at: Timestamp,
    arrival: i64,
    attempts: i32,
    reason: Option<String>,
    customer_id: Option<String>,
    body: Vec<u8>,
}

impl TryFrom<Row> for Claimed {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            provider: provider_of(row.id, &row.provider)?,
            id: row.id,
            event_id: row.event_id,
            kind: row.kind,
            livemode: row.livemode,
            received_at: row.received_at,
            arrival: row.arrival,
            attempts: row.attempts,
            reason: row.reason,
            customer: row.customer_id,
            body: row.body,
        })
    }
}

/// Sets a claimed event aside until its customer is linked, or until the given moment: one of both there must be.
///
/// # Errors
/// When the row is gone, or the database fails.
pub async fn park(
    conn: &mut PgConnection,
    id: i64,
    customer: Option<&str>,
    reason: &str,
    next_attempt_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set state = 'parked', reason = $2, customer_id = $3, next_attempt_at = $4
        where id = $1
        "#,
        id,
        reason_of(reason),
        customer,
        next_attempt_at
    );
    one(id, query.execute(conn).await?.rows_affected())
}

/// Notes a failure that is the event's own. Returns how many it has had by now; `None` when it is no longer waiting.
///
/// # Errors
/// When the database fails.
pub async fn failed(conn: &mut PgConnection, id: i64, reason: &str) -> Result<Option<i32>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        update webhook_events set attempts = attempts + 1, reason = $2
        where id = $1 and state in ('pending', 'parked')
        returning attempts
        "#,
        id,
        reason_of(reason)
    );
    Ok(query.fetch_optional(conn).await?)
}

/// Says when a failed event is tried again: never when `None`, until an operator replays it.
///
/// # Errors
/// When the row is gone, or the database fails.
pub async fn retry_at(conn: &mut PgConnection, id: i64, next_attempt_at: Option<Timestamp>) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events
        set state = case when $2::timestamptz is null then 'dead' else 'pending' end, next_attempt_at = $2
        where id = $1 and state in ('pending', 'parked')
        "#,
        id,
        next_attempt_at
    );
    one(id, query.execute(conn).await?.rows_affected())
}

/// Leaves a claimed event pending, with whom it is about, although its effects are written: its provider is asked later.
///
/// # Errors
/// When the row is gone, or the database fails.
pub async fn ask_again_at(
    conn: &mut PgConnection,
    id: i64,
    (account, customer): (Option<&AccountId>, Option<&str>),
    reason: &str,
    next_attempt_at: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set state = 'pending', attempts = attempts + 1, reason = $2, next_attempt_at = $3,
            account = $4, customer_id = $5 where id = $1
        "#,
        id,
        reason_of(reason),
        next_attempt_at,
        account.map(AccountId::as_str),
        customer
    );
    one(id, query.execute(conn).await?.rows_affected())
}

/// Puts an event off without counting a failure: the fault was not its own, but the others must not wait behind it.
///
/// # Errors
/// When the database fails.
pub async fn put_off(conn: &mut PgConnection, id: i64, until: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set next_attempt_at = $2
        where id in (
            select id from webhook_events where id = $1 and state in ('pending', 'parked') for update skip locked
        )
        "#,
        id,
        until
    );
    query.execute(conn).await?;
    Ok(())
}

fn provider_of(id: i64, provider: &str) -> Result<Provider, StoreError> {
    provider.parse().map_err(|e| StoreError::row("webhook_events", id, &e))
}

fn one(id: i64, rows: u64) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::missing("webhook_events", id)) }
}
