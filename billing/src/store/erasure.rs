//! Everything that is personal of an account goes; rows that stay name no person.
//!
//! Sums stay for the books, and consents as evidence, both under a pseudonym. Hashes of the names stay, so that nothing that a provider
//! tells later brings the account back.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::{StoreError, account_of, moves, renaming};

/// Why an event of something that was erased is ignored.
pub const ERASED: &str = "erased: the account that it is about was erased, and nothing of it is kept";

/// Numbers of what went, and of what stays under the pseudonym.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasure {
    pub pseudonym: String,
    pub customers: i64,
    pub subscriptions: i64,
    pub credits: i64,
    pub events: i64,
    pub changes: i64,
    /// These stay.
    pub kept_invoices: i64,
    pub kept_payments: i64,
    pub kept_consents: i64,
}

/// A running subscription of an account: its provider, and its id there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    pub provider: String,
    pub subscription_id: String,
    pub state: String,
}

/// Whether an account was erased, and has not come back.
///
/// # Errors
/// When the database fails.
pub async fn is_erased(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select exists (select from erased where hash = erasure_hash('account', $1)) as "is!""#,
        account.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// The pseudonym of an account: the same each time, and nothing that can be made without the key.
///
/// # Errors
/// When the database fails.
pub async fn pseudonym(conn: &mut PgConnection, account: &AccountId) -> Result<AccountId, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select 'erased:' || encode(substr(erasure_hash('account', $1), 1, 16), 'hex') as "name!""#,
        account.as_str()
    );
    account_of("erased", &query.fetch_one(conn).await?)
}

