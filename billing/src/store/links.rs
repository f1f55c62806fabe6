//! Which account a customer and a subscription of a provider belong to.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::decide::Known;
use entitlement::subscription::SubscriptionId;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::accounts::{self, Change};
use super::first_links::{self, FirstLink};
use super::{StoreError, account_of, subscriptions};

/// Somebody says that a customer is an account.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub provider: Provider,
    pub customer: &'a str,
    pub account: &'a AccountId,
    /// When a checkout of ours, or we ourselves, stated it; `None` when only metadata says so.
    pub stated_at: Option<Timestamp>,
    /// Who says so, for the audit log.
    pub cause: &'a str,
}

/// A customer of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Customer {
    pub provider: String,
    pub customer_id: String,
    /// When a checkout stated the link; `None` when only metadata did.
    pub stated_at: Option<Timestamp>,
    /// Since when its provider no longer has it.
    pub gone_at: Option<Timestamp>,
}

/// When a person's word was stated: before every checkout.
pub(super) const BY_A_PERSON: Timestamp = Timestamp::UNIX_EPOCH;

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The customer was not known.
    New,
    /// It was linked like this already.
    Same,
    /// It was another account's: its subscriptions went with it.
    Moved { from: AccountId },
    /// It stays another account's, on better evidence.
    Kept,
}

/// Whether a transaction adds a piece by which others may find their account, or looks for its own in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    Adds,
    Seeks,
}

/// Makes everything about each of these customers happen one after the other, until the transaction ends.
///
/// And makes sure that of a piece of money and the link that leads it to an account, stored at the same time by two
/// transactions, the later one sees the earlier: those that add go side by side, those that seek alone. Once in a
/// transaction: two that hold and ask for more would wait for each other.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    customers: impl IntoIterator<Item = (Provider, &str)>,
    placing: Placing,
) -> Result<(), StoreError> {
    let name = |(provider, customer): (Provider, &str)| format!("tollgate:customer:{provider}:{customer}");
    let names: Vec<String> = customers.into_iter().map(name).collect();
    // The customers first, always in the same order: two transactions never wait for each other.
    let query = sqlx::query!(
        r#"
        with customers as materialized (
            select pg_advisory_xact_lock(lock) from (
                select distinct hashtextextended(name, 0) as lock from unnest($1::text[]) name order by 1
            ) locks
        ), held as materialized (
            select count(*) from customers
        )
        select case when $2
            then pg_advisory_xact_lock(hashtextextended('tollgate:placing', 0))
            else pg_advisory_xact_lock_shared(hashtextextended('tollgate:placing', 0))
        end from held
        "#,
        &names,
        placing == Placing::Seeks
    );
    query.execute(conn).await?;
    Ok(())
}

/// Notes that the provider no longer has a customer. Returns its account, and whether that was news; `None` when the
/// customer is not linked.
///
/// # Errors
/// When the database fails.
pub async fn customer_gone(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
    at: Timestamp,
) -> Result<Option<(AccountId, bool)>, StoreError> {
    let query = sqlx::query!(
        r#"
        with news as (
            update provider_customers set gone_at = $3
            where provider = $1 and customer_id = $2 and (gone_at is null or gone_at > $3)
            returning customer_id
        )
        select account, exists (select from news) as "news!" from provider_customers
        where provider = $1 and customer_id = $2
        "#,
        provider.as_str(),
        customer,
        at
    );
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    Ok(Some((account_of("provider_customers", &row.account)?, row.news)))
}

/// The account that a customer is.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn account_of_customer(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        "select account from provider_customers where provider = $1 and customer_id = $2",
        provider.as_str(),
        customer
    );
    let account = query.fetch_optional(conn).await?;
    account.map(|account| account_of("provider_customers", &account)).transpose()
}

/// The account to which a subscription belongs or would belong: its own, then the one of the checkout that bought it, then the one
/// that its own metadata names (`named`), where its customer is known and not by a person's word, then its customer's. And what is
/// known of the subscription.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn find_subscription(
    conn: &mut PgConnection,
    id: &SubscriptionId,
    customer: &str,
    named: Option<&AccountId>,
) -> Result<(Option<AccountId>, Option<Known>), StoreError> {
    let query = sqlx::query!(
        r#"
        select
            coalesce(
                s.account,
                (select account from subscription_claims where provider = $1 and subscription_id = $2),
                (select case when stated_at is not distinct from $5 then account else coalesce($4, account) end
                    from provider_customers where provider = $1 and customer_id = $3)
            ) as account,
            to_jsonb(s) as "known?: Json<subscriptions::Row>"
        from (select) one left join subscriptions s on s.provider = $1 and s.subscription_id = $2
        "#,
        id.provider.as_str(),
        id.id,
        customer,
        named.map(AccountId::as_str),
        BY_A_PERSON
    );
    let row = query.fetch_one(conn).await?;
    let account = row.account.map(|account| account_of("subscriptions", &account)).transpose()?;
    Ok((account, row.known.map(|Json(row)| row.try_into()).transpose()?))
}

/// The customers that are linked to an account.
///
/// # Errors
/// When the database fails.
pub async fn customers_of(conn: &mut PgConnection, account: &AccountId) -> Result<Vec<Customer>, StoreError> {
    let query = sqlx::query_as!(
        Customer,
        r#"
        select provider, customer_id, stated_at, gone_at from provider_customers
        where account = $1 order by provider, customer_id
        "#,
        account.as_str()
    );
    Ok(query.fetch_all(conn).await?)
}

