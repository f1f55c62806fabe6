//! The JSON interface of the signed-in.

use axum::Router;

use crate::Billing;

/// The routes under `/api/billing/`, and the two under `/api/stripe/` that sell.
pub fn router() -> Router<Billing> {
    Router::new()
}
