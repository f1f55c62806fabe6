//! The first link of a customer, and the events that waited for it.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::StoreError;
use super::links::BY_A_PERSON;

/// Links customers that have no link yet, by a person's word, which no checkout overrules. The caller holds the [`lock`](super::links::lock) of the
/// customers, commits, then wakes the worker.
///
/// # Errors
/// When one of them is linked, or the database fails.
pub async fn assign_new(
    conn: &mut PgConnection,
    customers: &[(Provider, &str, &AccountId)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let linked = customers.iter().map(|&(provider, customer, account)| FirstLink {
        provider: provider.as_str(),
        customer,
        account,
        stated_at: Some(BY_A_PERSON),
    });
    insert(conn, &linked.collect::<Vec<_>>(), now).await
}

/// A link that is new.
pub(super) struct FirstLink<'a> {
    pub provider: &'static str,
    pub customer: &'a str,
    pub account: &'a AccountId,
    pub stated_at: Option<Timestamp>,
}

/// Stores links that are new, and makes the events that waited for them due. One that is being applied right now is left
/// alone: it waits for our lock on the customer, and will see the link. Of those that were ignored since the customer was
/// no account's the last one becomes due without its body: it stands for everything that the provider knows of the customer.
///
/// # Errors
/// When one of them is linked, or the database fails.
pub(super) async fn insert(conn: &mut PgConnection, links: &[FirstLink<'_>], now: Timestamp) -> Result<(), StoreError> {
    let providers: Vec<&str> = links.iter().map(|link| link.provider).collect();
    let customers: Vec<&str> = links.iter().map(|link| link.customer).collect();
    let accounts: Vec<&str> = links.iter().map(|link| link.account.as_str()).collect();
    let stated: Vec<Option<Timestamp>> = links.iter().map(|link| link.stated_at).collect();
    let query = sqlx::query!(
        r#"
        with told as materialized (
            select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
                told (provider, customer_id, account, stated_at)
        ), account as (
            insert into accounts (account, version, created_at)
            select distinct account, 1, $5::timestamptz from told order by account on conflict (account) do nothing
        ), back as (
            -- Customers that were erased, and are named again.
            delete from erased using told where hash = erasure_hash('customer', told.provider || ':' || told.customer_id)
        ), known_here as (
            delete from foreign_customers f using told where f.provider = told.provider and f.customer_id = told.customer_id
        ), woken as (
            update webhook_events set state = 'pending', next_attempt_at = $5
            where id in (
                select e.id from told join webhook_events e
                    on e.provider = told.provider and e.customer_id = told.customer_id and e.state = 'parked'
                for update of e skip locked
            )
        ), compared as (
            update webhook_events
            set state = 'pending', attempts = 0, next_attempt_at = $5, finished_at = null, body_pruned_at = null
            where id in (
                select last.id from told cross join lateral (
                    select e.id from webhook_events e
                    where e.provider = told.provider and e.customer_id = told.customer_id and e.state = 'ignored'
                        and e.account is null and e.body_pruned_at is not null
                    order by e.id desc limit 1
                    for update skip locked
                ) last
            )
        )
        insert into provider_customers (provider, customer_id, account, stated_at, created_at)
        select provider, customer_id, account, stated_at, $5 from told order by provider, customer_id
        "#,
        &providers as _,
        &customers as _,
        &accounts as _,
        &stated as _,
        now
    );
    query.execute(conn).await?;
    Ok(())
}
