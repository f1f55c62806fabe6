//! Customers that are of no account here, as far as their provider said when it was asked. Kept only for as long as the answer counts.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::StoreError;

/// How long the answer counts: until about the next comparison of everything, which finds what no event has told.
const COUNTS_FOR: Duration = Duration::days(1);

/// Answers that are too old and go with one that is new.
const BATCH: i64 = 100;

/// Whether a customer was of no account here when its provider was last asked, not long before `now`, and nothing says otherwise.
///
/// # Errors
/// When the database fails.
pub async fn is_known(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from foreign_customers where provider = $1 and customer_id = $2 and asked_at > $3
        ) and not exists (
            select from provider_customers where provider = $1 and customer_id = $2
        ) and not exists (
            select from subscriptions where provider = $1 and customer_id = $2
        ) as "is!"
        "#,
        provider.as_str(),
        customer,
        now - COUNTS_FOR
    );
    Ok(query.fetch_one(conn).await?)
}

/// Notes that a provider named no account of a customer at `now`, unless the customer is linked by now. The caller holds the
/// [`lock`](super::links::lock) of the customer.
///
/// # Errors
/// When the database fails.
pub async fn note(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        with too_old as (
            delete from foreign_customers where (provider, customer_id) in (
                select provider, customer_id from foreign_customers
                where asked_at <= $4 and (provider, customer_id) <> ($1, $2)
                order by asked_at limit $5
                for update skip locked
            )
        )
        insert into foreign_customers (provider, customer_id, asked_at)
        select $1, $2, $3::timestamptz
        where not exists (select from provider_customers where provider = $1 and customer_id = $2)
        on conflict (provider, customer_id) do update set asked_at = excluded.asked_at
        "#,
        provider.as_str(),
        customer,
        now,
        now - COUNTS_FOR,
        BATCH
    );
    query.execute(conn).await?;
    Ok(())
}
