//! Everything that a demonstration of Tollgate needs around it, and that the tests use too: a payment provider that
//! speaks Stripe's HTTP without moving money, a small site to stand behind the gate, and a story that walks through both.
//!
//! Nothing here is meant for production: the provider and the site believe whoever reaches them.

#![forbid(unsafe_code)]

mod clock;
mod serve;
pub mod provider;
pub mod site;
pub mod story;

/// A moment, in UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
