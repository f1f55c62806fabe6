//! Which customer an account buys as. Which account a customer belongs to is in `links`.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::links::{Link, Linked, Placing, link, lock};
use super::{StoreError, accounts};

/// The customer as which the account buys, if it has one: the one that was stated last.
///
/// # Errors
/// When the database fails.
pub async fn customer_of(
    conn: &mut PgConnection,
    provider: Provider,
    account: &AccountId,
) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select customer_id from provider_customers where provider = $1 and account = $2 and gone_at is null
        order by stated_at desc nulls last, created_at desc, customer_id limit 1
        "#,
        provider.as_str(),
        account.as_str(),
    );
    Ok(query.fetch_optional(conn).await?)
}

/// The customer of a subscription or an invoice that is stored, by its provider's id. A pseudonym is none.
///
/// # Errors
/// When the database fails.
pub async fn customer_of_object(
    conn: &mut PgConnection,
    provider: Provider,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select coalesce(
            (select customer_id from subscriptions where provider = $1 and subscription_id = $2),
            (
                select customer_id from invoices
                where provider = $1 and invoice_id = $2 and customer_id not like 'erased:%'
            )
        )
        "#,
        provider.as_str(),
        id,
    );
    Ok(query.fetch_one(conn).await?)
}

/// A customer that was just made for an account.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    pub provider: Provider,
    pub customer: &'a str,
    pub account: &'a AccountId,
    /// The customer that the provider no longer knows.
    pub replaces: Option<&'a str>,
}

/// Stores a customer that was made for the account, and answers as which customer it buys: another one when a second
/// request was faster. To be called in a transaction; the caller commits, then wakes the worker.
///
/// # Errors
/// When the database fails.
pub async fn settle(conn: &mut PgConnection, made: Made<'_>, now: Timestamp) -> Result<String, StoreError> {
    let Made { provider, customer, account, replaces } = made;
    // In the order in which an event takes them: the customer, then the account.
    lock(conn, [(provider, customer)], Placing::Adds).await?;
    lock_account(conn, account, now).await?;
    match customer_of(conn, provider, account).await? {
        Some(current) if Some(current.as_str()) != replaces => return Ok(current),
        _ => {}
    }
    let statement = Link { provider, customer, account, stated_at: Some(now), cause: "checkout" };
    match link(conn, statement, now).await? {
        Linked::New | Linked::Same | Linked::Moved { .. } => Ok(customer.to_owned()),
        Linked::Kept => Err(StoreError::row("provider_customers", customer, &"a new customer is another account's")),
    }
}

/// Makes the account's row if need be, and holds it: two requests for one account go one after the other.
async fn lock_account(conn: &mut PgConnection, account: &AccountId, now: Timestamp) -> Result<(), StoreError> {
    accounts::ensure(conn, account, now).await?;
    let query = sqlx::query!("select version from accounts where account = $1 for no key update", account.as_str());
    query.fetch_one(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use sqlx::PgPool;

    use super::*;

    const STRIPE: Provider = Provider::Stripe;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::seconds(second)
    }

    fn account() -> AccountId {
        AccountId::parse("user-1").expect("an id")
    }

    async fn settled(pool: &PgPool, customer: &str, replaces: Option<&str>, second: i64) -> String {
        let made = Made { provider: STRIPE, customer, account: &account(), replaces };
        let mut transaction = pool.begin().await.expect("a transaction");
        let bought_as = settle(&mut transaction, made, at(second)).await.expect("a customer");
        transaction.commit().await.expect("a commit");
        bought_as
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_first_customer_stays_until_the_provider_loses_it(pool: PgPool) {
        let current = async |provider| {
            let mut conn = pool.acquire().await.expect("a connection");
            customer_of(&mut conn, provider, &account()).await.expect("an answer")
        };
        assert_eq!(current(STRIPE).await, None);
        assert_eq!(settled(&pool, "cus_1", None, 1).await, "cus_1");
        assert_eq!(settled(&pool, "cus_2", None, 2).await, "cus_1", "a second tab buys as the same customer");
        assert_eq!(settled(&pool, "cus_3", Some("cus_1"), 3).await, "cus_3", "cus_1 is gone");
        assert_eq!(settled(&pool, "cus_4", Some("cus_1"), 4).await, "cus_3", "a second tab that missed it too");
        assert_eq!(current(STRIPE).await, Some("cus_3".into()));
        assert_eq!(current(Provider::Polar).await, None);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_customer_that_its_own_event_linked_first_is_the_one(pool: PgPool) {
        let mut transaction = pool.begin().await.expect("a transaction");
        let by_metadata =
            Link { provider: STRIPE, customer: "cus_1", account: &account(), stated_at: None, cause: "evt_1" };
        lock(&mut transaction, [(STRIPE, "cus_1")], Placing::Adds).await.expect("it is held");
        link(&mut transaction, by_metadata, at(1)).await.expect("a link");
        transaction.commit().await.expect("a commit");
        assert_eq!(settled(&pool, "cus_1", None, 2).await, "cus_1");
        assert_eq!(settled(&pool, "cus_2", Some("cus_1"), 3).await, "cus_2");
    }
}
