//! Selling: from an order to the URL of a hosted checkout, and from an account to its customer portal.
//!
//! The customer is made and stored before the first checkout, so that every event of the purchase finds its account. An
//! account has one open checkout at a time, so that two clicks or two tabs never make two subscriptions. No connection to
//! Postgres is held while the provider is asked.

mod choose;
mod confirm;
pub mod links;
mod open;
mod portal;
mod turn;

use entitlement::catalog::Provider;
use http::StatusCode;

use crate::Billing;
use crate::problem::Problem;
use crate::provider;
use crate::provider::client::Client;

pub use choose::Order;
pub use confirm::confirm;
pub use open::open;
pub use portal::open_portal;

/// The connection to Stripe, through which subscriptions are ended and kept.
///
/// # Errors
/// 503 when there is no key.
pub fn client(billing: &Billing) -> Result<Client, Problem> {
    billing.providers().stripe_client.clone().ok_or_else(not_configured)
}

/// That a provider can be asked.
///
/// # Errors
/// 503 when there is no key.
pub fn check_configured(billing: &Billing, provider: Provider) -> Result<(), Problem> {
    provider::can_ask(&billing.providers(), provider).then_some(()).ok_or_else(not_configured)
}

fn not_configured() -> Problem {
    let detail = "Selling is not set up: the payment provider's API key is missing.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
}