/// Whether it has the form of a pseudonym: no site's account is called so.
#[must_use]
pub fn is_pseudonym(account: &AccountId) -> bool {
    let digits = account.as_str().strip_prefix("erased:");
    digits.is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Subscriptions of accounts that may still be charged for, as far as their provider has them.
///
/// # Errors
/// When the database fails.
pub async fn running(conn: &mut PgConnection, names: &[String]) -> Result<Vec<Running>, StoreError> {
    let query = sqlx::query_as!(
        Running,
        r#"
        select s.provider, s.subscription_id, s.state from subscriptions s
        join provider_customers c on c.provider = s.provider and c.customer_id = s.customer_id
        where s.account = any($1) and s.state not in ('ended', 'lapsed', 'written_off') and s.unseen_since is null
            and c.gone_at is null and not (s.livemode is false and s.provider in (select provider from live_modes))
        order by s.provider, s.subscription_id
        "#,
        names
    );
    Ok(query.fetch_all(conn).await?)
}

/// Erases an account with all of its names, the first of which is its id. The caller holds events. The rows of the names go when the
/// cache has been told.
///
/// # Errors
/// When the database fails.
pub async fn erase(
    conn: &mut PgConnection,
    names: &[String],
    pseudonym: &AccountId,
    by: &str,
    now: Timestamp,
) -> Result<Erasure, StoreError> {
    let mut erasure = Erasure { pseudonym: pseudonym.to_string(), ..Erasure::default() };
    note_names(conn, names, now).await?;
    renaming::in_lines_of_others(conn, names, pseudonym).await?;
    erasure.events = erase_events(conn, names, now).await?;
    (erasure.kept_invoices, erasure.kept_payments) = keep_sums(conn, names, pseudonym).await?;
    keep_row(conn, pseudonym, by, now).await?;
    for name in names {
        let name = account_of("accounts", name)?;
        erasure.kept_consents += moves::move_evidence(conn, &name, pseudonym, Some(now)).await?;
        erase_invitations(conn, &name, pseudonym).await?;
    }
    erase_rows(conn, names, &mut erasure).await?;
    Ok(erasure)
}

/// Gives each name its last version, which the cache is told, and keeps the hashes of all that providers may name.
async fn note_names(conn: &mut PgConnection, names: &[String], now: Timestamp) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        with locked as (
            select account from accounts where account = any($1) order by account for no key update
        ), last as (
            update accounts
            set version = version + 1, database = (select id from database_identity), blocked_at = null, erased_at = $2
            where account in (select account from locked)
            returning account, version
        ), told as (
            insert into outbox (account, version, committed_at, next_attempt_at)
            select account, version, $2, $2 from last order by account
            on conflict (account) do update
            set version = excluded.version, attempts = 0, next_attempt_at = excluded.next_attempt_at
        ), owned as (
            select provider, customer_id from provider_customers where account = any($1)
        ), bought as (
            select provider, subscription_id from subscriptions where account = any($1)
            union
            select provider, subscription_id from subscription_claims where account = any($1)
        )
        insert into erased (hash, version, erased_at)
        select erasure_hash('account', name), (select version from last where account = name), $2 from unnest($1::text[]) name
        union all
        select erasure_hash('customer', provider || ':' || customer_id), null, $2 from owned o
        where not exists (
            select from subscriptions s
            where s.provider = o.provider and s.customer_id = o.customer_id and s.account <> all($1)
        )
        union all
        select erasure_hash('subscription', provider || ':' || subscription_id), null, $2 from bought
        on conflict (hash) do update set version = excluded.version, erased_at = excluded.erased_at
        "#,
        names,
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// Empties the events of the account and of its customers, and takes every name out of them. One that is being applied right now is left
/// alone: it waits for this transaction, and then finds its names erased.
async fn erase_events(conn: &mut PgConnection, names: &[String], now: Timestamp) -> Result<i64, StoreError> {
    let query = sqlx::query!(
        r#"
        update webhook_events w
        set state = case when w.state = 'applied' then 'applied' else 'ignored' end, reason = $2, account = null, customer_id = null,
            next_attempt_at = null, finished_at = coalesce(w.finished_at, $3), body = '',
            body_pruned_at = coalesce(w.body_pruned_at, $3)
        where w.id in (
            select id from webhook_events e where e.id in (
                select id from webhook_events where account = any($1)
                union
                select o.id from provider_customers c
                join webhook_events o on o.provider = c.provider and o.customer_id = c.customer_id and o.account is null
                where c.account = any($1)
            )
            for update skip locked
        )
        "#,
        names,
        ERASED,
        now
    );
    Ok(i64::try_from(query.execute(conn).await?.rows_affected()).unwrap_or(i64::MAX))
}

/// Puts the pseudonym into the place of the customer and of the subscription, where money came in. Returns the numbers of invoices and
/// of payments.
async fn keep_sums(conn: &mut PgConnection, names: &[String], pseudonym: &AccountId) -> Result<(i64, i64), StoreError> {
    let query = sqlx::query!(
        r#"
        with billed as (
            select i.provider, i.invoice_id from subscriptions s
            join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
            where s.account = any($1)
            union
            select i.provider, i.invoice_id from provider_customers c
            join invoices i on i.provider = c.provider and i.customer_id = c.customer_id
            where c.account = any($1) and not exists (
                select from subscriptions s
                where s.provider = i.provider and s.subscription_id = i.subscription_id and s.account <> all($1)
            )
        ), paid as (
            select p.provider, p.payment_id from billed b
            join payments p on p.provider = b.provider and p.invoice_id = b.invoice_id
            union
            select p.provider, p.payment_id from provider_customers c
            join payments p on p.provider = c.provider and p.customer_id = c.customer_id
            -- But for what pays another account's bill, as far as the bill is known.
            where c.account = any($1) and not exists (
                select from invoices i where i.provider = p.provider and i.invoice_id = p.invoice_id
                    and not exists (select from billed b where b.provider = i.provider and b.invoice_id = i.invoice_id)
            )
        ), own_invoices as (
            update invoices i set customer_id = $2, subscription_id = $2 from billed b
            where i.provider = b.provider and i.invoice_id = b.invoice_id returning 1
        ), own_payments as (
            update payments p set customer_id = $2 from paid
            where p.provider = paid.provider and p.payment_id = paid.payment_id returning 1
        )
        select (select count(*) from own_invoices) as "invoices!", (select count(*) from own_payments) as "payments!"
        "#,
        names,
        pseudonym.as_str()
    );
    let kept = query.fetch_one(conn).await?;
    Ok((kept.invoices, kept.payments))
}

/// A row for the pseudonym, and a line that says what it is.
async fn keep_row(conn: &mut PgConnection, pseudonym: &AccountId, by: &str, now: Timestamp) -> Result<(), StoreError> {
    super::accounts::ensure(conn, pseudonym, now).await?;
    let query = sqlx::query!(
        r#"
        insert into audit_log (at, account, version, cause, detail)
        select $2, account, version, $3, 'an account was erased: this is its pseudonym' from accounts where account = $1
        "#,
        pseudonym.as_str(),
        now,
        by
    );
    query.execute(conn).await?;
    Ok(())
}

/// Invitations count for the other side, which keeps what it got: under the pseudonym, as far as it is free.
async fn erase_invitations(conn: &mut PgConnection, name: &AccountId, pseudonym: &AccountId) -> Result<(), StoreError> {
    // The code is no account's from now on: an account that was invited by it brings no reward.
    let query = sqlx::query!("delete from referral_codes where account = $1", name.as_str());
    query.execute(&mut *conn).await?;
    moves::move_invitations(conn, name, pseudonym).await?;
    let query = sqlx::query!(
        r#"
        with left_over as (
            delete from referrals where referee = $1 or referrer = $1
        ), invited as (
            update referrals r set referee_credit = null
            where r.referee = $2 and exists (select from credits c where c.id = r.referee_credit and c.account = $1)
        )
        update referrals r set referrer_credit = null
        where r.referrer = $2 and exists (select from credits c where c.id = r.referrer_credit and c.account = $1)
        "#,
        name.as_str(),
        pseudonym.as_str()
    );
    query.execute(conn).await?;
    Ok(())
}

/// Deletes what is left. A customer that still pays for another account is that one's from now on.
async fn erase_rows(conn: &mut PgConnection, names: &[String], erasure: &mut Erasure) -> Result<(), StoreError> {
    let query = sqlx::query!(
        r#"
        with own_claims as (
            delete from subscription_claims where account = any($1)
        ), own_subscriptions as (
            delete from subscriptions where account = any($1) returning 1
        ), handed_on as (
            update provider_customers c set account = s.account from subscriptions s
            where c.account = any($1) and s.provider = c.provider and s.customer_id = c.customer_id and s.account <> all($1)
        ), own_customers as (
            delete from provider_customers c where c.account = any($1) and not exists (
                select from subscriptions s
                where s.provider = c.provider and s.customer_id = c.customer_id and s.account <> all($1)
            )
            returning 1
        ), own_credits as (
            delete from credits where account = any($1) returning 1
        ), own_trials as (
            delete from trials where account = any($1)
        ), own_checkouts as (
            delete from checkouts where account = any($1)
        ), own_takings as (
            delete from takings where account = any($1)
        ), own_aliases as (
            delete from account_aliases where account = any($1)
        ), own_wishes as (
            -- The id may have a name in it.
            update operator_wishes
            set id = encode(erasure_hash('wish', id), 'hex'), account = null, wish = 'of an account that was erased'
            where account = any($1)
        ), own_changes as (
            delete from audit_log where account = any($1) returning 1
        )
        select
            (select count(*) from own_customers) as "customers!",
            (select count(*) from own_subscriptions) as "subscriptions!",
            (select count(*) from own_credits) as "credits!",
            (select count(*) from own_changes) as "changes!"
        "#,
        names
    );
    let row = query.fetch_one(conn).await?;
    (erasure.customers, erasure.subscriptions) = (row.customers, row.subscriptions);
    (erasure.credits, erasure.changes) = (row.credits, row.changes);
    Ok(())
}
