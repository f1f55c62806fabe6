//! By which claims accounts are named, as it is in force.

use entitlement::Timestamp;
use entitlement::naming::Names;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// The naming in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// In an operator's words.
    pub told: String,
    /// Way by way; `None` where an earlier version noted it.
    pub names: Option<Names>,
}

/// The naming in force; `None` before the first start.
///
/// # Errors
/// When the database fails, or the row cannot be read.
pub async fn find(conn: &mut PgConnection) -> Result<Option<InForce>, StoreError> {
    let query = sqlx::query!(r#"select naming, ways as "ways: Json<serde_json::Value>" from account_naming"#);
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let names = row.ways.map(|ways| serde_json::from_value(ways.0)).transpose();
    let names = names.map_err(|e| StoreError::row("account_naming", "ways", &e))?;
    Ok(Some(InForce { told: row.naming, names }))
}

/// Puts a naming in force.
///
/// # Errors
/// When the database fails.
pub async fn set(conn: &mut PgConnection, names: &Names, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into account_naming (naming, ways, since) values ($1, $2, $3)
        on conflict (is_only) do update set naming = excluded.naming, ways = excluded.ways,
            since = case when account_naming.naming = excluded.naming then account_naming.since else excluded.since end
        "#,
        names.to_string(),
        Json(names) as _,
        now
    );
    query.execute(conn).await?;
    Ok(())
}
