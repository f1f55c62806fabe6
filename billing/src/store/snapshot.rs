//! Everything that an entitlement is computed from, as it stood at one moment.

use entitlement::account::AccountId;
use entitlement::subscription::Subscription;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::credits::Credit;
use super::subscriptions::Row;
use super::{StoreError, version_of};

/// The rows of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// 0 when the account has no row.
    pub version: u64,
    /// The current catalog.
    pub catalog: Option<i64>,
    pub subscriptions: Vec<Subscription>,
    pub credits: Vec<Credit>,
}

/// Reads an account's rows. One statement is one snapshot: the version belongs to these very rows.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn read(conn: &mut PgConnection, account: &AccountId) -> Result<Snapshot, StoreError> {
    let query = sqlx::query!(
        r#"
        select
            (select version from accounts where account = $1) as version,
            (select max(id) from catalogs) as catalog,
            (select coalesce(jsonb_agg(to_jsonb(s) order by s.provider, s.subscription_id), '[]')
                from subscriptions s where s.account = $1) as "subscriptions!: Json<Vec<serde_json::Value>>",
            (select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
                from credits c where c.account = $1) as "credits!: Json<Vec<serde_json::Value>>"
        "#,
        account.as_str()
    );
    let row = query.fetch_one(conn).await?;
    let subscriptions = rows_of::<Row>("subscriptions", account, row.subscriptions.0)?;
    Ok(Snapshot {
        version: row.version.map_or(Ok(0), |version| version_of("accounts", account, version))?,
        catalog: row.catalog,
        subscriptions: subscriptions.into_iter().map(Subscription::try_from).collect::<Result<_, _>>()?,
        credits: rows_of("credits", account, row.credits.0)?,
    })
}

fn rows_of<T: DeserializeOwned>(
    table: &'static str,
    account: &AccountId,
    rows: Vec<serde_json::Value>,
) -> Result<Vec<T>, StoreError> {
    let read =
        |row| serde_json::from_value(row).map_err(|e| StoreError::row(table, format!("of account {account}"), &e));
    rows.into_iter().map(read).collect()
}
