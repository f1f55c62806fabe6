//! Tollgate from outside: real processes, real servers, real HTTP. Nothing here calls into the product's crates.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

mod mistakes;
mod world;
mod beginning;
mod importing;
mod journeys;
mod keys;
mod scripted;
mod selling;
mod gate;
mod gateways;
mod attack;
mod webhooks;
mod crash;
mod database_rights;
mod chaos;
mod faults;
mod freshness;
mod organisations;
mod outage;
mod packaging;
mod scale;
mod bad_input;
mod browser;
mod catalog;
mod commands;
mod admin;
mod application;
mod rotation;
mod protocols;
mod restored;
mod running;
mod upstreams;
mod examples;
mod frameworks;
mod tidy;
mod hooks;
