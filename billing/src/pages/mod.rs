//! The hosted pages.

use axum::Router;

use crate::Billing;

/// The routes under `/billing`.
pub fn router() -> Router<Billing> {
    Router::new()
}
