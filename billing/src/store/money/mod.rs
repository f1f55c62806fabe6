//! Invoices, payments, refunds and disputes: each row is what all events about one thing tell together.
//!
//! Pieces are merged by the rules of `entitlement::payment`, under a lock on the row, so that neither the order in which
//! they arrive nor who stores them matters.

mod find;

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::payment::{Dispute, DisputeState, Invoice, Line, Payment, Refund, RefundState};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

pub use find::{
    account_of_invoice, customer_of, invoices_of, is_known_dispute, is_returned, is_weighed, placed, returned_of_bills,
    returned_of_invoice,
};

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It told something new.
    News,
    /// Everything in it was known.
    Known,
}

/// A payment and all that is known around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Money {
    pub provider: String,
    pub payment: Payment,
    /// The invoice that it paid, once that is known.
    pub invoice: Option<Invoice>,
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
}

/// A row of `invoices`; the names of the columns say more than those of the fields, since they stand alone.
#[derive(Debug, Deserialize)]
pub(super) struct InvoiceRow {
    invoice_id: String,
    subscription_id: String,
    customer_id: String,
    renews: bool,
    covers_from: Timestamp,
    paid: i64,
    balance: i64,
    currency: Option<String>,
    settled: bool,
    lines: Json<Vec<Line>>,
    attempts: i32,
    failed_at: Option<Timestamp>,
    needs_action: bool,
    written_off_at: Option<Timestamp>,
    voided: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentRow {
    payment_id: String,
    customer_id: Option<String>,
    invoice_id: Option<String>,
    amount: i64,
    currency: Option<String>,
    made_at: Option<Timestamp>,
    refunded: i64,
    refunded_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RefundRow {
    refund_id: String,
    payment_id: String,
    amount: i64,
    state: String,
    at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct DisputeRow {
    dispute_id: String,
    payment_id: String,
    amount: i64,
    state: String,
    opened_at: Timestamp,
    as_of: Timestamp,
}

impl From<InvoiceRow> for Invoice {
    fn from(row: InvoiceRow) -> Self {
        Self {
            id: row.invoice_id,
            subscription: row.subscription_id,
            customer: row.customer_id,
            renews: row.renews,
            covers_from: row.covers_from,
            paid: row.paid,
            balance: row.balance,
            currency: row.currency,
            settled: row.settled,
            lines: row.lines.0,
            attempts: row.attempts,
            failed_at: row.failed_at,
            needs_action: row.needs_action,
            written_off_at: row.written_off_at,
            voided: row.voided,
        }
    }
}

impl From<PaymentRow> for Payment {
    fn from(row: PaymentRow) -> Self {
        Self {
            id: row.payment_id,
            customer: row.customer_id,
            invoice: row.invoice_id,
            amount: row.amount,
            currency: row.currency,
            made_at: row.made_at,
            refunded: row.refunded,
            refunded_at: row.refunded_at,
        }
    }
}

const fn refund_state_name(state: RefundState) -> &'static str {
    match state {
        RefundState::Pending => "pending",
        RefundState::Made => "made",
        RefundState::Failed => "failed",
    }
}

const fn dispute_state_name(state: DisputeState) -> &'static str {
    match state {
        DisputeState::Inquiry => "inquiry",
        DisputeState::Open => "open",
        DisputeState::Lost => "lost",
        DisputeState::Won => "won",
    }
}

impl TryFrom<RefundRow> for Refund {
    type Error = StoreError;

    fn try_from(row: RefundRow) -> Result<Self, StoreError> {
        let states = [RefundState::Pending, RefundState::Made, RefundState::Failed];
        let state = states.into_iter().find(|state| refund_state_name(*state) == row.state);
        let state = state.ok_or_else(|| StoreError::row("refunds", &row.refund_id, &"an unknown state"))?;
        Ok(Self { id: row.refund_id, payment: row.payment_id, amount: row.amount, state, at: row.at })
    }
}

impl TryFrom<DisputeRow> for Dispute {
    type Error = StoreError;

