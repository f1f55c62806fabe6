//! Subscriptions that their provider no longer shows. That changes no access by itself.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::subscription::SubscriptionId;
use serde::Serialize;
use sqlx::PgConnection;

use super::StoreError;

/// How many are not shown any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unseen {
    pub subscriptions: i64,
    /// Whose they are.
    pub accounts: i64,
}

/// Notes that the provider answered that it has no such subscription, to a question that was asked after a number was
/// drawn. Returns whether it is stored, runs, and nothing newer is known.
///
/// # Errors
/// When the database fails.
pub async fn mark(
    conn: &mut PgConnection,
    id: &SubscriptionId,
    observation: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        r#"
        update subscriptions set unseen_since = coalesce(unseen_since, $4)
        where provider = $1 and subscription_id = $2 and observation < $3 and state <> 'ended' and state not in ('lapsed', 'written_off')
        "#,
        id.provider.as_str(),
        id.id,
        observation,
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// Counts those that run here and are not shown any more, of one provider or of all.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut PgConnection, provider: Option<Provider>) -> Result<Unseen, StoreError> {
    let query = sqlx::query_as!(
        Unseen,
        r#"
        select count(*) as "subscriptions!", count(distinct account) as "accounts!" from subscriptions
        where unseen_since is not null and state <> 'ended' and state not in ('lapsed', 'written_off') and ($1::text is null or provider = $1)
        "#,
        provider.map(Provider::as_str)
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether it runs here and is not shown any more.
///
/// # Errors
/// When the database fails.
pub async fn is_marked(conn: &mut PgConnection, id: &SubscriptionId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from subscriptions where provider = $1 and subscription_id = $2 and unseen_since is not null
                and state <> 'ended' and state not in ('lapsed', 'written_off')
        ) as "marked!"
        "#,
        id.provider.as_str(),
        id.id
    );
    Ok(query.fetch_one(conn).await?)
}

/// Those that run here and are not shown any more, in the order of their ids, after a given one.
///
/// # Errors
/// When the database fails.
pub async fn page(
    conn: &mut PgConnection,
    provider: Provider,
    after: &str,
    limit: i64,
) -> Result<Vec<SubscriptionId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select subscription_id from subscriptions
        where provider = $1 and subscription_id > $2 and unseen_since is not null
            and state <> 'ended' and state not in ('lapsed', 'written_off')
        order by subscription_id limit $3
        "#,
        provider.as_str(),
        after,
        limit
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(|id| SubscriptionId { provider, id }).collect())
}
