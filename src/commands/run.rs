//! `tollgate run`: the server.

use anyhow::Result;

use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::embedded::Place;
use crate::serve::{Role, Server};
use crate::{ConfigFile, logging};

/// Run Tollgate
///
/// Migrates the database and applies the configured catalog first. SIGTERM lets requests in flight end; SIGINT stops at
/// once. Needs TOLLGATE_JWT_SECRET (proxy), DATABASE_URL (billing) and, for more than one process, REDIS_URL and TOLLGATE_ASSERTION_KEY.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which parts this process runs
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    #[command(flatten)]
    file: ConfigFile,
}

/// Runs until a signal.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start();
    let config = Config::load(&arguments.file.config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let secrets = Secrets::from_env();
    Server::start(&config, &secrets, arguments.role, embedded_place(&config))?.run()
}

fn embedded_place(config: &Config) -> Place {
    Place::Kept(config.embedded_path())
}
