//! `tollgate account`: what there is of one account, and what a person does to it.

mod gone;
mod shown;

use anyhow::Result;
use billing::{Asker, Billing, Block, Unknown};
use entitlement::account::AccountId;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Find, show, move, block, copy or erase an account
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
    /// Find accounts by a part of their id, or by what a provider calls something of theirs
    ///
    /// TEXT is part of an account's id, or the whole id of a customer, a subscription, an invoice, a payment or an event at the provider, or a
    /// referral code. At most 50 are listed. Fails when there is none.
    Find {
        text: String,
    },
    /// Show what there is of an account: what it has now, its customers, subscriptions and credits
    ///
    /// Why it has that is told by `tollgate explain account`. Fails for an account of which nothing is known.
    Show {
        /// The account id
        account: AccountId,
    },
    Move(gone::Move),
    /// Let an account pass no gated route from now on, whatever it has paid for
    ///
    /// Every proxy is told at once, and what goes on (a WebSocket, an event stream) ends. `/billing`, cancelling and the provider's portal stay open;
    /// nothing is sold to the account. Fails for an account of which nothing is known, unless --force is given. Done again, it changes nothing.
    Block {
        /// The account id
        account: AccountId,
        /// Block it although nothing is known of it, such as one that has never bought
        #[arg(long)]
        force: bool,
    },
    /// End the block of an account: what it has paid for counts again
    Unblock {
        /// The account id
        account: AccountId,
    },
    Export(shown::Export),
    Erase(gone::Erase),
}

/// Does what is asked for, and says what has changed.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        match &arguments.action {
            Action::Find { text } => shown::find(&billing, text).await,
            Action::Show { account } => shown::show(&billing, account).await,
            Action::Export(export) => shown::export(&billing, export).await,
            Action::Move(wish) => gone::move_account(&billing, wish).await,
            Action::Erase(wish) => gone::erase(&billing, wish).await,
            Action::Block { account, force } => {
                let unknown = if *force { Unknown::Block } else { Unknown::Refuse };
                block(&billing, account, (Block::Begin, unknown)).await
            }
            Action::Unblock { account } => block(&billing, account, (Block::End, Unknown::Refuse)).await,
        }
    })
}

async fn block(billing: &Billing, account: &AccountId, block: (Block, Unknown)) -> Result<()> {
    let done = billing.block(account, block, Asker::Operator).await?;
    let state = if done.blocked { "blocked: no gated route passes" } else { "not blocked" };
    output::line(format_args!("{account} is {state}{}", if done.changed { "" } else { ", as it was before" }));
    output::json(&done)?;
    parts::say_when_it_holds(done.published);
    Ok(())
}
