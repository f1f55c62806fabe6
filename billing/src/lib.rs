//! The control plane: learns from providers what was bought, keeps it in Postgres, and tells the cache.

mod component;
mod clock;
mod problem;
mod settings;
mod provider;
mod store;
mod api;
mod pages;
mod checkout;

pub use component::Billing;
pub use settings::{ASSERTION_AUDIENCE, STRIPE_API_BASE, Secret, Settings, Stripe};
