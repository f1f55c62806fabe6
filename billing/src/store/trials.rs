//! Free trials, which are had once.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::subscription::SubscriptionId;
use sqlx::PgConnection;

use super::StoreError;

/// Writes down that the account's trial has begun; the first one stays. The account must have a row.
///
/// # Errors
/// When the database fails.
pub async fn begun(
    conn: &mut PgConnection,
    account: &AccountId,
    subscription: &SubscriptionId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into trials (account, provider, subscription_id, started_at) values ($1, $2, $3, $4)
        on conflict (account) do nothing
        "#,
        account.as_str(),
        subscription.provider.as_str(),
        subscription.id,
        at
    );
    query.execute(conn).await?;
    Ok(())
}

/// Whether the account has had its trial.
///
/// # Errors
/// When the database fails.
pub async fn is_used(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query =
        sqlx::query_scalar!(r#"select exists (select from trials where account = $1) as "used!""#, account.as_str());
    Ok(query.fetch_one(conn).await?)
}
