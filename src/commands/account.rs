//! `tollgate account`: what a person does to one account.

use anyhow::Result;
use billing::{Asker, Block};
use entitlement::account::AccountId;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Block an account, or end its block
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Let an account pass no gated route from now on, whatever it has paid for
    ///
    /// Every proxy is told at once, and what goes on (a WebSocket, an event stream) ends. `/billing`, cancelling and the provider's portal stay open;
    /// nothing is sold to the account. Fails for an account of which nothing is known. Done again, it changes nothing.
    Block {
        /// The account id
        account: AccountId,
    },
    /// End the block of an account: what it has paid for counts again
    Unblock {
        /// The account id
        account: AccountId,
    },
}

/// Blocks or unblocks, and says what has changed.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let (account, block) = match &arguments.action {
        Action::Block { account } => (account, Block::Begin),
        Action::Unblock { account } => (account, Block::End),
    };
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let done = billing.block(account, block, Asker::Operator).await?;
        let state = if done.blocked { "blocked: no gated route passes" } else { "not blocked" };
        output::line(format_args!("{account} is {state}{}", if done.changed { "" } else { ", as it was before" }));
        output::json(&done)?;
        if done.published {
            output::progress("every proxy has been told");
        } else {
            output::warning(
                "the cache could not be told: `tollgate run` goes on trying, and proxies ask again by themselves",
            );
        }
        Ok(())
    })
}
