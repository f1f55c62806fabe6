//! `tollgate catalog`: see what a catalog file would change, and change it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::parts;
use crate::config::secrets::Secrets;
use crate::config::{self, Config};
use crate::{ConfigFile, logging, output};

/// Show or apply the difference between a catalog file and what is sold now
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// Show what applying FILE would change
    Plan(Catalog),
    /// Show the difference, then apply it: every account is told
    Apply(Catalog),
}

#[derive(clap::Args)]
struct Catalog {
    /// The catalog file
    file: PathBuf,
}

/// Prints the difference, and applies it if asked to.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let (Action::Plan(named) | Action::Apply(named)) = &arguments.action;
    let catalog = config::read_catalog(&named.file)?;
    let config = Config::load(&arguments.config.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let plan = billing.plan_catalog(&catalog).await?;
        if plan.changes.is_empty() {
            output::line("nothing changes");
        }
        plan.changes.iter().for_each(output::line);
        if matches!(arguments.action, Action::Apply(_)) {
            output::progress("applying …");
            let applied = billing.apply_catalog(&catalog).await?;
            output::progress("telling the cache …");
            parts::publish_all(&billing).await?;
            output::line(format_args!(
                "applied: {} changes, {} accounts told",
                applied.changes.len(),
                applied.accounts
            ));
        }
        Ok(())
    })
}
