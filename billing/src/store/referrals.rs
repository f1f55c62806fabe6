//! Who invites whom, and what came of it.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use super::{StoreError, account_of};

/// The code by which an account invites others, if it has one.
///
/// # Errors
/// When the database fails.
pub async fn code_of(conn: &mut PgConnection, account: &AccountId) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar!("select code from referral_codes where account = $1", account.as_str());
    Ok(query.fetch_optional(conn).await?)
}

/// Stores a code for an account that has none; a code that somebody else has, or a second one for the account, is left
/// out.
///
/// # Errors
/// When the database fails.
pub async fn add_code(
    conn: &mut PgConnection,
    account: &AccountId,
    code: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "insert into referral_codes (code, account, created_at) values ($1, $2, $3) on conflict do nothing",
        code,
        account.as_str(),
        now
    );
    query.execute(conn).await?;
    Ok(())
}

/// The account that has this code; where it was moved, the one that has everything now.
///
/// # Errors
/// When the database fails.
pub async fn owner(conn: &mut PgConnection, code: &str) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select coalesce((select a.account from account_aliases a where a.alias = c.account), c.account) as "account!"
        from referral_codes c where c.code = $1
        "#,
        code
    );
    query.fetch_optional(conn).await?.map(|account| account_of("referral_codes", &account)).transpose()
}

/// By whom an account was invited.
///
/// # Errors
/// When the database fails.
pub async fn referrer_of(conn: &mut PgConnection, referee: &AccountId) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!("select referrer from referrals where referee = $1", referee.as_str());
    query.fetch_optional(conn).await?.map(|account| account_of("referrals", &account)).transpose()
}

/// Whether an account has ever had a subscription that gave something, or a trial: then nobody brings it any more.
///
/// # Errors
/// When the database fails.
pub async fn has_bought(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select (
            exists (select from trials where account = $1)
            or exists (
                select from subscriptions where account = $1 and state <> 'incomplete'
                    and (state <> 'ended' or started_at < ended_at)
            )
        ) as "bought!"
        "#,
        account.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// Writes down who invited an account, once. Answers whether it was written.
///
/// # Errors
/// When the database fails.
pub async fn bind(
    conn: &mut PgConnection,
    referee: &AccountId,
    referrer: &AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = sqlx::query!(
        "insert into referrals (referee, referrer, bound_at) values ($1, $2, $3) on conflict (referee) do nothing",
        referee.as_str(),
        referrer.as_str(),
        now
    );
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// How many an account has brought whose first payment can still be taken back at `now`, and has not been.
///
/// # Errors
/// When the database fails.
pub async fn converted(conn: &mut PgConnection, referrer: &AccountId, now: Timestamp) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from referrals
        where referrer = $1 and window_ends_at > $2 and taken_back_at is null
        "#,
        referrer.as_str(),
        now
    );
    Ok(query.fetch_one(conn).await?)
}

/// A referral that is to be rewarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub referee: AccountId,
    pub referrer: AccountId,
    /// The bills of the referee on which enough money was paid, the first first.
    pub bills: Vec<Bill>,
}

/// A bill that was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub provider: Provider,
    pub invoice: String,
    pub customer: String,
    /// What the subscription that it is for buys.
    pub prices: Vec<String>,
}

/// Bills that are looked at: of nearly everybody the first is for something that is sold here.
const BILLS_MAX: i64 = 20;

/// The referral of an account that has not been rewarded yet, held until the transaction ends, with its bills on which at
/// least `least` minor units were paid.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn due(conn: &mut PgConnection, referee: &AccountId, least: i64) -> Result<Option<Due>, StoreError> {
    let query = sqlx::query_scalar!(
        "select referrer from referrals where referee = $1 and converted_at is null for update",
        referee.as_str()
    );
    let Some(referrer) = query.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let query = sqlx::query!(
        r#"
        select i.provider, i.invoice_id, i.customer_id, s.prices from subscriptions s
        join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
        where s.account = $1 and i.paid >= $3 order by i.covers_from, i.provider, i.invoice_id limit $2
        "#,
        referee.as_str(),
        BILLS_MAX,
        least.max(1)
    );
    let bills = query.fetch_all(conn).await?.into_iter().map(|row| {
        let provider = row.provider.parse().map_err(|e| StoreError::row("invoices", &row.invoice_id, &e))?;
        Ok(Bill { provider, invoice: row.invoice_id, customer: row.customer_id, prices: row.prices })
    });
    let bills = bills.collect::<Result<_, StoreError>>()?;
    Ok(Some(Due { referee: referee.clone(), referrer: account_of("referrals", &referrer)?, bills }))
}

