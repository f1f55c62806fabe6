//! Everything that an entitlement is computed from, as it stood at one moment.

use std::collections::BTreeMap;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::payment::Invoice;
use entitlement::record::DatabaseId;
use entitlement::subscription::{State, Subscription, SubscriptionId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::credits::Credit;
use super::identity::id_of;
use super::money::{DisputeRow, InvoiceRow, Money, PaymentRow, RefundRow};
use super::subscriptions::Row;
use super::{StoreError, version_of};

/// The rows of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The database that says so.
    pub database: DatabaseId,
    /// Whether something was learnt of the account since the database has that id.
    pub is_new: bool,
    /// 0 when the account has no row; of one that was erased the last.
    pub version: u64,
    /// Since when a person has blocked the account.
    pub blocked_at: Option<Timestamp>,
    /// The current catalog.
    pub catalog: Option<i64>,
    /// Those of test mode are left out where live ones alone count.
    pub subscriptions: Vec<Subscription>,
    /// Those of test mode, where live ones alone count: they give nothing.
    pub of_test_mode: Vec<Subscription>,
    /// Of those that the provider no longer shows: since when. It changes nothing.
    pub unseen: BTreeMap<SubscriptionId, Timestamp>,
    /// Of those that give nothing although they still stand: since when.
    pub suspended: BTreeMap<SubscriptionId, Timestamp>,
    pub credits: Vec<Credit>,
    /// The payments for them of which something went back, or is about to.
    pub returned: Vec<Money>,
    /// The newest bills for those of which a payment is missing, was given up or went back.
    pub bills: Vec<Bill>,
    /// The customers that the provider no longer has.
    pub gone: Vec<Gone>,
}

/// A bill for a subscription of which a payment is missing, was given up or went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub provider: String,
    pub invoice: Invoice,
}

/// The columns of a bill, beside those of its invoice.
#[derive(Deserialize)]
struct BillRow {
    provider: String,
    #[serde(flatten)]
    invoice: InvoiceRow,
}

/// A customer that the provider no longer has, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Gone {
    pub provider: String,
    pub customer_id: String,
    pub gone_at: Timestamp,
}

/// A payment with what belongs to it, as the statement below puts it together.
#[derive(Deserialize)]
struct MoneyRow {
    provider: String,
    payment: PaymentRow,
    invoice: Option<InvoiceRow>,
    refunds: Vec<RefundRow>,
    disputes: Vec<DisputeRow>,
}

impl TryFrom<MoneyRow> for Money {
    type Error = StoreError;

