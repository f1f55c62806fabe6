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
        select body as "body: Json<serde_json::Value>", grace_past_due, grace_renewal, grace_trial, grace_authentication,
            policy as "policy: Json<serde_json::Value>"
        from catalogs where id = $1
        "#,
        id
    );
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let refused = |problem: &dyn std::fmt::Display| StoreError::row("catalogs", id, problem);
    let catalog = serde_json::from_value(row.body.0).map_err(|e| refused(&e))?;
    let seconds = |count| Duration::try_seconds(count).ok_or_else(|| refused(&"a grace beyond all time"));
    let trial = seconds(row.grace_trial)?;
    let grace = Grace {
        past_due: seconds(row.grace_past_due)?,
        renewal: seconds(row.grace_renewal)?,
        trial,
        authentication: match row.grace_authentication {
            Some(count) => seconds(count)?,
            // A build of before knew one of the two.
            None if trial.is_zero() => Grace::AUTHENTICATION,
            None => trial,
        },
    };
    let policy = serde_json::from_value(row.policy.0).map_err(|e| refused(&e))?;
    Ok(Some(Rules { id: Some(id), catalog, grace, policy }))
}

/// Keeps others from changing the catalog until the transaction ends. Accounts are not held up.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("lock table catalogs in share row exclusive mode").execute(conn).await?;
    Ok(())
}

/// Makes these rules current, and begins to go through the accounts. `taken` is how many lose something by it. Returns their id.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &mut PgConnection, rules: &Rules, taken: u64, now: Timestamp) -> Result<i64, StoreError> {
    let Rules { catalog, grace, policy, .. } = rules;
    // One way through the accounts is enough: each is computed with the newest catalog.
    sqlx::query!("update catalogs set walk = null where walk is not null").execute(&mut *conn).await?;
    let query = sqlx::query_scalar!(
        r#"
        insert into catalogs (
            body, grace_past_due, grace_renewal, grace_trial, policy, applied_at, taken, walk, grace_authentication
        )
        values ($1, $2, $3, $4, $5, $6, $7, '', $8)
        returning id
        "#,
        Json(catalog) as _,
        grace.past_due.num_seconds(),
        grace.renewal.num_seconds(),
        grace.trial.num_seconds(),
        Json(policy) as _,
        now,
        i64::try_from(taken).unwrap_or(i64::MAX),
        grace.authentication.num_seconds()
    );
    Ok(query.fetch_one(conn).await?)
}

/// How many accounts there are.
///
/// # Errors
/// When the database fails.
pub async fn accounts(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from accounts"#).fetch_one(conn).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Whether these rules were in force, and others have taken their place: of another catalog the catalog alone counts, of the
/// same one its grace and policy.
///
/// # Errors
/// When the database fails.
pub async fn is_superseded(conn: &mut PgConnection, rules: &Rules) -> Result<bool, StoreError> {
    let Rules { catalog, grace, policy, .. } = rules;
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from catalogs old, (select body from catalogs order by id desc limit 1) current
            where old.body = $1 and (
                current.body <> $1 or (
                    old.grace_past_due = $2 and old.grace_renewal = $3 and old.grace_trial = $4 and old.policy = $5
                    and coalesce(old.grace_authentication, $6) = $6
                )
            )
        ) as "is!"
        "#,
        Json(catalog) as _,
        grace.past_due.num_seconds(),
        grace.renewal.num_seconds(),
        grace.trial.num_seconds(),
        Json(policy) as _,
        grace.authentication.num_seconds()
    );
    Ok(query.fetch_one(conn).await?)
}
