//! The data plane: a Pingora proxy that lets a request through to the site when its account has what the route asks
//! for, and tells the site who the user is.
//!
//! A request passes through the modules in the order in which they stand here. [`Gate`] is the whole of them. This
//! crate knows neither the database nor the billing component; what it asks of billing is [`ladder::Below`].

pub mod target;
pub mod readings;
pub mod routes;
pub mod identity;
pub mod ladder;
mod admission;
mod view;
pub mod forwarded;
pub mod headers;
mod screen;
mod answers;
mod caching;
mod wire;
pub mod requests;
pub mod respond;
pub mod decide;
pub mod routing;
pub mod upstream;
mod context;
mod snapshot;
mod live;
mod site;
mod tunnel;
mod guard;
mod guests;
mod access_log;
mod service;
mod admit;
mod exchange;
mod body;
mod pulse;
mod failure;
mod authorities;
mod encrypted;
pub mod settings;
pub mod metrics;
pub mod readiness;
mod census;
pub mod limits;
pub mod tls;
mod edge;
mod frames;
mod signals;
mod control;
mod server;
pub mod clock;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod end_to_end;
#[cfg(all(fuzzing, not(test)))]
pub mod end_to_end;

pub use authorities::{Authorities, AuthoritiesError};
pub use control::{Control, Prepared, Verification};
pub use ladder::{Answer, Below, BelowError, Beside, Heard, HttpBilling, Line, Namespaced, Told};
pub use limits::Limits;
pub use readiness::Readiness;
pub use screen::Refused;
pub use server::{Gate, GateError, Listeners};
pub use settings::{LogRequests, Secret, Settings, Stopping};
pub use signals::{Signals, Stop};
pub use tls::{Certificate, CertificateError};
