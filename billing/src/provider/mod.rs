//! The providers: the only place where their words are known.

pub mod client;
