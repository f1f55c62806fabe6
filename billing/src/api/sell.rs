//! Opening a checkout, and the portal in which a subscription is managed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::request::{Body, OwnOrigin};
use super::signed_in::{NotOperator, SignedIn};
use crate::Billing;
use crate::checkout::{self, Order};
use crate::problem::Problem;

/// Where the browser goes next.
#[derive(Debug, Serialize)]
pub struct Target {
    url: String,
}

/// `POST /api/billing/checkout`
pub async fn checkout(
    State(billing): State<Billing>,
    _: NotOperator,
    SignedIn(claims): SignedIn,
    Body(order): Body<Order>,
) -> Result<Json<Target>, Problem> {
    let url = checkout::open(&billing, &claims.sub, &order, crate::clock::now()).await?;
    Ok(Json(Target { url }))
}

/// `POST /api/billing/portal`
pub async fn portal(
    State(billing): State<Billing>,
    SignedIn(claims): SignedIn,
    _: OwnOrigin,
) -> Result<Json<Target>, Problem> {
    let url = checkout::open_portal(&billing, &claims.sub, crate::clock::now()).await?;
    Ok(Json(Target { url }))
}
