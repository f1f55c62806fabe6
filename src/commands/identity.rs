//! `tollgate identity`: by which claims accounts are named.

use anyhow::Result;
use clap::Subcommand;

use super::consent::Consent;
use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Say that accounts are to be named otherwise
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// Name accounts by the claims of the configuration from now on: accounts become other ones
    ///
    /// Until then the former claims stay in force, where the way of signing in is still there. Says how many accounts that have access
    /// become other ones; where that is none, it does not ask.
    Accept(Consent),
}

/// Says how many accounts become other ones, and does it if asked to.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    let Action::Accept(consent) = &arguments.action;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let plan = billing.plan_naming().await?;
        if !plan.is_other {
            output::json(&serde_json::json!({ "accounts": 0, "names": plan.now }))?;
            output::line(format_args!("accounts are named by {} already: nothing changes", plan.now));
            return Ok(());
        }
        let have = output::verb(plan.accounts.wanted, "has", "have");
        let accounts = output::count(plan.accounts.wanted, "account");
        let question = format!(
            "accounts were named by {} and are to be named by {}: {accounts} {have} access, and each becomes another one without it",
            plan.before, plan.now
        );
        // Where nobody loses access, there is nothing to agree to.
        if plan.accounts.wanted > 0 {
            consent.ask(&question, &plan.accounts)?;
        }
        billing.accept_naming(&plan).await?;
        output::json(&serde_json::json!({ "accounts": plan.accounts.wanted, "names": plan.now }))?;
        output::line(format_args!("accounts are named by {} now", plan.now));
        Ok(())
    })
}
