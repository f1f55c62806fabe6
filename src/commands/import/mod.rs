//! `tollgate import`: taking over what exists: accounts from a table, customers and subscriptions from a provider.

mod accounts;
mod lines;
mod sheet;
mod stripe;

use anyhow::Result;
use clap::Subcommand;

use crate::{ConfigFile, logging};

/// Take over accounts, customers and subscriptions that exist already
///
/// First `import accounts`, then `import stripe`: by then customers are known that name no account at Stripe. Both are safe to repeat and
/// beside a running Tollgate.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum What {
    Accounts(accounts::Wishes),
    Stripe(stripe::Wishes),
}

/// Imports, and says what was done.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    match &arguments.what {
        What::Accounts(wishes) => accounts::run(wishes, &arguments.config),
        What::Stripe(wishes) => stripe::run(wishes, &arguments.config),
    }
}
