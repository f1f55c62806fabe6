//! From which accounts access was taken within a day, and from which it would be, were it not held back.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use serde::Serialize;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// How long a taking counts.
const COUNTED: Duration = Duration::hours(24);

/// How long it is kept for those who ask later.
const KEPT: Duration = Duration::days(30);

/// What of a provider takes access, by its kind and id.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    pub provider: Provider,
    pub kind: &'a str,
    pub id: &'a str,
}

/// One that is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The number of its row: the page after it begins there.
    pub id: i64,
    pub what: String,
    pub account: String,
    pub provider: Option<String>,
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
    pub noted_at: Timestamp,
}

/// How many accounts lost access within a day, and how many have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub taken: u64,
    pub holders: u64,
}

/// Counts the accounts that lost access within a day, by whatever, and those that have some.
///
/// # Errors
/// When the database fails.
pub async fn tally(conn: &mut PgConnection, now: Timestamp) -> Result<Tally, StoreError> {
    let query = sqlx::query!(
        r#"
        select
            (select count(distinct account) from takings where taken_at > $1)
                + (select coalesce(sum(taken), 0)::bigint from catalogs where applied_at > $1) as "taken!",
            (select count(*) from (
                select account from subscriptions
                    where state in ('trialing', 'active', 'past_due')
                        and not (livemode is false and provider in (select provider from live_modes))
                union
                select account from credits
                    where revoked_at is null and starts_at <= $2 and (ends_at is null or ends_at > $2)
            ) holders) as "holders!"
        "#,
        now - COUNTED,
        now
    );
    let row = query.fetch_one(conn).await?;
    Ok(Tally { taken: count_of(row.taken), holders: count_of(row.holders) })
}

/// Counts the accounts that have access and whose ids begin with one of `gone`, and with no longer one of `kept` that begins so as well.
///
/// # Errors
/// When the database fails.
pub async fn holders_named(
    conn: &mut PgConnection,
    (gone, kept): (&[&str], &[&str]),
    now: Timestamp,
) -> Result<u64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(*) as "holders!" from (
            select account from subscriptions
                where state in ('trialing', 'active', 'past_due')
                    and not (livemode is false and provider in (select provider from live_modes))
            union
            select account from credits
                where revoked_at is null and starts_at <= $3 and (ends_at is null or ends_at > $3)
        ) holders
        where exists (select from unnest($1::text[]) gone where starts_with(account, gone)
            and not exists (select from unnest($2::text[]) kept
                where length(kept) > length(gone) and starts_with(kept, gone) and starts_with(account, kept)))
        "#,
        gone as _,
        kept as _,
        now
    );
    Ok(count_of(query.fetch_one(conn).await?))
}

/// The accounts that [`holders_named`] counts.
///
/// # Errors
/// When the database fails.
pub async fn named(
    conn: &mut PgConnection,
    (gone, kept): (&[&str], &[&str]),
    now: Timestamp,
) -> Result<Vec<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select account as "holders!" from (
            select account from subscriptions
                where state in ('trialing', 'active', 'past_due')
                    and not (livemode is false and provider in (select provider from live_modes))
            union
            select account from credits
                where revoked_at is null and starts_at <= $3 and (ends_at is null or ends_at > $3)
        ) holders
        where exists (select from unnest($1::text[]) gone where starts_with(account, gone)
            and not exists (select from unnest($2::text[]) kept
                where length(kept) > length(gone) and starts_with(kept, gone) and starts_with(account, kept)))
        "#,
        gone as _,
        kept as _,
        now
    );
    let accounts = query.fetch_all(conn).await?;
    let accounts = accounts.iter().map(|account| account_of("subscriptions", account));
    accounts.collect()
}

/// Notes that accounts lost access. What is older than anybody asks for goes.
///
/// # Errors
/// When an account has no row, or the database fails.
pub async fn taken(
    conn: &mut PgConnection,
    what: &str,
    accounts: &[AccountId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let accounts: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let query = sqlx::query!(
        r#"
        with old as (delete from takings where taken_at < $4)
        insert into takings (what, account, noted_at, taken_at) select $1, account, $3, $3 from unnest($2::text[]) account
        "#,
        what,
        &accounts as _,
        now,
        now - KEPT
    );
    query.execute(conn).await?;
    Ok(())
}

/// Notes that accounts would lose access.
///
/// # Errors
/// When an account has no row, or the database fails.
pub async fn hold(
    conn: &mut PgConnection,
    what: &str,
    by: Taker<'_>,
    accounts: &[AccountId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let accounts: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let query = sqlx::query!(
        r#"
        insert into takings (what, account, provider, object_kind, object_id, noted_at)
        select $1, account, $3, $4, $5, $6 from unnest($2::text[]) account
        on conflict (what, provider, object_kind, object_id, account) where taken_at is null do nothing
        "#,
        what,
        &accounts as _,
        by.provider.as_str(),
        by.kind,
        by.id,
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Forgets that one thing was held back.
///
/// # Errors
/// When the database fails.
pub async fn settle(conn: &mut PgConnection, what: &str, by: Taker<'_>) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        delete from takings
        where what = $1 and provider = $2 and object_kind = $3 and object_id = $4 and taken_at is null
        "#,
        what,
        by.provider.as_str(),
        by.kind,
        by.id
    );
    query.execute(conn).await?;
    Ok(())
}

/// How many accounts would lose access by what is held back of some providers: each counts once, and none that has lost it since.
///
/// # Errors
/// When the database fails.
pub async fn held_accounts(
    conn: &mut PgConnection,
    what: &str,
    providers: &[Provider],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let providers: Vec<&str> = providers.iter().map(|provider| provider.as_str()).collect();
    let query = sqlx::query_scalar!(
        r#"
        select count(distinct t.account) as "holders!" from takings t
        where t.what = $1 and t.provider = any($2::text[]) and t.taken_at is null and (
            exists (select from subscriptions s
                where s.account = t.account and s.state not in ('ended', 'incomplete', 'lapsed', 'written_off'))
            or exists (select from credits c
                where c.account = t.account and c.revoked_at is null and c.starts_at <= $3
                    and (c.ends_at is null or c.ends_at > $3))
        )
        "#,
        what,
        &providers as _,
        now
    );
    Ok(count_of(query.fetch_one(conn).await?))
}

/// What is held back, the oldest first, after a row: of one thing that takes and one provider, or of all.
///
/// # Errors
/// When the database fails.
pub async fn held(
    conn: &mut PgConnection,
    of: Option<(&str, Provider)>,
    after: i64,
    limit: i64,
) -> Result<Vec<Held>, StoreError> {
    let query = sqlx::query_as!(
        Held,
        r#"
        select id, what, account, provider, object_kind, object_id, noted_at from takings
        where taken_at is null and id > $1 and ($2::text is null or what = $2) and ($3::text is null or provider = $3)
        order by id limit $4
        "#,
        after,
        of.map(|(what, _)| what),
        of.map(|(_, provider)| provider.as_str()),
        limit
    );
    Ok(query.fetch_all(conn).await?)
}

/// Changes that are held back as they would take access from an account, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn held_from(conn: &mut PgConnection, account: &AccountId) -> Result<Vec<Held>, StoreError> {
    let query = sqlx::query_as!(
        Held,
        r#"
        select id, what, account, provider, object_kind, object_id, noted_at from takings
        where taken_at is null and account = $1 order by id
        "#,
        account.as_str()
    );
    Ok(query.fetch_all(conn).await?)
}

fn count_of(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
