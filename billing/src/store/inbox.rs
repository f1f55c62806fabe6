//! The inbox, as an operator looks at it.

use entitlement::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

use super::StoreError;

/// Which events to list; all when every field is `None`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `pending`, `parked`, `applied`, `ignored` or `dead`.
    pub state: Option<String>,
    /// The provider's name of the type.
    pub kind: Option<String>,
    pub account: Option<String>,
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
    pub reason: Option<String>,
    pub account: Option<String>,
    pub customer_id: Option<String>,
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
            next_attempt_at, reason, account, customer_id
        from webhook_events
        where ($1::text is null or state = $1) and ($2::text is null or type = $2)
            and ($3::text is null or account = $3)
        order by id desc limit $4
        "#,
        filter.state,
        filter.kind,
        filter.account,
        limit
    );
    Ok(query.fetch_all(conn).await?)
}

/// One event and its body, by the id of its row.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection, id: i64) -> Result<Option<(EventLine, Vec<u8>)>, StoreError> {
    let query = sqlx::query_as!(
        EventLine,
        r#"
        select id, provider, event_id, type as kind, api_version, livemode, received_at, state, attempts,
            next_attempt_at, reason, account, customer_id
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
    let query = sqlx::query_scalar!("select id from webhook_events where event_id = $1 order by id limit 1", event_id);
    Ok(query.fetch_optional(conn).await?)
}

/// Makes an event due again, whatever became of it: applying one twice changes nothing. Returns whether it exists.
///
/// # Errors
/// When the database fails.
pub async fn replay(conn: &mut PgConnection, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "update webhook_events set state = 'pending', attempts = 0, next_attempt_at = $2 where id = $1",
        id,
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}
