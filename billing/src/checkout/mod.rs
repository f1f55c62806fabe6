//! Selling: from an order to the URL of a hosted checkout, and from an account to its customer portal.
//!
//! The customer is made and stored before the first checkout, so that every event of the purchase finds its account. An
//! account has one open checkout at a time, so that two clicks or two tabs never make two subscriptions. No connection to
//! Postgres is held while the provider is asked.

pub mod agreed;
mod choose;
mod closing;
mod confirm;
mod details;
mod held;
pub mod links;
pub mod onward;
mod open;
mod portal;
pub mod refused;
mod superseded;
mod turn;

use entitlement::catalog::Provider;
use http::StatusCode;

use crate::Billing;
use crate::problem::Problem;
use crate::provider;
use crate::provider::client::Client;

pub use choose::Order;
pub(crate) use closing::{Last, close_last};
pub(crate) use confirm::observed;
pub use confirm::{bought, confirm, observe};
pub use open::open;
pub use portal::open_portal;
pub(crate) use turn::Turn;

/// The connection to Stripe, whose customers are made first.
///
/// # Errors
/// 503 when there is no key.
fn client(billing: &Billing) -> Result<Client, Problem> {
    billing.providers().stripe_client.clone().ok_or_else(not_configured)
}

/// That a provider can be asked, with a key that belongs to what is stored.
///
/// # Errors
/// 503 when there is no key, or a wrong one; 502 or 503 when that cannot be said now.
pub async fn check_configured(billing: &Billing, provider: Provider) -> Result<(), Problem> {
    if !provider::can_ask(&billing.providers(), provider) {
        return Err(not_configured());
    }
    billing.askable(provider).await?;
    Ok(())
}

/// The same before something is sold: that the key belongs to what is stored is checked anew.
///
/// # Errors
/// As those of [`check_configured`].
async fn check_to_sell(billing: &Billing, provider: Provider) -> Result<(), Problem> {
    if !provider::can_ask(&billing.providers(), provider) {
        return Err(not_configured());
    }
    Ok(billing.check_to_sell(provider).await?)
}

/// That any provider can be asked.
///
/// # Errors
/// 503 when there is no key at all.
pub fn check_any_configured(billing: &Billing) -> Result<(), Problem> {
    if sellers(billing).is_empty() { Err(not_configured()) } else { Ok(()) }
}

/// The providers that can be asked now.
#[must_use]
pub fn sellers(billing: &Billing) -> Vec<Provider> {
    let providers = billing.providers();
    provider::ALL.into_iter().filter(|provider| provider::can_ask(&providers, *provider)).collect()
}

fn not_configured() -> Problem {
    let detail = "Selling is not set up: the payment provider's API key is missing.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
}
