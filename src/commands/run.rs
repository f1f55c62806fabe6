//! `tollgate run`: the server.

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::embedded::Place;
use crate::reload::{Hangups, InForce};
use crate::serve::{Role, Server};
use crate::{ConfigFile, logging};

/// Run Tollgate
///
/// Migrates the database and applies the configured catalog first. SIGTERM lets requests in flight end; SIGINT stops at
/// once; SIGHUP reads the configuration, and the secrets that stand in files, again. Needs TOLLGATE_JWT_SECRET (proxy, for HS256), DATABASE_URL (billing) and, for more than one process, REDIS_URL and TOLLGATE_ASSERTION_KEY.
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
    let _log = logging::start()?;
    let runtime = parts::runtime()?;
    let hangups = Hangups::listen(&runtime)?;
    raise_file_limit();
    forgo_huge_pages();
    let config = Config::load(&arguments.file.config)?;
    config.check_certificate(parts::now())?;
    for warning in config.warnings.iter().chain(&config.warn_of_certificate(parts::now())) {
        tracing::warn!("{warning}");
    }
    let secrets = Secrets::from_env()?;
    for warning in secrets.warnings() {
        tracing::warn!("{warning}");
    }
    if secrets.redis_url.is_none() && arguments.role != Role::All {
        tracing::warn!(
            "REDIS_URL is not set: this process hears of no change, so each is in force after cache.max_staleness only"
        );
    }
    let server = Server::start(runtime, &config, &secrets, arguments.role, embedded_place(&config))?;
    let (path, names) = (arguments.file.config.clone(), server.names());
    server.reload_on(hangups, InForce { path, config, secrets, names });
    server.run()
}

/// Every connection takes a file handle: as many as the system allows, not as many as a shell begins with.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the number of open files cannot be raised");
    }
}

/// Buffers are larger than what most of them ever hold. With huge pages all of each would take memory: four times as much
/// for an idle WebSocket.
fn forgo_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages cannot be forgone: idle connections take more memory");
    }
}

fn embedded_place(config: &Config) -> Place {
    Place::Kept(config.embedded_path())
}
