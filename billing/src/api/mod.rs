//! The JSON interface of the signed-in.

mod addons;
pub mod invoices;
mod referral;
mod request;
mod sell;
mod signed_in;
pub mod standing;
pub mod subscription;
mod tiers;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, header};

use crate::{Billing, nothing};

pub use request::OwnOrigin;
pub use signed_in::{Buyer, Visitor, claims, may_buy};

/// Longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The routes under `/api/billing/`, the two under `/api/stripe/` that sell, and the link by which others are invited.
pub fn router(billing: &Billing) -> Router<Billing> {
    let own = |name: &str| billing.settings().own_paths().of(name);
    Router::new()
        .route(&own("/api/billing/checkout"), post(sell::checkout))
        .route(&own("/api/stripe/checkout"), post(sell::checkout))
        .route(&own("/api/billing/portal"), post(sell::portal))
        .route(&own("/api/stripe/portal"), post(sell::portal))
        .route(&own("/api/billing/cancel"), post(subscription::cancel))
        .route(&own("/api/billing/reactivate"), post(subscription::reactivate))
        .route(&own("/api/billing/subscription"), get(subscription::show))
        .route(&own("/api/billing/tiers"), get(tiers::list))
        .route(&own("/api/billing/addons"), get(addons::list))
        .route(&own("/api/billing/my-addons"), get(addons::mine))
        .route(&own("/api/billing/invoices"), get(invoices::list))
        .route(&own("/api/billing/referral"), get(referral::show).post(referral::bind))
        .route(&own("/billing/r/{code}"), get(referral::capture))
        .method_not_allowed_fallback(nothing::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(unstored))
}

/// Every answer is about one account at one moment.
async fn unstored(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