/// Holds a referrer until the transaction ends, so that two who were invited by the same are counted one after the
/// other. `None` when the referrer is gone; else how often it was rewarded.
///
/// # Errors
/// When the database fails.
pub async fn hold_referrer(conn: &mut PgConnection, referrer: &AccountId) -> Result<Option<i64>, StoreError> {
    let query = sqlx::query!("select code from referral_codes where account = $1 for update", referrer.as_str());
    if query.fetch_optional(&mut *conn).await?.is_none() {
        return Ok(None);
    }
    let query = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from referrals
        where referrer = $1 and referrer_credit is not null and taken_back_at is null
        "#,
        referrer.as_str()
    );
    Ok(Some(query.fetch_one(conn).await?))
}

/// Whether a customer of a provider is an account's.
///
/// # Errors
/// When the database fails.
pub async fn is_customer_of(
    conn: &mut PgConnection,
    provider: Provider,
    customer: &str,
    account: &AccountId,
) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from provider_customers where provider = $1 and customer_id = $2 and account = $3
        ) as "is!"
        "#,
        provider.as_str(),
        customer,
        account.as_str()
    );
    Ok(query.fetch_one(conn).await?)
}

/// What both sides got, for how long it can be taken back, and by which bill.
#[derive(Clone, Debug)]
pub struct Conversion<'a> {
    pub referee: &'a AccountId,
    pub bill: Option<&'a Bill>,
    pub referee_credit: Option<i64>,
    pub referrer_credit: Option<i64>,
    pub at: Timestamp,
    pub window_ends_at: Timestamp,
}

/// Writes down that a referral was rewarded.
///
/// # Errors
/// When it has been already, or the database fails.
pub async fn convert(conn: &mut PgConnection, conversion: Conversion<'_>) -> Result<(), StoreError> {
    let Conversion { referee, bill, referee_credit, referrer_credit, at, window_ends_at } = conversion;
    let query = sqlx::query!(
        r#"
        update referrals set converted_at = $2, window_ends_at = $3, provider = $4, invoice_id = $5,
            referee_credit = $6, referrer_credit = $7
        where referee = $1 and converted_at is null
        "#,
        referee.as_str(),
        at,
        window_ends_at,
        bill.map(|bill| bill.provider.as_str()),
        bill.map(|bill| bill.invoice.as_str()),
        referee_credit,
        referrer_credit
    );
    match query.execute(conn).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::missing("referrals", referee)),
    }
}

/// A referral that was rewarded, as far as taking that back goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewarded {
    pub referrer: AccountId,
    pub converted_at: Timestamp,
    pub window_ends_at: Timestamp,
    pub bill: Option<(Provider, String)>,
    /// Those of both sides.
    pub credits: Vec<i64>,
    pub taken_back_at: Option<Timestamp>,
}

/// The reward for bringing an account, held until the transaction ends.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn rewarded(conn: &mut PgConnection, referee: &AccountId) -> Result<Option<Rewarded>, StoreError> {
    let query = sqlx::query!(
        r#"
        select referrer, converted_at as "converted_at!", window_ends_at as "window_ends_at!", provider, invoice_id,
            referee_credit, referrer_credit, taken_back_at
        from referrals where referee = $1 and converted_at is not null for update
        "#,
        referee.as_str()
    );
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let refused = |problem: &dyn std::fmt::Display| StoreError::row("referrals", referee, problem);
    let bill = match (row.provider, row.invoice_id) {
        (Some(provider), Some(invoice)) => Some((provider.parse().map_err(|e| refused(&e))?, invoice)),
        _ => None,
    };
    Ok(Some(Rewarded {
        referrer: account_of("referrals", &row.referrer)?,
        converted_at: row.converted_at,
        window_ends_at: row.window_ends_at,
        bill,
        credits: row.referee_credit.into_iter().chain(row.referrer_credit).collect(),
        taken_back_at: row.taken_back_at,
    }))
}

/// Takes credits of a referral back at `at`, or gives back those that were taken at `before`: what an operator took
/// stays taken. Answers whose they are.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn set_taken_back(
    conn: &mut PgConnection,
    referee: &AccountId,
    rewarded: &Rewarded,
    at: Option<Timestamp>,
) -> Result<Vec<AccountId>, StoreError> {
    let query = sqlx::query!("update referrals set taken_back_at = $2 where referee = $1", referee.as_str(), at);
    query.execute(&mut *conn).await?;
    let query = sqlx::query_scalar!(
        "update credits set revoked_at = $2 where id = any($1) and revoked_at is not distinct from $3 returning account",
        &rewarded.credits,
        at,
        rewarded.taken_back_at
    );
    let accounts = query.fetch_all(conn).await?;
    accounts.iter().map(|account| account_of("credits", account)).collect()
}
