//! The catalog and the rules that go with it: the newest row is current.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::catalog::Catalog;
use entitlement::subscription::{Grace, Policy};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// What is sold, and how long access goes on without a word from the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The row; `None` as long as no catalog was ever applied.
    pub id: Option<i64>,
    pub catalog: Catalog,
    pub grace: Grace,
    pub policy: Policy,
}

/// The id of the current catalog.
///
/// # Errors
/// When the database fails.
pub async fn current_id(conn: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar!("select max(id) from catalogs").fetch_one(conn).await?)
}

/// The rules of one row; rows never change.
///
/// # Errors
/// When this build cannot read them, or the database fails.
pub async fn find(conn: &mut PgConnection, id: i64) -> Result<Option<Rules>, StoreError> {
    let query = sqlx::query!(
        r#"
        select body as "body: Json<serde_json::Value>", grace_past_due, grace_renewal, grace_trial,
            policy as "policy: Json<serde_json::Value>"
        from catalogs where id = $1
        "#,
        id
    );
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let refused = |problem: &dyn std::fmt::Display| StoreError::row("catalogs", id, problem);
    let catalog = serde_json::from_value(row.body.0).map_err(|e| refused(&e))?;
    let seconds = |count| Duration::try_seconds(count).ok_or_else(|| refused(&"a grace beyond all time"));
    let grace = Grace {
        past_due: seconds(row.grace_past_due)?,
        renewal: seconds(row.grace_renewal)?,
        trial: seconds(row.grace_trial)?,
    };
    let policy = serde_json::from_value(row.policy.0).map_err(|e| refused(&e))?;
    Ok(Some(Rules { id: Some(id), catalog, grace, policy }))
}

/// Keeps everybody from changing accounts or catalogs until the transaction ends, so that what commits later is
/// computed with the new catalog, and what committed before is counted among those that must be told.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    // A million accounts take longer than any request may.
    sqlx::query!("set local statement_timeout = 0").execute(&mut *conn).await?;
    sqlx::query!("lock table accounts in share row exclusive mode").execute(&mut *conn).await?;
    sqlx::query!("lock table catalogs in share row exclusive mode").execute(conn).await?;
    Ok(())
}

/// Makes these rules current. Returns their id.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut PgConnection, rules: &Rules, now: Timestamp) -> Result<i64, StoreError> {
    let Rules { catalog, grace, policy, .. } = rules;
    let query = sqlx::query_scalar!(
        r#"
        insert into catalogs (body, grace_past_due, grace_renewal, grace_trial, policy, applied_at)
        values ($1, $2, $3, $4, $5, $6)
        returning id
        "#,
        Json(catalog) as _,
        grace.past_due.num_seconds(),
        grace.renewal.num_seconds(),
        grace.trial.num_seconds(),
        Json(policy) as _,
        now
    );
    Ok(query.fetch_one(conn).await?)
}

/// Gives every account a new version: a catalog concerns them all. Returns how many there are.
///
/// # Errors
/// When the database fails.
pub async fn all_changed(conn: &mut PgConnection, now: Timestamp) -> Result<u64, StoreError> {
    let query = sqlx::query!(
        r#"
        with bumped as (update accounts set version = version + 1 returning account, version)
        insert into outbox (account, version, committed_at, next_attempt_at)
        select account, version, $1, $1 from bumped
        on conflict (account) do update
        set version = excluded.version, attempts = 0, next_attempt_at = excluded.next_attempt_at
        "#,
        now
    );
    Ok(query.execute(conn).await?.rows_affected())
}
