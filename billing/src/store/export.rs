//! All that is stored of an account, table by table: a copy for the person whose data it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// Rows by table.
pub type Tables = BTreeMap<&'static str, Vec<Value>>;

/// One list of rows for each table, by a statement of which `$1` are the names of the account.
macro_rules! rows {
    ($conn:ident, $names:ident, $tables:ident, $($table:literal: $query:tt,)+) => {
        $(
            let rows: Vec<Json<Value>> = sqlx::query_scalar!($query, $names).fetch_all(&mut *$conn).await?;
            $tables.insert($table, rows.into_iter().map(|Json(row)| row).collect());
        )+
    };
}

/// Reads every row about an account, by all of its names. In one transaction that sees one moment it is one moment's.
///
/// # Errors
/// When the database fails.
pub async fn rows(conn: &mut PgConnection, names: &[String]) -> Result<Tables, StoreError> {
    let mut tables = Tables::new();
    rows! { conn, names, tables,
        "accounts": r#"select to_jsonb(t) as "row!: Json<Value>" from accounts t where account = any($1) order by account"#,
        "account_aliases": r#"select to_jsonb(t) as "row!: Json<Value>" from account_aliases t where account = any($1) order by alias"#,
        "addon_orders": r#"select to_jsonb(t) as "row!: Json<Value>" from addon_orders t where account = any($1) order by id"#,
        "audit_log": r#"select to_jsonb(t) as "row!: Json<Value>" from audit_log t where account = any($1) order by id"#,
        "checkouts": r#"select to_jsonb(t) as "row!: Json<Value>" from checkouts t where account = any($1) order by account"#,
        "consents": r#"
            select to_jsonb(t) || jsonb_build_object('wording',
                (select wording from consent_texts w where w.digest = t.digest and w.text = t.text)) as "row!: Json<Value>"
            from consents t where account = any($1) order by id"#,
        "credits": r#"select to_jsonb(t) as "row!: Json<Value>" from credits t where account = any($1) order by id"#,
        "operator_wishes": r#"select to_jsonb(t) as "row!: Json<Value>" from operator_wishes t where account = any($1) order by id"#,
        "outbox": r#"select to_jsonb(t) as "row!: Json<Value>" from outbox t where account = any($1) order by account"#,
        "provider_customers": r#"
            select to_jsonb(t) as "row!: Json<Value>" from provider_customers t
            where account = any($1) order by provider, customer_id"#,
        "referral_codes": r#"select to_jsonb(t) as "row!: Json<Value>" from referral_codes t where account = any($1) order by code"#,
        "referrals": r#"
            select to_jsonb(t) as "row!: Json<Value>" from referrals t
            where referee = any($1) or referrer = any($1) order by bound_at, referee"#,
        "subscription_claims": r#"
            select to_jsonb(t) as "row!: Json<Value>" from subscription_claims t
            where account = any($1) order by provider, subscription_id"#,
        "subscriptions": r#"
            select to_jsonb(t) as "row!: Json<Value>" from subscriptions t
            where account = any($1) order by provider, subscription_id"#,
        "takings": r#"select to_jsonb(t) as "row!: Json<Value>" from takings t where account = any($1) order by id"#,
        "trials": r#"select to_jsonb(t) as "row!: Json<Value>" from trials t where account = any($1) order by account"#,
    }
    rows_of_money(conn, names, &mut tables).await?;
    events(conn, names, &mut tables).await?;
    Ok(tables)
}

/// Bills and payments are of a customer, or of a subscription.
async fn rows_of_money(conn: &mut PgConnection, names: &[String], tables: &mut Tables) -> Result<(), StoreError> {
    rows! { conn, names, tables,
        "invoices": r#"
            select to_jsonb(t) as "row!: Json<Value>" from (
                select i.* from subscriptions s
                join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id where s.account = any($1)
                union
                select i.* from provider_customers c
                join invoices i on i.provider = c.provider and i.customer_id = c.customer_id where c.account = any($1)
            ) t order by covers_from, invoice_id"#,
        "payments": r#"
            select to_jsonb(t) as "row!: Json<Value>" from (
                select p.* from subscriptions s
                join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
                join payments p on p.provider = i.provider and p.invoice_id = i.invoice_id where s.account = any($1)
                union
                select p.* from provider_customers c
                join payments p on p.provider = c.provider and p.customer_id = c.customer_id where c.account = any($1)
            ) t order by made_at, payment_id"#,
        "refunds": r#"
            select to_jsonb(t) as "row!: Json<Value>" from (
                select r.* from subscriptions s
                join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
                join payments p on p.provider = i.provider and p.invoice_id = i.invoice_id
                join refunds r on r.provider = p.provider and r.payment_id = p.payment_id where s.account = any($1)
                union
                select r.* from provider_customers c
                join payments p on p.provider = c.provider and p.customer_id = c.customer_id
                join refunds r on r.provider = p.provider and r.payment_id = p.payment_id where c.account = any($1)
            ) t order by at, refund_id"#,
        "disputes": r#"
            select to_jsonb(t) as "row!: Json<Value>" from (
                select d.* from subscriptions s
                join invoices i on i.provider = s.provider and i.subscription_id = s.subscription_id
                join payments p on p.provider = i.provider and p.invoice_id = i.invoice_id
                join disputes d on d.provider = p.provider and d.payment_id = p.payment_id where s.account = any($1)
                union
                select d.* from provider_customers c
                join payments p on p.provider = c.provider and p.customer_id = c.customer_id
                join disputes d on d.provider = p.provider and d.payment_id = p.payment_id where c.account = any($1)
            ) t order by opened_at, dispute_id"#,
    }
    Ok(())
}

/// Events with their bodies, also those that were looked at while the account of their customer was not known.
async fn events(conn: &mut PgConnection, names: &[String], tables: &mut Tables) -> Result<(), StoreError> {
    rows! { conn, names, tables,
        "webhook_events": r#"
            select to_jsonb(t) || jsonb_build_object('body', encode(body, 'base64')) as "row!: Json<Value>" from (
                select * from webhook_events where account = any($1)
                union
                select o.* from provider_customers c
                join webhook_events o on o.provider = c.provider and o.customer_id = c.customer_id and o.account is null
                where c.account = any($1)
            ) t order by id"#,
        "events_for_key": r#"
            select to_jsonb(t) as "row!: Json<Value>" from webhook_events e join events_for_key t on t.event = e.id
            where e.account = any($1) order by t.event"#,
    }
    tables.entry("webhook_events").or_default().iter_mut().for_each(read_body);
    Ok(())
}

/// How many events of the inbox are about nobody that is known yet, among the first 1000 that are open: they could not be read, or were not looked at so far.
///
/// # Errors
/// When the database fails.
pub async fn unassigned(conn: &mut PgConnection) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (
            select account, customer_id from webhook_events where state in ('pending', 'parked', 'dead')
            order by state, id limit 1000
        ) few
        where account is null and customer_id is null
        "#
    );
    Ok(query.fetch_one(conn).await?)
}

/// A body is JSON of its provider's, and stands so in the copy; as a text where it is not.
fn read_body(row: &mut Value) {
    let encoded: String = row["body"].as_str().unwrap_or_default().split_whitespace().collect();
    let body = STANDARD.decode(encoded).unwrap_or_default();
    row["body"] = match serde_json::from_slice(&body) {
        Ok(read) => read,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => String::from_utf8_lossy(&body).into(),
    };
}
