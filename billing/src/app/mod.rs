//! The API of the application behind the gate, on the internal listener: what it tells Tollgate of its accounts.

mod account;
mod accounts;
mod blocks;
mod guard;
mod sessions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};

use crate::Billing;
use crate::nothing;

/// Longest body that is read, in bytes: the longest cookie, in all its pieces, and room around it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The routes under `/app/v1/`.
pub fn router(billing: &Billing) -> Router<Billing> {
    Router::new()
        .route("/app/v1/accounts/{account}", delete(accounts::erase))
        .route("/app/v1/accounts/{account}/export", get(accounts::export))
        .route("/app/v1/accounts/{account}/move", post(accounts::move_to))
        .route("/app/v1/accounts/{account}/block", post(blocks::begin).delete(blocks::end))
        .route("/app/v1/sessions/forget", post(sessions::forget))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route("/app/v1/{*rest}", any(nothing::nothing))
        .method_not_allowed_fallback(nothing::wrong_method)
        .layer(from_fn_with_state(billing.clone(), guard::checked))
}
