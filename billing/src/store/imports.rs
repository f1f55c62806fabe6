//! Rows that are taken over from a system that sold before: those known of many accounts, and those added to them, in a few statements.

use std::collections::HashMap;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// Why an imported credit was given: it is found by that when a file is imported again.
pub const REASON: &str = "imported";

/// An account before something is added to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether it has a row.
    pub is_known: bool,
    pub code: Option<String>,
    pub has_trial: bool,
    /// The end of its imported credit.
    pub credit_until: Option<Timestamp>,
    /// Whether a person has taken imported credit back.
    pub is_credit_revoked: bool,
    pub referrer: Option<AccountId>,
    /// Whether it has ever had a subscription that gave something, or a trial.
    pub has_bought: bool,
}

/// Lets one import after the other write, until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('tollgate:import', 0))").execute(conn).await?;
    Ok(())
}

/// The known state of these accounts.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn known(conn: &mut PgConnection, accounts: &[&str]) -> Result<HashMap<AccountId, Known>, StoreError> {
    let query = sqlx::query!(
        r#"
        select asked.account as "account!",
            exists (select from accounts a where a.account = asked.account) as "is_known!",
            (select code from referral_codes c where c.account = asked.account) as code,
            exists (select from trials t where t.account = asked.account) as "has_trial!",
            (select max(ends_at) from credits c where c.account = asked.account and c.reason = 'imported') as credit_until,
            exists (
                select from credits c where c.account = asked.account and c.reason = 'imported' and c.revoked_at is not null
            ) as "is_credit_revoked!",
            (select referrer from referrals r where r.referee = asked.account) as referrer,
            exists (
                select from subscriptions s where s.account = asked.account and state <> 'incomplete'
                    and (state <> 'ended' or started_at < ended_at)
            ) as "has_bought!"
        from unnest($1::text[]) asked (account)
        "#,
        accounts as _
    );
    let rows = query.fetch_all(conn).await?.into_iter().map(|row| {
        let referrer = row.referrer.map(|referrer| account_of("referrals", &referrer)).transpose()?;
        let known = Known {
            is_known: row.is_known,
            code: row.code,
            has_trial: row.has_trial,
            credit_until: row.credit_until,
            is_credit_revoked: row.is_credit_revoked,
            referrer,
            has_bought: row.has_bought || row.has_trial,
        };
        Ok((account_of("accounts", &row.account)?, known))
    });
    rows.collect()
}

/// The accounts of these customers, of those that are linked.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn owners(
    conn: &mut PgConnection,
    customers: &[(Provider, &str)],
) -> Result<HashMap<(Provider, String), AccountId>, StoreError> {
    let (providers, ids): (Vec<&str>, Vec<&str>) =
        customers.iter().map(|(provider, id)| (provider.as_str(), *id)).unzip();
    let query = sqlx::query!(
        r#"
        select c.provider, c.customer_id, c.account from unnest($1::text[], $2::text[]) asked (provider, customer_id)
        join provider_customers c on c.provider = asked.provider and c.customer_id = asked.customer_id
        "#,
        &providers as _,
        &ids as _
    );
    let rows = query.fetch_all(conn).await?.into_iter().map(|row| {
        let refused = |e: &dyn std::fmt::Display| StoreError::row("provider_customers", &row.customer_id, e);
        let provider = row.provider.parse().map_err(|e| refused(&e))?;
        Ok(((provider, row.customer_id), account_of("provider_customers", &row.account)?))
    });
    rows.collect()
}

/// The accounts of these codes, of those that are there, by their present ids.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn inviters(conn: &mut PgConnection, codes: &[&str]) -> Result<HashMap<String, AccountId>, StoreError> {
    let query = sqlx::query!(
        r#"
        select c.code, coalesce(a.account, c.account) as "account!" from unnest($1::text[]) asked (code)
        join referral_codes c on c.code = asked.code
        left join account_aliases a on a.alias = c.account
        "#,
        codes as _
    );
    let rows = query.fetch_all(conn).await?.into_iter();
    rows.map(|row| Ok((row.code, account_of("referral_codes", &row.account)?))).collect()
}

/// Makes the rows of accounts that have none.
///
/// # Errors
/// When the database fails.
pub async fn add_accounts(conn: &mut PgConnection, accounts: &[&str], now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        insert into accounts (account, version, created_at)
        select distinct account, 1, $2::timestamptz from unnest($1::text[]) account order by account
        on conflict (account) do nothing
        "#,
        accounts as _,
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Writes down trials of which only the moment is known. Answers how many were not there.
///
/// # Errors
/// When the database fails.
pub async fn add_trials(conn: &mut PgConnection, trials: &[(&str, Timestamp)]) -> Result<u64, StoreError> {
    let (accounts, moments): (Vec<&str>, Vec<Timestamp>) = trials.iter().copied().unzip();
    let query = sqlx::query!(
        r#"
        insert into trials (account, started_at)
        select account, started_at from unnest($1::text[], $2::timestamptz[]) told (account, started_at) order by account
        on conflict (account) do nothing
        "#,
        &accounts as _,
        &moments
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Stores codes of accounts that have none. Answers how many could be.
///
/// # Errors
/// When the database fails.
pub async fn add_codes(conn: &mut PgConnection, codes: &[(&str, &str)], now: Timestamp) -> Result<u64, StoreError> {
    let (accounts, codes): (Vec<&str>, Vec<&str>) = codes.iter().copied().unzip();
    let query = sqlx::query!(
        r#"
        insert into referral_codes (code, account, created_at)
        select code, account, $3 from unnest($1::text[], $2::text[]) told (account, code) order by code
        on conflict do nothing
        "#,
        &accounts as _,
        &codes as _,
        now
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Writes down invitations: pairs of referee and referrer. Answers how many were not there.
///
/// # Errors
/// When the database fails.
pub async fn add_referrals(conn: &mut PgConnection, pairs: &[(&str, &str)], now: Timestamp) -> Result<u64, StoreError> {
    let (referees, referrers): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let query = sqlx::query!(
        r#"
        insert into referrals (referee, referrer, bound_at)
        select referee, referrer, $3 from unnest($1::text[], $2::text[]) told (referee, referrer) order by referee
        on conflict (referee) do nothing
        "#,
        &referees as _,
        &referrers as _,
        now
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Gives credits of one tier, each until a moment; the accounts must have rows, and [`super::accounts::each_changed`] follows.
///
/// # Errors
/// When the database fails.
pub async fn add_credits(
    conn: &mut PgConnection,
    tier: &str,
    credits: &[(&str, Timestamp)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (accounts, ends): (Vec<&str>, Vec<Timestamp>) = credits.iter().copied().unzip();
    let query = sqlx::query!(
        r#"
        insert into credits (account, tier, reason, starts_at, ends_at, created_at)
        select account, $3, $5, $4, ends_at, $4 from unnest($1::text[], $2::timestamptz[]) told (account, ends_at)
        order by account
        "#,
        &accounts as _,
        &ends,
        tier,
        now,
        REASON
    );
    query.execute(conn).await?;
    Ok(())
}
