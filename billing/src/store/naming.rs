//! By which claim of a token its account is known, as it was when billing started last.

use entitlement::Timestamp;
use sqlx::PgConnection;

use super::StoreError;

/// The naming in force; `None` before the first start.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!("select naming from account_naming").fetch_optional(conn).await?)
}

/// Notes the naming in force.
///
/// # Errors
/// When the database fails.
pub async fn set(conn: &mut PgConnection, naming: &str, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into account_naming (naming, since) values ($1, $2)
        on conflict (is_only) do update set naming = excluded.naming, since = excluded.since
        where account_naming.naming <> excluded.naming
        "#,
        naming,
        now
    );
    query.execute(conn).await?;
    Ok(())
}