/// Links a customer to an account, creating the account's row when there is none, and wakes the events that waited for
/// it. Of two statements the first one made wins, whatever the order in which they are told; of two of one second, which prove
/// nothing, the one that is known. A later checkout that names another account takes what it bought, and nothing else, also from an
/// account that is known by metadata alone. Metadata never overrules anything. The caller holds the [`lock`] of the customer,
/// commits, then wakes the worker.
///
/// # Errors
/// When the database fails.
pub async fn link(conn: &mut PgConnection, link: Link<'_>, now: Timestamp) -> Result<Linked, StoreError> {
    let query = sqlx::query!(
        "select account, stated_at from provider_customers where provider = $1 and customer_id = $2",
        link.provider.as_str(),
        link.customer
    );
    let Some(known) = query.fetch_optional(&mut *conn).await? else {
        let Link { provider, customer, account, stated_at, .. } = link;
        first_links::insert(conn, &[FirstLink { provider: provider.as_str(), customer, account, stated_at }], now)
            .await?;
        return Ok(Linked::New);
    };
    let known_account = account_of("provider_customers", &known.account)?;
    let is_better = match (link.stated_at, known.stated_at) {
        (Some(stated), Some(known)) => stated < known,
        // Metadata has no date: a statement confirms it, or leaves it.
        (Some(_), None) => known_account == *link.account,
        (None, _) => false,
    };
    if !is_better {
        return Ok(if known_account == *link.account { Linked::Same } else { Linked::Kept });
    }
    accounts::ensure(conn, link.account, now).await?;
    let query = sqlx::query!(
        "update provider_customers set account = $3, stated_at = $4 where provider = $1 and customer_id = $2",
        link.provider.as_str(),
        link.customer,
        link.account.as_str(),
        link.stated_at
    );
    query.execute(&mut *conn).await?;
    if known_account == *link.account {
        return Ok(Linked::Same);
    }
    follow(conn, link, &known_account, now).await?;
    Ok(Linked::Moved { from: known_account })
}

/// Links a customer to an account by a person's word, which no checkout overrules: it stands before all of them. The caller holds the
/// [`lock`] of the customer, commits, then wakes the worker.
///
/// # Errors
/// When the database fails.
pub async fn assign(conn: &mut PgConnection, told: Link<'_>, now: Timestamp) -> Result<Linked, StoreError> {
    let told = Link { stated_at: Some(BY_A_PERSON), ..told };
    let query = sqlx::query!(
        r#"
        update provider_customers set stated_at = created_at where provider = $1 and customer_id = $2 and account <> $3
        "#,
        told.provider.as_str(),
        told.customer,
        told.account.as_str()
    );
    query.execute(&mut *conn).await?;
    link(conn, told, now).await
}

/// Moves the subscriptions that were the old account's through its customer alone.
async fn follow(conn: &mut PgConnection, link: Link<'_>, from: &AccountId, now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        update subscriptions s set account = $3, updated_at = $4
        where s.provider = $1 and s.customer_id = $2 and s.account = $5
            and not exists (
                select from subscription_claims c
                where c.provider = s.provider and c.subscription_id = s.subscription_id
            )
        "#,
        link.provider.as_str(),
        link.customer,
        link.account.as_str(),
        now,
        from.as_str()
    );
    if query.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(());
    }
    let detail = format!("customer {} went from account {from} to {}", link.customer, link.account);
    both_changed(conn, from, link.account, Change { cause: link.cause, detail: &detail }, now).await
}

/// Notes for which account a checkout bought a subscription; the first word counts. Returns the account that lost the
/// subscription by it.
///
/// # Errors
/// When the account has no row, or the database fails.
pub async fn claim_subscription(
    conn: &mut PgConnection,
    id: &SubscriptionId,
    account: &AccountId,
    cause: &str,
    now: Timestamp,
) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query!(
        r#"
        insert into subscription_claims (provider, subscription_id, account, created_at) values ($1, $2, $3, $4)
        on conflict (provider, subscription_id) do nothing
        "#,
        id.provider.as_str(),
        id.id,
        account.as_str(),
        now
    );
    if query.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let query = sqlx::query_scalar!(
        r#"
        with before as (
            select account from subscriptions where provider = $1 and subscription_id = $2 and account <> $3
        ), moved as (
            update subscriptions set account = $3, updated_at = $4
            where provider = $1 and subscription_id = $2 and account <> $3
        )
        select account from before
        "#,
        id.provider.as_str(),
        id.id,
        account.as_str(),
        now
    );
    let Some(from) = query.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let from = account_of("subscriptions", &from)?;
    let detail = format!("subscription {} went from account {from} to {account}", id.id);
    both_changed(conn, &from, account, Change { cause, detail: &detail }, now).await?;
    Ok(Some(from))
}

/// Whether a checkout has said for which account it bought a subscription.
///
/// # Errors
/// When the database fails.
pub async fn is_claimed(conn: &mut PgConnection, id: &SubscriptionId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (select from subscription_claims where provider = $1 and subscription_id = $2) as "is!"
        "#,
        id.provider.as_str(),
        id.id
    );
    Ok(query.fetch_one(conn).await?)
}

/// Two accounts change in one transaction.
async fn both_changed(
    conn: &mut PgConnection,
    one: &AccountId,
    other: &AccountId,
    change: Change<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    accounts::each_changed(conn, &[(one, change), (other, change)], now).await?;
    Ok(())
}
