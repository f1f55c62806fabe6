//! `tollgate database`: whose word counts after a restore, a failover, or with a new database.

use anyhow::{Result, bail};
use billing::AcceptPlan;
use clap::Subcommand;

use super::consent::Consent;
use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Say that the database counts
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// After a restore: take the database's word where it lowers somebody
    ///
    /// Until then what was told before goes on to serve, and only what is new of an account counts. Says how many accounts lose
    /// something; where Redis has lost its records, that cannot be counted, and --force is needed. Needs DATABASE_URL and REDIS_URL.
    Accept(Consent),
}

/// Says who would lose something, and does it if asked to.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    let Action::Accept(consent) = &arguments.action;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let plan = billing.plan_accept().await?;
        if plan.is_settled {
            output::json(&serde_json::json!({ "accounts": 0 }))?;
            output::line("what the database says counts already: nothing changes");
            return Ok(());
        }
        if plan.is_beside {
            output::warning(
                "another installation that runs has the word under this cache.namespace: if it is not to end, set another one instead",
            );
        }
        if !plan.is_counted {
            let uncounted = "Redis holds no record of what was told before: how many accounts lose something by this cannot be counted, as only proxies that run on may hold some";
            if !consent.is_forced() {
                bail!("{uncounted}. That may be many; nothing is done without --force");
            }
            output::warning(uncounted);
        }
        plan.by.iter().for_each(|(what, count)| output::note(billing::tallied(*count, what)));
        consent.ask(&question(&plan), &plan.accounts)?;
        let lost = billing.accept_database(&plan, consent.is_forced()).await?;
        output::json(&serde_json::json!({ "accounts": lost }))?;
        output::line(format_args!(
            "what the database says counts now: {} lost something by it",
            output::count(lost, "account")
        ));
        Ok(())
    })
}

fn question(plan: &AcceptPlan) -> String {
    format!(
        "{} {} something by the database's word, of {} about which other records serve",
        output::count(plan.accounts.wanted, "account"),
        output::verb(plan.accounts.wanted, "loses", "lose"),
        plan.held
    )
}
