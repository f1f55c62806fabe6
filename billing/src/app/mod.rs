//! The API of the application behind the gate, on the internal listener: what it tells Tollgate of its accounts.

mod blocks;
mod guard;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, post};

use crate::Billing;
use crate::nothing;

/// The routes under `/app/v1/`.
pub fn router(billing: &Billing) -> Router<Billing> {
    Router::new()
        .route("/app/v1/accounts/{account}/block", post(blocks::begin).delete(blocks::end))
        .route("/app/{*rest}", any(nothing::nothing))
        .layer(from_fn_with_state(billing.clone(), guard::checked))
}
