//! What was billed, as its provider shows it to the payer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use serde::Serialize;

use super::signed_in::SignedIn;
use crate::Billing;
use crate::checkout;
use crate::problem::Problem;
use crate::provider::client::Bill;
use crate::provider::sell;
use crate::store::{StoreError, links};

/// Most customers of an account that are asked about: nearly everybody is one.
const CUSTOMERS_MAX: usize = 4;

/// The newest bills, newest first.
#[derive(Debug, Serialize)]
pub struct Invoices {
    invoices: Vec<Billed>,
}

/// A bill, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Billed {
    pub provider: Provider,
    #[serde(flatten)]
    pub bill: Bill,
}

/// `GET /api/billing/invoices`: none before a first purchase.
pub async fn list(State(billing): State<Billing>, SignedIn(claims): SignedIn) -> Result<Json<Invoices>, Problem> {
    Ok(Json(Invoices { invoices: of(&billing, &claims.sub).await? }))
}

/// What was billed to an account, newest first, asked of its providers; an answer serves for some seconds.
///
/// # Errors
/// 429 when it failed too often, 502 when a provider does not answer, 503 when there is no key or the database fails.
pub async fn of(billing: &Billing, account: &AccountId) -> Result<Vec<Billed>, Problem> {
    let billed = billing.shared().billed.or_ask(account, async { asked(billing, account).await.map(Arc::new) }).await?;
    Ok(Vec::clone(&billed))
}

async fn asked(billing: &Billing, account: &AccountId) -> Result<Vec<Billed>, Problem> {
    let mut conn = billing.pool().acquire().await.map_err(StoreError::from)?;
    let customers = links::customers_of(&mut conn, account).await?;
    drop(conn);
    let providers = billing.providers();
    let mut invoices = Vec::new();
    for customer in customers.iter().take(CUSTOMERS_MAX) {
        let Ok(provider) = customer.provider.parse::<Provider>() else { continue };
        checkout::check_configured(billing, provider).await?;
        billing.shared().asks.act(account)?;
        let bills = sell::bills(&providers, provider, &customer.customer_id).await?;
        invoices.extend(bills.into_iter().map(|bill| Billed { provider, bill }));
    }
    invoices.sort_by_key(|billed| std::cmp::Reverse(billed.bill.created_at));
    Ok(invoices)
}
