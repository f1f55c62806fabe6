//! Whose money it is, and what of it went back.

use std::collections::BTreeMap;

use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::payment::{Dispute, Invoice, Line, Part, Payment, Refund};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{InvoiceRow, PaymentRow, RefundRow, dispute_state_name};
use crate::store::{StoreError, account_of};

/// The account that a payment is for: by the subscription that its invoice is for,
/// else by its customer.
///
/// # Errors
/// When the database fails.
pub async fn placed(
    conn: &mut PgConnection,
    provider: Provider,
    payment: &str,
) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select coalesce(
            (select s.account from payments p
                join invoices i on i.provider = p.provider and i.invoice_id = p.invoice_id
                join subscriptions s on s.provider = i.provider and s.subscription_id = i.subscription_id
                where p.provider = $1 and p.payment_id = $2),
            (select c.account from payments p
                join provider_customers c on c.provider = p.provider and c.customer_id = p.customer_id
                where p.provider = $1 and p.payment_id = $2)
        ) as account
        "#,
        provider.as_str(),
        payment
    );
    let account = query.fetch_one(conn).await?;
    account.map(|account| account_of("subscriptions", &account)).transpose()
}

/// The account whose subscription an invoice is for.
///
/// # Errors
/// When the database fails.
pub async fn account_of_invoice(
    conn: &mut PgConnection,
    provider: Provider,
    invoice: &str,
) -> Result<Option<AccountId>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select s.account from invoices i
        join subscriptions s on s.provider = i.provider and s.subscription_id = i.subscription_id
        where i.provider = $1 and i.invoice_id = $2
        "#,
        provider.as_str(),
        invoice
    );
    let account = query.fetch_optional(conn).await?;
    account.map(|account| account_of("subscriptions", &account)).transpose()
}

/// The newest bills for the subscriptions of an account, newest first.
///
/// # Errors
/// When the database fails.
pub async fn invoices_of(conn: &mut PgConnection, account: &AccountId, limit: i64) -> Result<Vec<Invoice>, StoreError> {
    let query = sqlx::query_as!(
        InvoiceRow,
        r#"
        select i.invoice_id, i.subscription_id, i.customer_id, i.renews, i.covers_from, i.paid, i.balance, i.currency,
            i.settled, i.lines as "lines: Json<Vec<Line>>", i.attempts, i.failed_at, i.needs_action,
            i.written_off_at, i.voided
        from subscriptions s
        join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
        where s.account = $1 order by i.covers_from desc, i.invoice_id limit $2
        "#,
        account.as_str(),
        limit
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(Invoice::from).collect())
}

/// The payments of an invoice of which something went back: what they do to access depends on the invoice.
///
/// # Errors
/// When the database fails.
pub async fn returned_of_invoice(
    conn: &mut PgConnection,
    provider: Provider,
    invoice: &str,
) -> Result<Vec<String>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select payment_id from payments p where provider = $1 and invoice_id = $2 and (
            refunded > 0
            or exists (select from refunds r where r.provider = p.provider and r.payment_id = p.payment_id)
            or exists (select from disputes d where d.provider = p.provider and d.payment_id = p.payment_id)
        )
        order by payment_id
        "#,
        provider.as_str(),
        invoice
    );
    Ok(query.fetch_all(conn).await?)
}

/// The money that went back of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedBill {
    pub invoice: String,
    /// Minor units: what is on its way, and a refund that failed, do not count.
    pub amount: i64,
    /// Whether the bank has decided for the cardholder.
    pub is_lost: bool,
}

/// The money that went back of these bills, as far as payments of theirs are known.
///
/// # Errors
/// When the database fails.
pub async fn returned_of_bills(
    conn: &mut PgConnection,
    provider: Provider,
    invoices: &[String],
) -> Result<Vec<ReturnedBill>, StoreError> {
    if invoices.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query!(
        r#"
        select p.invoice_id as "invoice!", to_jsonb(p) as "payment!: Json<PaymentRow>",
            (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from refunds r
                where r.provider = p.provider and r.payment_id = p.payment_id) as "refunds!: Json<Vec<RefundRow>>",
            exists (
                select from disputes d
                where d.provider = p.provider and d.payment_id = p.payment_id and d.state = 'lost'
            ) as "is_lost!"
        from payments p where p.provider = $1 and p.invoice_id = any($2)
        "#,
        provider.as_str(),
        invoices
    );
    let mut returned = BTreeMap::<String, ReturnedBill>::new();
    for row in query.fetch_all(conn).await? {
        let payment = Payment::from(row.payment.0);
        let refunds: Vec<Refund> = row.refunds.0.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        let back = Part { payment: &payment, refunds: &refunds, disputes: &[] }.refunded();
        let none = || ReturnedBill { invoice: row.invoice.clone(), amount: 0, is_lost: false };
        let bill = returned.entry(row.invoice.clone()).or_insert_with(none);
        bill.amount = bill.amount.saturating_add(back);
        bill.is_lost |= row.is_lost;
    }
    Ok(returned.into_values().collect())
}

/// Whether anything of a payment went back.
///
/// # Errors
/// When the database fails.
pub async fn is_returned(conn: &mut PgConnection, provider: Provider, payment: &str) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select (
            exists (select from payments where provider = $1 and payment_id = $2 and refunded > 0)
            or exists (select from refunds where provider = $1 and payment_id = $2)
            or exists (select from disputes where provider = $1 and payment_id = $2)
        ) as "returned!"
        "#,
        provider.as_str(),
        payment
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether a payment for a subscription is missing, was given up or went back: then its bills say what it gives.
///
/// # Errors
/// When the database fails.
pub async fn is_weighed(conn: &mut PgConnection, provider: Provider, subscription: &str) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (
            select from subscriptions where provider = $1 and subscription_id = $2 and state = 'past_due'
        ) or exists (
            select from invoices where provider = $1 and subscription_id = $2 and written_off_at is not null
        ) or exists (
            select from invoices i join payments p on p.provider = i.provider and p.invoice_id = i.invoice_id
            where i.provider = $1 and i.subscription_id = $2 and (
                p.refunded > 0
                or exists (select from refunds r where r.provider = p.provider and r.payment_id = p.payment_id)
                or exists (select from disputes d where d.provider = p.provider and d.payment_id = p.payment_id)
            )
        ) as "is!"
        "#,
        provider.as_str(),
        subscription
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether a dispute is known, and stands as it did.
///
/// # Errors
/// When the database fails.
pub async fn is_known_dispute(
    conn: &mut PgConnection,
    provider: Provider,
    dispute: &Dispute,
) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select exists (select from disputes where provider = $1 and dispute_id = $2 and state = $3) as "is!"
        "#,
        provider.as_str(),
        dispute.id,
        dispute_state_name(dispute.state)
    );
    Ok(query.fetch_one(conn).await?)
}

/// The customer of a payment, where that is known.
///
/// # Errors
/// When the database fails.
pub async fn customer_of(
    conn: &mut PgConnection,
    provider: Provider,
    payment: &str,
) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar!(
        "select customer_id from payments where provider = $1 and payment_id = $2",
        provider.as_str(),
        payment
    );
    Ok(query.fetch_optional(conn).await?.flatten())
}
