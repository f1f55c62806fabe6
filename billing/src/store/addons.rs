//! What buyers of add-ons have stated.

use std::collections::BTreeMap;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// What was stated, by name.
pub type Details = BTreeMap<String, String>;

/// An add-on that is being bought.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    pub account: &'a AccountId,
    pub addon: &'a str,
    pub details: &'a Details,
    /// The checkout that it is for.
    pub attempt: i64,
    pub at: Timestamp,
}

/// Writes down what was stated for a checkout that is about to be opened; the account must have a row.
///
/// # Errors
/// When the database fails.
pub async fn record(conn: &mut PgConnection, ordered: Ordered<'_>) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into addon_orders (account, addon, details, attempt, ordered_at) values ($1, $2, $3, $4, $5)
        on conflict on constraint addon_orders_once do update
        set addon = excluded.addon, details = excluded.details, ordered_at = excluded.ordered_at
        "#,
        ordered.account.as_str(),
        ordered.addon,
        Json(ordered.details) as _,
        ordered.attempt,
        ordered.at
    );
    query.execute(conn).await?;
    Ok(())
}

/// What was stated for the account's last checkout of each add-on, by the add-on's code.
///
/// # Errors
/// When the database fails.
pub async fn last(conn: &mut PgConnection, account: &AccountId) -> Result<BTreeMap<String, Details>, StoreError> {
    let query = sqlx::query!(
        r#"
        select distinct on (addon) addon, details as "details: Json<Details>" from addon_orders
        where account = $1 order by addon, id desc
        "#,
        account.as_str()
    );
    let rows = query.fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.addon, row.details.0)).collect())
}

/// What was stated for one checkout of the account.
///
/// # Errors
/// When the database fails.
pub async fn of_attempt(
    conn: &mut PgConnection,
    account: &AccountId,
    attempt: i64,
) -> Result<Option<Details>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select details as "details: Json<Details>" from addon_orders where account = $1 and attempt = $2"#,
        account.as_str(),
        attempt
    );
    Ok(query.fetch_optional(conn).await?.map(|details| details.0))
}
