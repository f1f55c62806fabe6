//! The hosted pages.

mod account;
mod back;
mod consent;
mod html;
mod money;
mod pricing;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::get;

use crate::Billing;
use crate::checkout::links;

/// The routes under `/billing`.
pub fn router() -> Router<Billing> {
    Router::new()
        .route(links::ACCOUNT_PATH, get(account::get))
        .route(links::PRICING_PATH, get(pricing::get))
        .route(links::RETURN_PATH, get(back::get))
        .route("/billing/app.css", get(html::style))
        .route("/billing/app.js", get(html::script))
        .layer(map_response(html::guarded))
}