    fn try_from(row: DisputeRow) -> Result<Self, StoreError> {
        let states = [DisputeState::Inquiry, DisputeState::Open, DisputeState::Lost, DisputeState::Won];
        let state = states.into_iter().find(|state| dispute_state_name(*state) == row.state);
        let state = state.ok_or_else(|| StoreError::row("disputes", &row.dispute_id, &"an unknown state"))?;
        let DisputeRow { dispute_id: id, payment_id: payment, amount, opened_at, as_of, .. } = row;
        Ok(Self { id, payment, amount, state, opened_at, as_of })
    }
}

/// Stores what an event tells of an invoice.
///
/// # Errors
/// When the database fails.
pub async fn put_invoice(conn: &mut PgConnection, provider: Provider, seen: Invoice) -> Result<Stored, StoreError> {
    let name = provider.as_str();
    let query = sqlx::query_as!(
        InvoiceRow,
        r#"
        select invoice_id, subscription_id, customer_id, renews, covers_from, paid, balance, currency, settled,
            lines as "lines: Json<Vec<Line>>", attempts, failed_at, needs_action, written_off_at, voided
        from invoices where provider = $1 and invoice_id = $2 for update
        "#,
        name,
        seen.id
    );
    let known = query.fetch_optional(&mut *conn).await?.map(Invoice::from);
    let next = known.clone().map_or_else(|| seen.clone(), |known| known.merged(seen.clone()));
    if known.as_ref() == Some(&next) {
        return Ok(Stored::Known);
    }
    let query = sqlx::query!(
        r#"
        insert into invoices (
            provider, invoice_id, subscription_id, customer_id, renews, covers_from, paid, attempts, failed_at, balance,
            currency, settled, lines, needs_action, written_off_at, voided
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        on conflict (provider, invoice_id) do update set
            subscription_id = excluded.subscription_id, customer_id = excluded.customer_id, renews = excluded.renews,
            covers_from = excluded.covers_from, paid = greatest(invoices.paid, excluded.paid),
            attempts = greatest(invoices.attempts, excluded.attempts),
            failed_at = least(invoices.failed_at, excluded.failed_at), balance = excluded.balance,
            currency = excluded.currency, settled = invoices.settled or excluded.settled, lines = excluded.lines,
            needs_action = invoices.needs_action or excluded.needs_action,
            written_off_at = least(invoices.written_off_at, excluded.written_off_at),
            voided = invoices.voided or excluded.voided
        "#,
        name,
        next.id,
        next.subscription,
        next.customer,
        next.renews,
        next.covers_from,
        next.paid,
        next.attempts,
        next.failed_at,
        next.balance,
        next.currency,
        next.settled,
        Json(&next.lines) as _,
        next.needs_action,
        next.written_off_at,
        next.voided
    );
    query.execute(conn).await?;
    Ok(Stored::News)
}

/// Stores what an event tells of a payment.
///
/// # Errors
/// When the database fails.
pub async fn put_payment(conn: &mut PgConnection, provider: Provider, seen: Payment) -> Result<Stored, StoreError> {
    lock_payment(conn, provider, &seen.id).await?;
    let name = provider.as_str();
    let query = sqlx::query_as!(
        PaymentRow,
        r#"
        select payment_id, customer_id, invoice_id, amount, currency, made_at, refunded, refunded_at
        from payments where provider = $1 and payment_id = $2
        "#,
        name,
        seen.id
    );
    let known = query.fetch_optional(&mut *conn).await?.map(Payment::from);
    let next = known.clone().map_or_else(|| seen.clone(), |known| known.merged(seen.clone()));
    if known.as_ref() == Some(&next) {
        return Ok(Stored::Known);
    }
    let query = sqlx::query!(
        r#"
        insert into payments (
            provider, payment_id, customer_id, invoice_id, amount, made_at, refunded, refunded_at, currency
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (provider, payment_id) do update set
            customer_id = excluded.customer_id, invoice_id = excluded.invoice_id, amount = excluded.amount,
            made_at = excluded.made_at, refunded = excluded.refunded, refunded_at = excluded.refunded_at,
            currency = excluded.currency
        "#,
        name,
        next.id,
        next.customer,
        next.invoice,
        next.amount,
        next.made_at,
        next.refunded,
        next.refunded_at,
        next.currency
    );
    query.execute(conn).await?;
    Ok(Stored::News)
}

/// Stores what an event tells of a refund.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn put_refund(conn: &mut PgConnection, provider: Provider, seen: Refund) -> Result<Stored, StoreError> {
    lock_payment(conn, provider, &seen.payment).await?;
    let name = provider.as_str();
    let query = sqlx::query_as!(
        RefundRow,
        r#"
        select refund_id, payment_id, amount, state, at from refunds where provider = $1 and refund_id = $2 for update
        "#,
        name,
        seen.id
    );
    let known = query.fetch_optional(&mut *conn).await?.map(Refund::try_from).transpose()?;
    let next = known.clone().map_or_else(|| seen.clone(), |known| known.merged(seen.clone()));
    if known.as_ref() == Some(&next) {
        return Ok(Stored::Known);
    }
    let query = sqlx::query!(
        r#"
        insert into refunds (provider, refund_id, payment_id, amount, state, at) values ($1, $2, $3, $4, $5, $6)
        on conflict (provider, refund_id) do update set
            payment_id = excluded.payment_id, amount = excluded.amount, state = excluded.state, at = excluded.at
        "#,
        name,
        next.id,
        next.payment,
        next.amount,
        refund_state_name(next.state),
        next.at
    );
    query.execute(conn).await?;
    Ok(Stored::News)
}

/// Stores what an event tells of a dispute.
///
/// # Errors
/// When the row cannot be read, or the database fails.
pub async fn put_dispute(conn: &mut PgConnection, provider: Provider, seen: Dispute) -> Result<Stored, StoreError> {
    lock_payment(conn, provider, &seen.payment).await?;
    let name = provider.as_str();
    let query = sqlx::query_as!(
        DisputeRow,
        r#"
        select dispute_id, payment_id, amount, state, opened_at, as_of from disputes
        where provider = $1 and dispute_id = $2 for update
        "#,
        name,
        seen.id
    );
    let known = query.fetch_optional(&mut *conn).await?.map(Dispute::try_from).transpose()?;
    let next = known.clone().map_or_else(|| seen.clone(), |known| known.merged(seen.clone()));
    if known.as_ref() == Some(&next) {
        return Ok(Stored::Known);
    }
    // That it still stands as it did is worth keeping, but no news.
    let is_same = known.is_some_and(|known| Dispute { as_of: next.as_of, ..known } == next);
    let query = sqlx::query!(
        r#"
        insert into disputes (provider, dispute_id, payment_id, state, opened_at, as_of, amount)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (provider, dispute_id) do update set amount = excluded.amount,
            payment_id = excluded.payment_id, state = excluded.state, opened_at = excluded.opened_at,
            as_of = excluded.as_of
        "#,
        name,
        next.id,
        next.payment,
        dispute_state_name(next.state),
        next.opened_at,
        next.as_of,
        next.amount
    );
    query.execute(conn).await?;
    Ok(if is_same { Stored::Known } else { Stored::News })
}

/// Everything about one payment happens one after the other, until the transaction ends: its row may not be there yet.
async fn lock_payment(conn: &mut PgConnection, provider: Provider, payment: &str) -> Result<(), StoreError> {
    let name = format!("tollgate:payment:{provider}:{payment}");
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", name).execute(conn).await?;
    Ok(())
}
