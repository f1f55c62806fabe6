//! What is sold beside the tiers, and what of it an account has.

use axum::Json;
use axum::extract::State;
use entitlement::Timestamp;
use entitlement::catalog::{Addon, Provider};
use serde::Serialize;

use super::signed_in::SignedIn;
use super::standing::{self, sold};
use super::tiers::{ShownPrice, shown_price};
use crate::Billing;
use crate::clock;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::addons::{self as store, Details};

/// Every add-on, as the catalog orders them.
#[derive(Debug, Serialize)]
pub struct Addons {
    addons: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    code: String,
    name: String,
    /// What the buyer must state, by name.
    requires: Vec<String>,
    prices: Vec<ShownPrice>,
}

/// The add-ons of an account.
#[derive(Debug, Serialize)]
pub struct Mine {
    addons: Vec<Held>,
}

#[derive(Debug, Serialize)]
struct Held {
    code: String,
    name: String,
    /// What the buyer has stated of it, by name; nothing when it was not bought here.
    details: Details,
    provider: Provider,
    /// What pays for it.
    subscription: String,
    cancel_at: Option<Timestamp>,
}

/// `GET /api/billing/addons`
pub async fn list(State(billing): State<Billing>, _: SignedIn) -> Result<Json<Addons>, Problem> {
    let rules = sold(&billing).await?;
    Ok(Json(Addons { addons: rules.catalog.addons().iter().map(|addon| shown(&billing, addon)).collect() }))
}

/// `GET /api/billing/my-addons`
pub async fn mine(State(billing): State<Billing>, SignedIn(claims): SignedIn) -> Result<Json<Mine>, Problem> {
    let now = clock::now();
    let standing = standing::of(&billing, &claims.sub, now).await?;
    let mut conn = billing.pool().acquire().await.map_err(StoreError::from)?;
    let stated = store::last(&mut conn, &claims.sub).await?;
    drop(conn);
    let held = standing.held_addons(now).map(|(addon, subscription)| Held {
        code: addon.code.clone(),
        name: addon.name.clone(),
        details: stated.get(&addon.code).cloned().unwrap_or_default(),
        provider: subscription.id.provider,
        subscription: subscription.id.id.clone(),
        cancel_at: subscription.cancel_at,
    });
    Ok(Json(Mine { addons: held.collect() }))
}

fn shown(billing: &Billing, addon: &Addon) -> Shown {
    Shown {
        code: addon.code.clone(),
        name: addon.name.clone(),
        requires: addon.requires.clone(),
        prices: addon.offers().map(|price| shown_price(billing, price)).collect(),
    }
}
