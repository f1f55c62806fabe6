//! `tollgate migrate`: bring the database to this version's schema.

use anyhow::Result;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Bring the database at DATABASE_URL to this version's schema
///
/// `tollgate run` does the same at start. Safe to run again, and while others run.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Migrates, and says so.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    let secrets = Secrets::from_env()?;
    parts::runtime()?.block_on(async {
        let billing = parts::unmigrated_billing(&config, &secrets).await?;
        output::progress("migrating the database …");
        billing.migrate().await?;
        output::json(&serde_json::json!({ "migrated": true }))?;
        output::line("the database is up to date");
        Ok(())
    })
}
