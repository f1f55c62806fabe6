//! Events that the inbox keeps, and how many wait in it; and how long evidence is kept.

use entitlement::Timestamp;
use sqlx::PgConnection;

use super::StoreError;

/// What is not done in the inbox: numbers of events, each up to the bound with which they were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    pub pending: i64,
    pub parked: i64,
    /// Of the parked, those that are to be tried again by now.
    pub parked_due: i64,
    pub dead: i64,
}

impl Open {
    /// How many wait for the worker.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.pending.saturating_add(self.parked_due)).unwrap_or(0)
    }
}

/// Throws away the bodies of events that were done before a moment, the longest done first. The rows stay: a late
/// repetition is still a duplicate. What another process is at is left to it. Returns how many it were.
///
/// # Errors
/// When the database fails.
pub async fn prune(
    conn: &mut PgConnection,
    done_before: Timestamp,
    limit: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events set body = '', body_pruned_at = $3
        where id = any(array(
            select id from webhook_events
            where finished_at < $1 and body_pruned_at is null
            order by finished_at limit $2
            for update skip locked
        ))
        "#,
        done_before,
        limit,
        now
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Deletes consents of erased accounts that were given before a moment, the oldest first. Returns how many it were.
///
/// # Errors
/// When the database fails.
pub async fn prune_consents(conn: &mut PgConnection, given_before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    let query = sqlx::query!(
        r#"
        delete from consents where id = any(array(
            select id from consents where erased_at is not null and agreed_at < $1
            order by agreed_at limit $2 for update skip locked
        ))
        "#,
        given_before,
        limit
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Counts what is not done at `now`, each state up to `most`: that many rows are read from an index, however many there are. Of what
/// is due, the first `most` are looked at.
///
/// # Errors
/// When the database fails.
pub async fn open(conn: &mut PgConnection, most: i64, now: Timestamp) -> Result<Open, StoreError> {
    let query = sqlx::query_as!(
        Open,
        r#"
        select
            (select count(*) from (select from webhook_events where state = 'pending' order by id limit $1) e) as "pending!",
            (select count(*) from (select from webhook_events where state = 'parked' order by id limit $1) e) as "parked!",
            (
                select count(*) filter (where state = 'parked') from (
                    select state from webhook_events where next_attempt_at <= $2 order by next_attempt_at, id limit $1
                ) e
            ) as "parked_due!",
            (select count(*) from (select from webhook_events where state = 'dead' order by id limit $1) e) as "dead!"
        "#,
        most,
        now
    );
    Ok(query.fetch_one(conn).await?)
}
