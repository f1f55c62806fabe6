//! Everything that a demonstration of Tollgate needs around it, and that the tests use too: payment providers that speak
//! as Stripe and as Polar do without moving money, a small site to stand behind the gate, and a story that walks through
//! both.
//!
//! Nothing here is meant for production: the provider and the site believe whoever reaches them.

#![forbid(unsafe_code)]

mod agenda;
mod clock;
mod delivery;
mod faults;
#[cfg(test)]
mod receiver;
mod serve;
mod table;
pub mod polar;
pub mod provider;
pub mod site;
pub mod story;

/// A moment, in UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
