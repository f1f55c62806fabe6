//! What the stored subscriptions say of the key of their provider, and the events that wait for another key.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::binding::Stored;
use entitlement::catalog::Provider;
use entitlement::subscription::SubscriptionId;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// The most events that are counted as waiting.
const WAITING_MAX: i64 = 10_000;

/// What is stored of a provider, as far as it binds a key of the given mode and account.
///
/// A subscription of unknown mode binds no key until its provider has answered for it.
///
/// # Errors
/// When the database fails.
pub async fn stored(
    conn: &mut PgConnection,
    provider: Provider,
    account_of_key: Option<&str>,
) -> Result<Stored, StoreError> {
    // Where a provider has no modes, an answer is what makes a subscription its account's.
    let query = sqlx::query!(
        r#"
        with live as (
            select exists (select from live_modes where provider = $1)
                or exists (select from subscriptions where provider = $1 and livemode) as live
        )
        select live as "live!",
            exists (select from subscriptions where provider = $1 and livemode = false and state <> 'ended') as "test!",
            case
                when $1 = 'polar' then exists (
                    select from subscriptions where provider = $1 and observation > 0 and state <> 'ended' and state not in ('lapsed', 'written_off')
                )
                else exists (select from subscriptions
                    where provider = $1 and livemode = live and state <> 'ended' and state not in ('lapsed', 'written_off'))
            end as "runs!",
            (select min(provider_account) from subscriptions
                where provider = $1 and livemode = live and state <> 'ended') as account,
            exists (select from subscriptions
                where provider = $1 and livemode = live and provider_account = $2 and state <> 'ended') as "has!"
        from live
        "#,
        provider.as_str(),
        account_of_key
    );
    let row = query.fetch_one(conn).await?;
    let (live, test, runs, account, has_account_of_key) = (row.live, row.test, row.runs, row.account, row.has);
    Ok(Stored { live, test, runs, account, has_account_of_key })
}

/// Some subscriptions that run and bind a key, those that the provider showed last before the others.
///
/// # Errors
/// When the database fails.
pub async fn running(
    conn: &mut PgConnection,
    provider: Provider,
    is_live: bool,
    limit: i64,
) -> Result<Vec<SubscriptionId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select subscription_id from subscriptions
        where provider = $1 and (livemode = $2 or ($1 = 'polar' and observation > 0))
            and state <> 'ended' and state not in ('lapsed', 'written_off')
        order by observation desc limit $3
        "#,
        provider.as_str(),
        is_live,
        limit
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(|id| SubscriptionId { provider, id }).collect())
}

/// Whether one live subscription of the provider is stored, or a person has said that live ones count.
///
/// # Errors
/// When the database fails.
pub async fn is_live_stored(conn: &mut PgConnection, provider: Provider) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (select from live_modes where provider = $1)
            or exists (select from subscriptions where provider = $1 and livemode) as "live!"
        "#,
        provider.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// Notes that live subscriptions alone count from now on. Returns whether that is news.
///
/// # Errors
/// When the database fails.
pub async fn live_counts(conn: &mut PgConnection, provider: Provider, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "insert into live_modes (provider, since) values ($1, $2) on conflict (provider) do nothing",
        provider.as_str(),
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// Whether live subscriptions alone count.
///
/// # Errors
/// When the database fails.
pub async fn do_live_count(conn: &mut PgConnection, provider: Provider) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select exists (select from live_modes where provider = $1) as "live!""#,
        provider.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// The accounts with subscriptions of test mode that are not over, and how many such subscriptions there are.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn of_test_mode(conn: &mut PgConnection, provider: Provider) -> Result<(Vec<AccountId>, i64), StoreError> {
    let query = sqlx::query!(
        r#"
        select account, count(*) as "subscriptions!" from subscriptions
        where provider = $1 and livemode = false and state not in ('ended', 'incomplete', 'lapsed', 'written_off')
        group by account order by account
        "#,
        provider.as_str()
    );
    let rows = query.fetch_all(conn).await?;
    let subscriptions = rows.iter().map(|row| row.subscriptions).sum();
    let accounts = rows.iter().map(|row| account_of("subscriptions", &row.account)).collect::<Result<_, _>>()?;
    Ok((accounts, subscriptions))
}

