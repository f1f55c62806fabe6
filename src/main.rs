//! Tollgate's command line.

#![forbid(unsafe_code)]

mod admin;
mod commands;
mod config;
mod embedded;
mod handover;
mod inbox;
mod listeners;
mod logging;
mod output;
mod reload;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    catalog, check, consents, credit, database, demo, events, explain, link, migrate, provider, reconcile, run, token,
};

// Fewer instructions a request than the system's allocator, measured by `make bench`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lets requests through to your site for those who paid.
///
/// Tollgate stands in front of a site, knows from Stripe's webhooks what each user has paid for, lets paid routes
/// through, sends the others to pricing, and tells the site in signed headers who the user is and what they may use.
///
/// Secrets come from the environment: TOLLGATE_JWT_SECRET, TOLLGATE_ASSERTION_KEY, TOLLGATE_ADMIN_TOKEN, DATABASE_URL,
/// REDIS_URL, STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, POLAR_ACCESS_TOKEN, POLAR_WEBHOOK_SECRET; or from the file that the
/// same name with _FILE at its end names. RUST_LOG sets what is logged.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The configuration file, for every command that reads one.
#[derive(clap::Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = "tollgate.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Run(run::Arguments),
    Check(check::Arguments),
    Migrate(migrate::Arguments),
    Explain(explain::Arguments),
    Catalog(catalog::Arguments),
    Events(events::Arguments),
    Reconcile(reconcile::Arguments),
    Provider(provider::Arguments),
    Database(database::Arguments),
    Consents(consents::Arguments),
    Link(link::Arguments),
    Grant(credit::Grant),
    Revoke(credit::Revoke),
    Token(token::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Catalog(arguments) => catalog::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Provider(arguments) => provider::run(&arguments),
        Command::Database(arguments) => database::run(&arguments),
        Command::Consents(arguments) => consents::run(&arguments),
        Command::Link(arguments) => link::run(&arguments),
        Command::Grant(arguments) => credit::grant(&arguments),
        Command::Revoke(arguments) => credit::revoke(&arguments),
        Command::Token(arguments) => token::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
