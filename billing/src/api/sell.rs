//! Opening a checkout, and the portal in which a subscription is managed.

use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use http::header::SET_COOKIE;
use serde::Serialize;

use super::request::{Body, OwnOrigin};
use super::signed_in::{Buyer, NotOperator};
use crate::Billing;
use crate::checkout::{self, Order, onward};
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
    Buyer(claims): Buyer,
    Body(order): Body<Order>,
) -> Result<impl IntoResponse, Problem> {
    let opened = checkout::open(&billing, &claims.sub, &order, crate::clock::now()).await?;
    let cookie = onward::remembering(&opened.id, order.next.as_deref(), billing.settings());
    Ok((AppendHeaders(cookie.map(|cookie| (SET_COOKIE, cookie))), Json(Target { url: opened.url })))
}

/// `POST /api/billing/portal`
pub async fn portal(
    State(billing): State<Billing>,
    Buyer(claims): Buyer,
    _: OwnOrigin,
) -> Result<Json<Target>, Problem> {
    let url = checkout::open_portal(&billing, &claims.sub, crate::clock::now()).await?;
    Ok(Json(Target { url }))
}