    fn try_from(row: MoneyRow) -> Result<Self, StoreError> {
        Ok(Self {
            provider: row.provider,
            payment: row.payment.into(),
            invoice: row.invoice.map(Into::into),
            refunds: row.refunds.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            disputes: row.disputes.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl Snapshot {
    /// The same rows, with the subscriptions of customers that are gone shown as what they are: over.
    #[must_use]
    pub fn with_gone_customers(mut self) -> Self {
        for subscription in self.subscriptions.iter_mut().filter(|subscription| !subscription.is_ended()) {
            let is_owner = |gone: &&Gone| {
                gone.provider == subscription.id.provider.as_str() && gone.customer_id == subscription.customer
            };
            if let Some(gone) = self.gone.iter().find(is_owner) {
                subscription.state = State::Ended { at: gone.gone_at };
            }
        }
        self
    }
}

/// Reads the rows of accounts, in their order. One statement is one snapshot: each version belongs to these very rows.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn read(conn: &mut PgConnection, accounts: &[AccountId]) -> Result<Vec<Snapshot>, StoreError> {
    let wanted: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let query = sqlx::query_as!(
        Rows,
        r#"
        select
            (select id from database_identity) as "database!",
            (select a.database is not distinct from (select id from database_identity) from accounts a
                where a.account = wanted.account) as is_new,
            coalesce((select version from accounts a where a.account = wanted.account),
                (select version from erased e where e.hash = erasure_hash('account', wanted.account))) as version,
            (select blocked_at from accounts a where a.account = wanted.account) as blocked_at,
            (select max(id) from catalogs) as catalog,
            (select coalesce(array_agg(provider), '{}') from live_modes) as "live!",
            (select coalesce(jsonb_agg(to_jsonb(s) order by s.provider, s.subscription_id), '[]')
                from subscriptions s where s.account = wanted.account)
                as "subscriptions!: Json<Vec<serde_json::Value>>",
            (select coalesce(jsonb_agg(to_jsonb(c) order by c.id), '[]')
                from credits c where c.account = wanted.account) as "credits!: Json<Vec<serde_json::Value>>",
            (select coalesce(jsonb_agg(to_jsonb(m) order by m.provider, m.payment_id), '[]') from (
                select p.provider, p.payment_id, to_jsonb(p) as payment,
                    (select to_jsonb(i) from invoices i
                        where i.provider = p.provider and i.invoice_id = p.invoice_id) as invoice,
                    (select coalesce(jsonb_agg(to_jsonb(r) order by r.refund_id), '[]') from refunds r
                        where r.provider = p.provider and r.payment_id = p.payment_id) as refunds,
                    (select coalesce(jsonb_agg(to_jsonb(d) order by d.dispute_id), '[]') from disputes d
                        where d.provider = p.provider and d.payment_id = p.payment_id) as disputes
                from (
                    select p.* from subscriptions s
                    join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
                    join payments p on p.provider = i.provider and p.invoice_id = i.invoice_id
                    where s.account = wanted.account
                    union
                    select p.* from provider_customers c
                    join payments p on p.provider = c.provider and p.customer_id = c.customer_id
                    where c.account = wanted.account
                ) p
                where p.refunded > 0
                    or (select r.refund_id from refunds r
                        where r.provider = p.provider and r.payment_id = p.payment_id limit 1) is not null
                    or (select d.dispute_id from disputes d
                        where d.provider = p.provider and d.payment_id = p.payment_id limit 1) is not null
            ) m) as "returned!: Json<Vec<serde_json::Value>>",
            (select coalesce(jsonb_agg(to_jsonb(i) order by i.provider, i.invoice_id), '[]') from subscriptions s
                cross join lateral (
                    select i.* from invoices i where i.provider = s.provider and i.subscription_id = s.subscription_id
                    order by i.covers_from desc, i.invoice_id limit 24
                ) i
                where s.account = wanted.account and (s.state = 'past_due' or (
                    select w.invoice_id from invoices w where w.provider = s.provider
                        and w.subscription_id = s.subscription_id and w.written_off_at is not null limit 1
                ) is not null or (
                    select p.payment_id from invoices j
                    join payments p on p.provider = j.provider and p.invoice_id = j.invoice_id
                    where j.provider = s.provider and j.subscription_id = s.subscription_id and (
                        p.refunded > 0
                        or (select r.refund_id from refunds r
                            where r.provider = p.provider and r.payment_id = p.payment_id limit 1) is not null
                        or (select d.dispute_id from disputes d
                            where d.provider = p.provider and d.payment_id = p.payment_id limit 1) is not null
                    ) limit 1) is not null)) as "bills!: Json<Vec<serde_json::Value>>",
            (select coalesce(jsonb_agg(to_jsonb(c) order by c.provider, c.customer_id), '[]')
                from provider_customers c
                where c.account = wanted.account and c.gone_at is not null) as "gone!: Json<Vec<serde_json::Value>>"
        from unnest($1::text[]) with ordinality wanted (account, place) order by wanted.place
        "#,
        &wanted as _
    );
    accounts.iter().zip(query.fetch_all(conn).await?).map(|(account, rows)| rows.read(account)).collect()
}

/// What the statement says of one account.
struct Rows {
    database: Uuid,
    is_new: Option<bool>,
    version: Option<i64>,
    blocked_at: Option<Timestamp>,
    catalog: Option<i64>,
    /// The providers of which live subscriptions alone count.
    live: Vec<String>,
    subscriptions: Json<Vec<serde_json::Value>>,
    credits: Json<Vec<serde_json::Value>>,
    returned: Json<Vec<serde_json::Value>>,
    bills: Json<Vec<serde_json::Value>>,
    gone: Json<Vec<serde_json::Value>>,
}

impl Rows {
    fn read(self, account: &AccountId) -> Result<Snapshot, StoreError> {
        let subscriptions = rows_of::<Row>("subscriptions", account, self.subscriptions.0)?;
        let counts = |row: &Row| !(row.is_of_test_mode() && self.live.iter().any(|live| row.is_of(live)));
        let (subscriptions, tests): (Vec<Row>, Vec<Row>) = subscriptions.into_iter().partition(counts);
        let read = |rows: Vec<Row>| rows.into_iter().map(Subscription::try_from).collect::<Result<_, _>>();
        let returned = rows_of::<MoneyRow>("payments", account, self.returned.0)?;
        let bills = rows_of::<BillRow>("invoices", account, self.bills.0)?;
        let bill = |BillRow { provider, invoice }| Bill { provider, invoice: invoice.into() };
        Ok(Snapshot {
            database: id_of(self.database),
            is_new: self.is_new.unwrap_or(false),
            suspended: subscriptions.iter().filter_map(Row::suspended).collect(),
            unseen: subscriptions.iter().chain(&tests).filter_map(Row::unseen).collect(),
            version: self.version.map_or(Ok(0), |version| version_of("accounts", account, version))?,
            blocked_at: self.blocked_at,
            catalog: self.catalog,
            subscriptions: read(subscriptions)?,
            of_test_mode: read(tests)?,
            credits: rows_of("credits", account, self.credits.0)?,
            returned: returned.into_iter().map(Money::try_from).collect::<Result<_, _>>()?,
            bills: bills.into_iter().map(bill).collect(),
            gone: rows_of("provider_customers", account, self.gone.0)?,
        })
    }
}

/// Reads the rows of one account: [`read`] of one.
///
/// # Errors
/// When a row cannot be read, or the database fails.
pub async fn read_one(conn: &mut PgConnection, account: &AccountId) -> Result<Snapshot, StoreError> {
    let snapshot = read(conn, std::slice::from_ref(account)).await?.pop();
    snapshot.ok_or_else(|| StoreError::missing("accounts", account))
}

fn rows_of<T: DeserializeOwned>(
    table: &'static str,
    account: &AccountId,
    rows: Vec<serde_json::Value>,
) -> Result<Vec<T>, StoreError> {
    let read =
        |row| serde_json::from_value(row).map_err(|e| StoreError::row(table, format!("of account {account}"), &e));
    rows.into_iter().map(read).collect()
}
