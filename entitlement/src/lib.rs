//! What an account has paid for, and what that lets it do: the words of Tollgate as types, and every decision
//! about them as a pure function.
//!
//! This crate does no I/O, is not async and never reads a clock: time comes in as an argument. `billing` turns
//! provider events into [`subscription::Subscription`]s through [`decide`], merges them into a
//! [`timeline::Timeline`] and publishes it as a [`record::Entitlement`]; `proxy` reads that record and asks
//! [`authorize`] about each request.

#![forbid(unsafe_code)]

pub mod account;
pub mod catalog;
pub mod subscription;
pub mod payment;
pub mod event;
pub mod decide;
pub mod binding;
pub mod many;
pub mod timeline;
pub mod credit;
pub mod reduction;
pub mod record;
pub mod authorize;
pub mod assertion;
pub mod fill;
pub mod login;
pub mod naming;
pub mod own_paths;
pub mod text;

/// A moment, in UTC. Never taken from a clock in this crate.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
