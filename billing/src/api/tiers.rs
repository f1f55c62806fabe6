//! What is sold.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use entitlement::catalog::{Price, Provider, Tier};
use serde::Serialize;

use super::signed_in::SignedIn;
use super::standing::{cadence, sold};
use crate::Billing;
use crate::checkout::agreed::digest;
use crate::problem::Problem;

/// The tiers, lowest rank first.
#[derive(Debug, Serialize)]
pub struct Tiers {
    tiers: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    code: String,
    name: String,
    rank: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether it is the one that is recommended.
    highlight: bool,
    features: Vec<String>,
    limits: BTreeMap<String, u64>,
    levels: BTreeMap<String, u64>,
    prices: Vec<ShownPrice>,
}

/// One way to pay.
#[derive(Debug, Serialize)]
pub struct ShownPrice {
    provider: Provider,
    cadence: &'static str,
    /// Minor units of the currency.
    amount: i64,
    currency: String,
    trial_days: u32,
    /// The id of the text that must be agreed to.
    consent: Option<String>,
    /// By what the text is known that the pages have under that id now.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_digest: Option<String>,
}

/// `GET /api/billing/tiers`
pub async fn list(State(billing): State<Billing>, _: SignedIn) -> Result<Json<Tiers>, Problem> {
    let rules = sold(&billing).await?;
    let tiers = rules.catalog.tiers().iter().filter(|tier| !tier.hidden).map(|tier| shown(&billing, tier)).collect();
    Ok(Json(Tiers { tiers }))
}

fn shown(billing: &Billing, tier: &Tier) -> Shown {
    Shown {
        code: tier.code.clone(),
        name: tier.name.clone(),
        rank: tier.rank,
        description: tier.description.clone(),
        highlight: tier.highlight,
        features: tier.features.clone(),
        limits: tier.limits.clone(),
        levels: tier.levels.clone(),
        prices: tier.offers().map(|price| shown_price(billing, price)).collect(),
    }
}

/// A price as it is shown.
pub fn shown_price(billing: &Billing, price: &Price) -> ShownPrice {
    let wording = price.consent.as_deref().and_then(|id| billing.settings().pages.consent(id));
    ShownPrice {
        provider: price.provider,
        cadence: cadence(price.cadence),
        amount: price.amount,
        currency: price.currency.clone(),
        trial_days: price.trial_days,
        consent: price.consent.clone(),
        consent_digest: wording.map(digest),
    }
}
