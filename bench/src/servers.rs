//! A Postgres and a Redis of the benchmark's own. Postgres writes to disk as in production and keeps commit times.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use entitlement::record::Namespace;
use redis::aio::MultiplexedConnection;
use rustix::process::{Signal, getuid};
use tokio::process::Command;

use crate::process::{Cpus, Launch, Process, free_address, output};

const START_LIMIT: Duration = Duration::from_secs(30);

/// Both servers, while they run.
pub struct Servers {
    postgres: Process,
    redis: Process,
    directory: PathBuf,
    pub redis_port: String,
    pub database_url: String,
    pub redis_url: String,
}

impl Servers {
    /// Starts both with their files in `directory`.
    pub async fn start(directory: &Path) -> Result<Self> {
        let (postgres, database_url) = postgres(directory).await?;
        let redis_port = free_address()?.port().to_string();
        let redis = start_redis(directory, &redis_port).await?;
        let redis_url = format!("redis://127.0.0.1:{redis_port}");
        Ok(Self { postgres, redis, directory: directory.to_owned(), redis_port, database_url, redis_url })
    }

    pub fn postgres_id(&self) -> i32 {
        self.postgres.id()
    }

    pub fn redis_id(&self) -> i32 {
        self.redis.id()
    }

    /// A connection to Redis.
    pub async fn redis(&self) -> Result<MultiplexedConnection> {
        Ok(redis::Client::open(self.redis_url.as_str())?.get_multiplexed_async_connection().await?)
    }

    /// Runs one statement; its rows as lines, with columns apart by `|`.
    /// The prefix of the keys of the records.
    pub async fn records(&self) -> Result<String> {
        let mut redis = self.redis().await?;
        let keys: Vec<String> = redis::cmd("KEYS").arg("tollgate:*:owner").query_async(&mut redis).await?;
        let [key] = keys.as_slice() else { bail!("one database has the word: {keys:?}") };
        let namespace = key.trim_start_matches("tollgate:").trim_end_matches(":owner");
        let owner: String = redis::cmd("GET").arg(key).query_async(&mut redis).await?;
        let database = owner.split(':').nth(1).context("an owner names its database")?.parse()?;
        Ok(Namespace::parse(namespace)?.prefix(database))
    }

    pub async fn query(&self, statement: &str) -> Result<String> {
        query(&self.database_url, statement).await
    }

    /// Ends Redis, and starts an empty one in its place when it has been `away`.
    pub async fn restart_redis(&mut self, away: Duration) -> Result<()> {
        self.redis.end().await?;
        tokio::time::sleep(away).await;
        self.redis = start_redis(&self.directory, &self.redis_port).await?;
        Ok(())
    }

    pub async fn stop(self) -> Result<()> {
        self.redis.stop().await?;
        self.postgres.stop().await
    }
}

async fn query(url: &str, statement: &str) -> Result<String> {
    output("psql", &["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, url]).await
}

async fn postgres(directory: &Path) -> Result<(Process, String)> {
    let data = directory.join("postgres");
    std::fs::create_dir(&data)?;
    // Postgres refuses to run as root.
    let mut wrapper = Vec::new();
    if getuid().is_root() {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755))?;
        let id = |kind| async move { anyhow::Ok(output("id", &[kind, "postgres"]).await?.parse::<u32>()?) };
        chown(&data, Some(id("-u").await?), Some(id("-g").await?))?;
        wrapper = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"].to_vec();
    }
    let program = |name: &str| find(name).with_context(|| format!("there is no {name}: run scripts/install.sh"));
    let initdb = program("initdb")?;
    let made = Command::new(wrapper.first().copied().unwrap_or("env"))
        .args(wrapper.iter().skip(1))
        .arg(initdb)
        .args(["--username=bench", "--auth=trust", "--encoding=UTF8", "--no-locale", "--pgdata"])
        .arg(&data)
        .current_dir("/")
        .output()
        .await?;
    anyhow::ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    let port = free_address()?.port();
    let mut process = Launch::new("postgres", directory, program("postgres")?)
        .args([OsString::from("-D"), data.into()])
        .args(["-p".to_owned(), port.to_string()])
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"])
        .args(["-c", "track_commit_timestamp=on"])
        .by(wrapper)
        .stop_by(Signal::INT)
        .start(Cpus::Any)?;
    let url = format!("postgres://bench@127.0.0.1:{port}/postgres");
    process.until(START_LIMIT, async || query(&url, "select 1").await.is_ok()).await?;
    Ok((process, url))
}

async fn start_redis(directory: &Path, port: &str) -> Result<Process> {
    let mut process = Launch::new("redis", directory, "redis-server")
        .args(["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"])
        .start(Cpus::Any)?;
    process.until(START_LIMIT, async || output("redis-cli", &["-p", port, "ping"]).await.is_ok()).await?;
    Ok(process)
}

/// A server program of Postgres; Debian keeps them out of the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(debian.map(|version| version.path().join("bin")));
    places.into_iter().map(|place| place.join(name)).find(|program| program.is_file())
}
