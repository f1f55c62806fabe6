//! One small file per command.

pub mod account;
pub mod catalog;
pub mod check;
pub mod confirm;
pub mod consent;
pub mod consents;
pub mod credit;
pub mod database;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(not(feature = "demo"))]
#[path = "no_demo.rs"]
pub mod demo;
pub mod events;
pub mod explain;
pub mod init;
pub mod link;
pub mod migrate;
pub mod moment;
pub mod parts;
pub mod provider;
pub mod reconcile;
pub mod run;
pub mod setup;
pub mod shell;
pub mod token;
