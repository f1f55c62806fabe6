//! What was billed, as its provider shows it to the payer.

use std::collections::BTreeMap;
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
use crate::provider::{self, sell};
use crate::store::{StoreError, links, money};

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
    let mut billed = Vec::clone(&billed);
    note_returned(billing, &mut billed).await?;
    Ok(billed)
}

/// A provider that goes on to call a bill paid whose money went back is not repeated.
async fn note_returned(billing: &Billing, billed: &mut [Billed]) -> Result<(), Problem> {
    let paid: Vec<&Billed> = billed.iter().filter(|billed| billed.bill.status == "paid").collect();
    if paid.is_empty() {
        return Ok(());
    }
    let mut conn = billing.pool().acquire().await.map_err(StoreError::from)?;
    let mut returned = BTreeMap::new();
    for provider in provider::ALL {
        let ids: Vec<String> =
            paid.iter().filter(|one| one.provider == provider).map(|one| one.bill.id.clone()).collect();
        for bill in money::returned_of_bills(&mut conn, provider, &ids).await? {
            returned.insert((provider, bill.invoice.clone()), bill);
        }
    }
    drop(conn);
    for Billed { provider, bill } in billed {
        let Some(back) = returned.get(&(*provider, bill.id.clone())) else { continue };
        let word = if back.is_lost {
            "charged_back"
        } else if back.amount >= bill.paid.max(1) {
            "refunded"
        } else if back.amount > 0 {
            "partially_refunded"
        } else {
            continue;
        };
        word.clone_into(&mut bill.status);
    }
    Ok(())
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
