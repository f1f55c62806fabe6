//! `tollgate provider`: which of a provider's keys speaks for what is stored.

use anyhow::Result;
use clap::Subcommand;

use super::consent::Consent;
use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Say which key of a provider counts
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// After tests: live subscriptions alone count, and those of test mode grant nothing
    ///
    /// Until then a live STRIPE_API_KEY is not used where subscriptions of test mode run. Says how many stop granting.
    UseLive(Consent),
}

/// Says what would stop granting, and does it if asked to.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    let Action::UseLive(consent) = &arguments.action;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let plan = billing.plan_use_live().await?;
        if plan.is_live {
            output::json(&serde_json::json!({ "accounts": 0, "published": true }))?;
            output::line("live subscriptions alone count already: nothing changes");
            return Ok(());
        }
        let (subscriptions, accounts) = (plan.subscriptions, plan.accounts.wanted);
        let stop = output::verb(subscriptions, "stops", "stop");
        let (subscriptions, of) =
            (output::count(subscriptions, "test subscription"), output::count(accounts, "account"));
        let question = format!("{subscriptions} of {of} {stop} granting");
        consent.ask(&question, &plan.accounts)?;
        let went = billing.use_live(&plan).await?;
        parts::publish_all(&billing).await?;
        output::json(&went)?;
        output::line(format_args!(
            "live subscriptions alone count now: the test subscriptions of {} grant nothing any more",
            output::count(u64::try_from(went.accounts).unwrap_or(u64::MAX), "account")
        ));
        Ok(())
    })
}
