//! What is sold.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use entitlement::catalog::{Price, Provider, Tier};
use serde::Serialize;

use super::signed_in::SignedIn;
use super::standing::{cadence, sold};
use crate::Billing;
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
    features: BTreeSet<String>,
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
}

/// `GET /api/billing/tiers`
pub async fn list(State(billing): State<Billing>, _: SignedIn) -> Result<Json<Tiers>, Problem> {
    let rules = sold(&billing).await?;
    Ok(Json(Tiers { tiers: rules.catalog.tiers().iter().map(shown).collect() }))
}

fn shown(tier: &Tier) -> Shown {
    Shown {
        code: tier.code.clone(),
        name: tier.name.clone(),
        rank: tier.rank,
        features: tier.features.clone(),
        limits: tier.limits.clone(),
        levels: tier.levels.clone(),
        prices: tier.offers().map(shown_price).collect(),
    }
}

/// A price as it is shown.
pub fn shown_price(price: &Price) -> ShownPrice {
    ShownPrice {
        provider: price.provider,
        cadence: cadence(price.cadence),
        amount: price.amount,
        currency: price.currency.clone(),
        trial_days: price.trial_days,
        consent: price.consent.clone(),
    }
}
