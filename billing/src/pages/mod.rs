//! The hosted pages. They are whole without a script: forms are posted, and answered with a page or a redirect.

mod account;
mod actions;
mod back;
mod encoding;
mod fault;
mod form;
mod frame;
mod html;
mod look;
mod pricing;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{any, get, post};

use crate::Billing;
use crate::checkout::links;
use crate::nothing;

#[cfg(test)]
pub use look::examples;
pub use look::{Image, Look, Pages, Texts, Translation, texts};

/// Longest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// The routes of the pages, where browsers ask for them.
pub fn router(billing: &Billing) -> Router<Billing> {
    let own = |name: &str| billing.settings().own_paths().of(name);
    Router::new()
        .route(&own(links::ACCOUNT_PATH), get(account::get))
        .route(&own(links::PRICING_PATH), get(pricing::get))
        .route(&own(links::RETURN_PATH), get(back::get))
        .route(&own("/billing/checkout"), post(actions::checkout).get(actions::to_pricing))
        .route(&own("/billing/portal"), post(actions::portal).get(actions::to_account))
        .route(&own("/billing/cancel"), post(actions::cancel).get(actions::to_account))
        .route(&own("/billing/reactivate"), post(actions::reactivate).get(actions::to_account))
        .route(&own(look::ASSET_ROUTE), get(look::asset))
        .route(&own("/billing/{*rest}"), any(nothing::nothing))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(billing.clone(), fault::dressed))
        .layer(map_response(html::guarded))
}
