//! Webhooks as providers send them: forged, late, twice, out of order, and before anybody knows the customer.

mod delivery;
mod drift;
mod foreign;
mod linking;
mod own_path;
mod traps;
mod polar;
