//! The inbox, as an operator looks at it.

use std::str::FromStr;

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{StoreError, schema};

/// Which events to list; all when every field is `None`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `pending`, `parked`, `applied`, `ignored` or `dead`.
    pub state: Option<String>,
    /// The provider's name of the type.
    pub kind: Option<String>,
    pub account: Option<String>,
    /// `stripe` or `polar`.
    pub provider: Option<String>,
    /// Only rows with a smaller id: the page after the one that ended with it.
    pub before: Option<i64>,
    /// Only events that were received since then.
    pub since: Option<Timestamp>,
}

/// A state in which an event stays until somebody does something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckState {
    /// Nobody has said whose customer it is about.
    Parked,
    /// Given up.
    Dead,
}

impl StuckState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for StuckState {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "parked" => Ok(Self::Parked),
            "dead" => Ok(Self::Dead),
            _ => Err("only dead or parked events are replayed together"),
        }
    }
}

/// Which stuck events to replay; all in that state when the other fields are `None`.
#[derive(Clone, Debug)]
pub struct Stuck {
    pub state: StuckState,
    /// The provider's name of the type.
    pub kind: Option<String>,
    pub account: Option<String>,
    pub provider: Option<Provider>,
}

/// One event without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventLine {
    /// The id of the row, by which it is shown and replayed.
    pub id: i64,
    pub provider: String,
    pub event_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub api_version: Option<String>,
    pub livemode: Option<bool>,
    pub received_at: Timestamp,
    pub state: String,
    pub attempts: i32,
    pub next_attempt_at: Option<Timestamp>,
    /// When it was applied or ignored.
    pub finished_at: Option<Timestamp>,
    /// When its body was thrown away; it can no longer be replayed.
    pub body_pruned_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub account: Option<String>,
    pub customer_id: Option<String>,
}

/// What became of the wish to replay an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It is due again.
    Due,
    /// Its body is gone: there is nothing to apply.
    Pruned,
    /// There is no such event.
    Unknown,
}

/// The newest events that the filter lets through, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<EventLine>, StoreError> {
    let query = sqlx::query_as!(
        EventLine,
        r#"
        select id, provider, event_id, type as kind, api_version, livemode, received_at, state, attempts,
            next_attempt_at, finished_at, body_pruned_at, reason, account, customer_id
        from webhook_events
        where ($1::text is null or state = $1) and ($2::text is null or type = $2)
            and ($3::text is null or account = $3) and ($4::text is null or provider = $4)
            and ($5::bigint is null or id < $5) and ($7::timestamptz is null or received_at >= $7)
        order by id desc limit $6
        "#,
        filter.state,
        filter.kind,
        filter.account,
        filter.provider,
        filter.before,
        limit,
        filter.since
    );
    let mut tx = schema::planned_each(conn).await?;
    let lines = query.fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(lines)
}

/// One event and its body, which is empty when it is pruned, by the id of its row.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection, id: i64) -> Result<Option<(EventLine, Vec<u8>)>, StoreError> {
    let query = sqlx::query_as!(
        EventLine,
        r#"
        select id, provider, event_id, type as kind, api_version, livemode, received_at, state, attempts,
            next_attempt_at, finished_at, body_pruned_at, reason, account, customer_id
        from webhook_events where id = $1
        "#,
        id
    );
    let Some(line) = query.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let body = sqlx::query_scalar!("select body from webhook_events where id = $1", id).fetch_one(conn).await?;
    Ok(Some((line, body)))
}

/// The id of an event's row, by the provider's id of the event.
///
/// # Errors
/// When the database fails.
pub async fn id_of(conn: &mut PgConnection, event_id: &str) -> Result<Option<i64>, StoreError> {
    // By provider, as the index is.
    let query = sqlx::query_scalar!(
        "select id from webhook_events where provider in ('stripe', 'polar') and event_id = $1 order by id limit 1",
        event_id
    );
    Ok(query.fetch_optional(conn).await?)
}

/// Makes an event due again, whatever became of it: applying one twice changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn replay(conn: &mut PgConnection, id: i64, now: Timestamp) -> Result<Replay, StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set state = 'pending', attempts = 0, next_attempt_at = $2, finished_at = null
        where id = $1 and body_pruned_at is null
        "#,
        id,
        now
    );
    if query.execute(&mut *conn).await?.rows_affected() == 1 {
        return Ok(Replay::Due);
    }
    let query = sqlx::query_scalar!(r#"select exists (select from webhook_events where id = $1) as "known!""#, id);
    Ok(if query.fetch_one(conn).await? { Replay::Pruned } else { Replay::Unknown })
}

/// How many accounts stuck events are about; a customer whom nobody has linked counts as one.
///
/// # Errors
/// When the database fails.
pub async fn stuck_accounts(conn: &mut PgConnection, stuck: &Stuck) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(distinct coalesce(account, provider || ' ' || customer_id, ''))  as "count!" from webhook_events
        where state = $1 and ($2::text is null or type = $2) and ($3::text is null or account = $3)
            and ($4::text is null or provider = $4)
        "#,
        stuck.state.as_str(),
        stuck.kind,
        stuck.account,
        stuck.provider.map(Provider::as_str)
    );
    let mut tx = schema::planned_each(conn).await?;
    let count = query.fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(count)
}

/// Makes stuck events with an id above `after` due again, those that came first before the others. One that is being
/// applied right now is left alone. Returns the ids of their rows, in order.
///
/// # Errors
/// When the database fails.
pub async fn replay_stuck(
    conn: &mut PgConnection,
    stuck: &Stuck,
    after: i64,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with stuck as (
            select id from webhook_events
            where state = $1 and ($2::text is null or type = $2) and ($3::text is null or account = $3)
                and ($4::text is null or provider = $4) and id > $5
            order by id limit $6
            for update skip locked
        ), replayed as (
            update webhook_events e set state = 'pending', attempts = 0, next_attempt_at = $7
            from stuck where e.id = stuck.id
            returning e.id
        )
        select id from replayed order by id
        "#,
        stuck.state.as_str(),
        stuck.kind,
        stuck.account,
        stuck.provider.map(Provider::as_str),
        after,
        limit,
        now
    );
    let mut tx = schema::planned_each(conn).await?;
    let replayed = query.fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(replayed)
}
