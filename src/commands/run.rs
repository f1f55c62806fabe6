//! `tollgate run`: the server.

use anyhow::Result;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::embedded::Place;
use crate::reload::Hangups;
use crate::serve::{Role, Server};
use crate::{ConfigFile, logging};

/// Run Tollgate
///
/// Migrates the database and applies the configured catalog first. SIGTERM lets requests in flight end; SIGINT stops at
/// once; SIGHUP reads the secrets that stand in files again. Needs TOLLGATE_JWT_SECRET (proxy), DATABASE_URL (billing) and, for more than one process, REDIS_URL and TOLLGATE_ASSERTION_KEY.
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
    let runtime = parts::runtime()?;
    let hangups = Hangups::listen(&runtime)?;
    let config = Config::load(&arguments.file.config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let secrets = Secrets::from_env()?;
    let server = Server::start(runtime, &config, &secrets, arguments.role, embedded_place(&config))?;
    server.reload_on(hangups, secrets);
    server.run()
}

fn embedded_place(config: &Config) -> Place {
    Place::Kept(config.embedded_path())
}