/// How many accounts have subscriptions of test mode that are not over.
///
/// # Errors
/// When the database fails.
pub async fn accounts_of_test_mode(conn: &mut PgConnection, provider: Provider) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(distinct account) as "accounts!" from subscriptions
        where provider = $1 and livemode = false and state not in ('ended', 'incomplete', 'lapsed', 'written_off')
        "#,
        provider.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// Notes that an event, which has been parked, waits for another key of its provider.
///
/// # Errors
/// When the database fails.
pub async fn wait(conn: &mut PgConnection, event: i64, provider: Provider) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into events_for_key (event, provider, mode)
        select id, $2, case when livemode then 'live' when not livemode then 'test' else 'unknown' end
        from webhook_events where id = $1
        on conflict (event) do nothing
        "#,
        event,
        provider.as_str()
    );
    query.execute(conn).await?;
    Ok(())
}

/// How many parked events wait for another key of a provider, up to a bound.
///
/// # Errors
/// When the database fails.
pub async fn waiting(conn: &mut PgConnection, provider: Provider) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(*) as "waiting!" from (
            select from events_for_key k
            join webhook_events w on w.id = k.event and w.state = 'parked'
            where k.provider = $1 limit $2
        ) waiting
        "#,
        provider.as_str(),
        WAITING_MAX
    );
    Ok(query.fetch_one(conn).await?)
}

/// Makes events that wait for a key due, the oldest first, as far as they are of the key's mode; each is noted anew if it
/// still has to wait. Returns how many left the list.
///
/// # Errors
/// When the database fails.
pub async fn wake(
    conn: &mut PgConnection,
    provider: Provider,
    livemode: Option<bool>,
    limit: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let modes: &[&str] = match livemode {
        Some(true) => &["live", "unknown"],
        Some(false) => &["test", "unknown"],
        None => &["live", "test", "unknown"],
    };
    let query = sqlx::query!(
        r#"
        with chosen as (
            select k.event from events_for_key k
            where k.provider = $1 and k.mode = any($2)
            order by k.event limit $3
            for update of k skip locked
        ), woken as (
            update webhook_events set state = 'pending', next_attempt_at = $4
            where id in (select event from chosen) and state = 'parked'
        )
        delete from events_for_key where event in (select event from chosen)
        "#,
        provider.as_str(),
        modes as &[&str],
        limit,
        now
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// One step of giving subscriptions from before modes were stored the mode of their customer's last event. Returns whether
/// that was the last one.
///
/// # Errors
/// When the database fails.
pub async fn catch_up(conn: &mut PgConnection, limit: i64, now: Timestamp) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with step as (
            select place from catch_ups where name = 'subscription_modes' and done_at is null for update
        ), page as (
            select s.subscription_id, s.account, s.customer_id from subscriptions s, step
            where s.provider = 'stripe' and s.subscription_id > step.place
            order by s.subscription_id limit $1
        ), told as (
            select p.subscription_id, (
                select e.livemode from webhook_events e
                where e.account = p.account and e.provider = 'stripe' and e.customer_id = p.customer_id
                    and e.livemode is not null
                order by e.id desc limit 1
            ) as livemode
            from page p
        ), set as (
            update subscriptions s set livemode = told.livemode from told
            where s.provider = 'stripe' and s.subscription_id = told.subscription_id
                and s.livemode is null and told.livemode is not null
        )
        update catch_ups set
            place = coalesce((select max(subscription_id) from page), place),
            done_at = case when (select count(*) from page) < $1 then $2::timestamptz end
        where name = 'subscription_modes' and done_at is null and exists (select from step)
        returning done_at is not null as "done!"
        "#,
        limit,
        now
    );
    Ok(query.fetch_optional(conn).await?.unwrap_or(true))
}

/// Whether subscriptions from before have their modes.
///
/// # Errors
/// When the database fails.
pub async fn is_caught_up(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(r#"select not exists (select from catch_ups where done_at is null) as "done!""#);
    Ok(query.fetch_one(conn).await?)
}
