//! Everything of an account goes to another id.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::{StoreError, accounts};

/// Numbers of what went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub customers: i64,
    pub subscriptions: i64,
    pub credits: i64,
    pub consents: i64,
    pub referrals: i64,
    pub events: i64,
}

/// Whether nothing of any worth is known of an account: it was only seen.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select not (
            exists (select from provider_customers where account = $1)
            or exists (select from subscriptions where account = $1)
            or exists (select from subscription_claims where account = $1)
            or exists (select from credits where account = $1)
            or exists (select from consents where account = $1)
            or exists (select from trials where account = $1)
            or exists (select from addon_orders where account = $1)
            or exists (select from referrals where referee = $1)
            or exists (select from referrals where referrer = $1)
            or exists (select from checkouts where account = $1 and session_id is not null)
        ) as "is!"
        "#,
        account.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// Moves all rows of an account to another one, which gets a row if need be, and leaves the first id as an alias of it. Rows that
/// cannot stand beside the other's stay with the old id: the invitation of an account that was invited, and a second code of its own,
/// which goes on to invite for the new id. The caller holds events, and gives both accounts a new version.
///
/// # Errors
/// When the database fails.
pub async fn move_all(
    conn: &mut PgConnection,
    from: &AccountId,
    to: &AccountId,
    now: Timestamp,
) -> Result<Moved, StoreError> {
    accounts::ensure(conn, to, now).await?;
    let consents = move_evidence(conn, from, to, None).await?;
    let referrals = move_invitations(conn, from, to).await?;
    let query = sqlx::query!(
        r#"
        with moved_customers as (
            update provider_customers set account = $2 where account = $1 returning 1
        ), moved_subscriptions as (
            update subscriptions set account = $2, updated_at = $3 where account = $1 returning 1
        ), moved_claims as (
            update subscription_claims set account = $2 where account = $1
        ), moved_credits as (
            update credits set account = $2 where account = $1 returning 1
        ), moved_events as (
            update webhook_events set account = $2 where account = $1 returning 1
        ), moved_lines as (
            update audit_log set account = $2 where account = $1
        ), moved_trials as (
            update trials set account = $2
            where account = $1 and not exists (select from trials t where t.account = $2)
        ), second_trials as (
            delete from trials where account = $1 and exists (select from trials t where t.account = $2)
        ), taken as (
            update takings set account = $2 where account = $1 and taken_at is not null
        ), held as (
            -- The next comparison finds what it would take from the account that it is now.
            delete from takings where account = $1 and taken_at is null
        ), wishes as (
            update operator_wishes set account = $2 where account = $1
        ), moved_checkouts as (
            update checkouts set provider = null, session_id = null, price_id = null, trial_days = null, url = null, seen_at = null,
                superseded_at = null
            where account = $1
        ), blocked as (
            -- The old id stays blocked, too: its tokens may still be valid.
            update accounts t
            set blocked_at = least(t.blocked_at, f.blocked_at), created_at = least(t.created_at, f.created_at)
            from accounts f where t.account = $2 and f.account = $1
        ), aliases as (
            update account_aliases set account = $2 where account = $1 and alias <> $2
        ), back as (
            delete from account_aliases where alias = $2
        ), alias as (
            insert into account_aliases (alias, account, since) values ($1, $2, $3) on conflict (alias) do nothing
        )
        select
            (select count(*) from moved_customers) as "customers!",
            (select count(*) from moved_subscriptions) as "subscriptions!",
            (select count(*) from moved_credits) as "credits!",
            (select count(*) from moved_events) as "events!"
        "#,
        from.as_str(),
        to.as_str(),
        now
    );
    let row = query.fetch_one(conn).await?;
    let (customers, subscriptions, credits, events) = (row.customers, row.subscriptions, row.credits, row.events);
    Ok(Moved { customers, subscriptions, credits, consents, referrals, events })
}

/// Moves what was agreed to and what was stated. It is told by the number of a checkout of its account: the numbers that come from
/// elsewhere lie below all that are there, and stay in their order. With `erased_at` what was stated goes, and consents are evidence
/// from then on. Returns the number of consents.
///
/// # Errors
/// When the database fails.
pub async fn move_evidence(
    conn: &mut PgConnection,
    from: &AccountId,
    to: &AccountId,
    erased_at: Option<Timestamp>,
) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with there as (
            select attempt from consents where account = $2 union all select attempt from addon_orders where account = $2
        ), own as (
            select attempt from consents where account = $1 union all select attempt from addon_orders where account = $1
        ), below as (
            select least((select min(attempt) from there), 0) - (select max(attempt) from own) - 1 as by
        ), moved_consents as (
            update consents
            set account = $2, attempt = attempt + below.by, erased_at = coalesce(erased_at, $3::timestamptz),
                -- A user who agreed for the account has a pseudonym of the same kind.
                acted_by = case when $3::timestamptz is null or acted_by = '' then acted_by
                    else 'erased:' || encode(substr(erasure_hash('account', acted_by), 1, 16), 'hex') end
            from below where account = $1 returning 1
        ), moved_orders as (
            update addon_orders set account = $2, attempt = attempt + below.by
            from below where account = $1 and $3::timestamptz is null
        ), forgotten as (
            delete from addon_orders where account = $1 and $3::timestamptz is not null
        )
        select count(*) as "count!" from moved_consents
        "#,
        from.as_str(),
        to.as_str(),
        erased_at
    );
    Ok(query.fetch_one(conn).await?)
}

/// Moves the code and the invitations, as far as they can stand beside those of the other account. Returns the number of invitations.
///
/// # Errors
/// When the database fails.
pub async fn move_invitations(conn: &mut PgConnection, from: &AccountId, to: &AccountId) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        with codes as (
            update referral_codes set account = $2
            where account = $1 and not exists (select from referral_codes c where c.account = $2)
        ), invited as (
            update referrals set referee = $2
            where referee = $1 and referrer <> $2 and not exists (select from referrals r where r.referee = $2)
            returning 1
        ), inviting as (
            update referrals set referrer = $2 where referrer = $1 and referee <> $2 returning 1
        )
        select (select count(*) from invited) + (select count(*) from inviting) as "count!"
        "#,
        from.as_str(),
        to.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}
