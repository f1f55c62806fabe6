//! Finds accounts by what an operator has at hand, and what there is of one at a glance.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::{StoreError, schema};

/// An account that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub account: String,
    /// The kind of name that is the text, or has it: `account`, `alias`, `customer`, `subscription`, `invoice`, `payment`, `event`, `code`.
    pub by: String,
    /// The text as it stands there.
    pub found: String,
}

/// Accounts whose id contains the text, and those of which something is called exactly so.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection, text: &str, limit: i64) -> Result<Vec<Found>, StoreError> {
    let mut tx = schema::planned_each(conn).await?;
    let query = sqlx::query_as!(
        Found,
        r#"
        select account as "account!", by as "by!", found as "found!" from (
            select 0 as place, account, 'account' as by, account as found from accounts where account = $1 and erased_at is null
            union all
            select 1, account, 'alias', alias from account_aliases where alias = $1
            union all
            select 1, account, 'customer', provider || ':' || customer_id from provider_customers
                where customer_id = $1 or provider || ':' || customer_id = $1
            union all
            select 1, account, 'subscription', provider || ':' || subscription_id from subscriptions where subscription_id = $1
            union all
            select 1, c.account, 'invoice', i.provider || ':' || i.invoice_id from invoices i
                join provider_customers c on c.provider = i.provider and c.customer_id = i.customer_id where i.invoice_id = $1
            union all
            select 1, c.account, 'payment', p.provider || ':' || p.payment_id from payments p
                join provider_customers c on c.provider = p.provider and c.customer_id = p.customer_id where p.payment_id = $1
            union all
            select 1, account, 'event', provider || ':' || event_id from webhook_events where event_id = $1 and account is not null
            union all
            select 1, account, 'code', code from referral_codes where code = lower($1)
            union all
            select 2, account, 'account', account from (
                select account from accounts where ($1::text is null or position($1 in account) > 0) and account <> $1 and erased_at is null
                order by account limit $2
            ) alike
        ) found
        order by place, account, by limit $2
        "#,
        text,
        limit
    );
    Ok(query.fetch_all(&mut *tx).await?)
}

/// Numbers and marks of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Glance {
    pub created_at: Timestamp,
    pub aliases: Vec<String>,
    pub referral_code: Option<String>,
    pub invited_by: Option<String>,
    pub invited: i64,
    pub consents: i64,
    pub events: i64,
    pub trial_used_at: Option<Timestamp>,
    /// Since when the provider has said that the last checkout is open.
    pub open_checkout: Option<Timestamp>,
}

/// An account at a glance; nothing when it is not known.
///
/// # Errors
/// When the database fails.
pub async fn glance(conn: &mut PgConnection, account: &AccountId) -> Result<Option<Glance>, StoreError> {
    let query = sqlx::query_as!(
        Glance,
        r#"
        select created_at,
            (select coalesce(array_agg(alias order by alias), '{}') from account_aliases x where x.account = a.account) as "aliases!",
            (select code from referral_codes x where x.account = a.account) as referral_code,
            (select referrer from referrals x where x.referee = a.account) as invited_by,
            (select count(*) from referrals x where x.referrer = a.account) as "invited!",
            (select count(*) from consents x where x.account = a.account) as "consents!",
            (select count(*) from webhook_events x where x.account = a.account) as "events!",
            (select started_at from trials x where x.account = a.account) as trial_used_at,
            (select seen_at from checkouts x where x.account = a.account) as open_checkout
        from accounts a where a.account = $1 and a.erased_at is null
        "#,
        account.as_str()
    );
    Ok(query.fetch_optional(conn).await?)
}
