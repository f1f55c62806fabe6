//! The admin listener: is the process alive, is it ready, what does it count, and, behind a token, what an operator
//! sees and does. Never on the public listener.

mod accounts;
mod consents;
mod events;
mod health;
mod reconcile;
mod request;
mod token;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use billing::{Billing, Problem};

pub use health::{Parts, Ready, register_build};
pub use token::AdminToken;

use crate::reload::Users;

/// Largest body, in bytes: a credit with its reason has a few hundred.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// How long a request may take in all, its body included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that the admin listener answers. Without billing there is nothing for an operator to see or do.
pub fn router(parts: Parts, users: &Users) -> Router {
    let guard = middleware::from_fn_with_state(users.admin_token.clone(), token::guard);
    let open = health::router(parts);
    let router = match &users.billing {
        Some(billing) => open.nest("/admin", api().layer(guard).with_state(billing.clone())),
        None => open,
    };
    router.fallback(not_found).layer(middleware::map_response(no_store))
}

/// What an operator sees and does; every route and every refusal in it is behind the token.
fn api() -> Router<Billing> {
    Router::new()
        .route("/events", get(events::list))
        .route("/events/replay", post(events::replay_stuck))
        .route("/events/{id}", get(events::show))
        .route("/events/{id}/replay", post(events::replay))
        .route("/consents", get(consents::list))
        .route("/reconcile", post(reconcile::reconcile))
        .route("/accounts/{account}", get(accounts::explain))
        .route("/accounts/{account}/audit", get(accounts::audit))
        .route("/accounts/{account}/credits", post(accounts::grant).delete(accounts::revoke_all))
        .route("/accounts/{account}/credits/{credit}", delete(accounts::revoke))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(in_time))
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This cannot be done here: see `Allow`.")
}

async fn in_time(request: Request, next: Next) -> Response {
    let slow =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "It took too long. Some of it may be done.");
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => slow().into_response(),
    }
}

/// What is true of an account or of the process now is old a moment later.
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
