//! What is measured in: servers, a site, secrets, and Tollgate processes that share them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jsonwebtoken::Algorithm;
use tempfile::TempDir;

use crate::http::{self, Connection};
use crate::process::{Cpus, Launch, Process, free_address, output};
use crate::secrets::{SITE, Secrets};
use crate::servers::Servers;
use crate::upstream;

/// A page that needs the tier `paid`.
pub const PAID_PAGE: &str = "/premium/page";
pub const PAID_ECHO: &str = "/premium/echo";
/// As many as a site would have.
const ROUTES: usize = 10;
/// For measurements of what something costs: on a busy machine, or under callgrind, an answer from below may come late, and
/// a request would be answered 503.
pub const PATIENT: &str = "[cache]\nredis_deadline = \"5s\"\nbilling_deadline = \"5s\"\n";
const CATALOG: &str = include_str!("../../config/catalog.toml");
/// How long a process may take until it is ready; under valgrind it takes a while.
pub const READY_LIMIT: Duration = Duration::from_secs(120);

/// Everything that outlives one measurement.
pub struct World {
    directory: TempDir,
    pub servers: Servers,
    pub secrets: Secrets,
    pub upstream: SocketAddr,
    /// Where the processes of role `billing` and `proxy` meet.
    billing: SocketAddr,
    tollgate: PathBuf,
    pub bare: PathBuf,
}

/// One running process of Tollgate, or one that stands for it.
pub struct Tollgate {
    pub process: Process,
    pub public: SocketAddr,
    /// Metrics and readiness, where it has them.
    pub admin: SocketAddr,
    /// Its configuration, where it has one.
    pub config: PathBuf,
}

/// How the site signs its users' tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    Hs256,
    Rs256,
    EdDsa,
}

impl Tokens {
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// How to run Tollgate.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub name: &'static str,
    pub role: &'static str,
    pub cpus: Cpus,
    /// A command that runs it, such as valgrind; empty for none.
    pub by: &'a [String],
    pub tokens: Tokens,
    /// Rules in all; the one that is measured is the last.
    pub routes: usize,
    /// What else its configuration says.
    pub extra: &'a str,
}

impl Run<'_> {
    /// As a site would run it.
    pub const fn of(name: &'static str, role: &'static str) -> Self {
        Self { name, role, cpus: Cpus::Any, by: &[], tokens: Tokens::Hs256, routes: ROUTES, extra: "" }
    }
}

impl World {
    /// Starts the servers and the site, and prepares the database. The binaries stand in `binaries`.
    pub async fn start(binaries: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tollgate-bench.").tempdir()?;
        std::fs::write(directory.path().join("catalog.toml"), CATALOG)?;
        let world = Self {
            servers: Servers::start(directory.path()).await?,
            secrets: Secrets::generate(),
            upstream: upstream::start().await?,
            billing: free_address()?,
            tollgate: binaries.join("tollgate"),
            bare: binaries.join("bare"),
            directory,
        };
        let config = world.configure(&Run::of("migrate", "billing"), world.billing)?;
        let mut migrate = world.launch("migrate", "migrate", &config).start(Cpus::Any)?;
        migrate.finished(READY_LIMIT).await?;
        Ok(world)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a process of Tollgate and waits until it says that it is ready.
    pub async fn tollgate(&self, run: Run<'_>) -> Result<Tollgate> {
        let billing = if run.role == "all" { free_address()? } else { self.billing };
        let config = self.configure(&run, billing)?;
        self.verify_by(&config, run.tokens)?;
        let launch = self.launch(run.name, "run", &config).args(["--role", run.role]).by(run.by);
        let mut process = launch.start(run.cpus)?;
        process.ready(config.admin, "/readyz", READY_LIMIT).await?;
        Ok(Tollgate { process, public: config.public, admin: config.admin, config: config.file })
    }

    /// Starts a build with the embedded database, in role `all` without servers, and waits until it is ready.
    pub async fn embedded(&self, binary: &Path) -> Result<Tollgate> {
        let config = self.configure(&Run::of("embedded", "all"), free_address()?)?;
        let launch = Launch::new("embedded", self.directory(), binary)
            .args(["run".as_ref(), "--config".as_ref(), config.file.as_os_str()])
            .env("TOLLGATE_JWT_SECRET", &self.secrets.jwt)
            .without("DATABASE_URL")
            .without("REDIS_URL");
        let mut process = launch.start(Cpus::Any)?;
        process.ready(config.admin, "/readyz", READY_LIMIT).await?;
        Ok(Tollgate { process, public: config.public, admin: config.admin, config: config.file })
    }

    /// Starts the bare Pingora, with `settings` `same` (as Tollgate's) or `plain`, and waits until it answers.
    pub async fn bare(&self, settings: &str, cpus: Cpus, by: &[String]) -> Result<Tollgate> {
        let public = free_address()?;
        let launch = Launch::new("bare", self.directory(), &self.bare);
        let mut process =
            launch.args([&public.to_string(), &self.upstream.to_string(), settings]).by(by).start(cpus)?;
        process.ready(public, PAID_PAGE, READY_LIMIT).await?;
        Ok(Tollgate { process, public, admin: public, config: PathBuf::new() })
    }

    /// Compares everything with the provider whose API is at `api_base`, by the command.
    #[cfg(feature = "sweep")]
    pub async fn reconcile(&self, key: &str, api_base: &str, limit: Duration) -> Result<()> {
        let config = self.configure(&Run::of("reconcile", "billing"), self.billing)?;
        let mut text = std::fs::read_to_string(&config.file)?;
        text.push_str(&format!("[stripe]\napi_base = \"{api_base}\"\n"));
        std::fs::write(&config.file, text)?;
        let launch = self.launch("reconcile", "reconcile", &config).env("STRIPE_API_KEY", key);
        launch.start(Cpus::Any)?.finished(limit).await
    }

    /// Puts a catalog in force by the command, which waits until all accounts have been told. `change` is what becomes of the
    /// text of the one that is in force.
    pub async fn apply(&self, change: impl FnOnce(String) -> String, limit: Duration) -> Result<()> {
        let file = self.directory().join("catalog.toml");
        std::fs::write(&file, change(std::fs::read_to_string(&file)?))?;
        let config = self.configure(&Run::of("apply", "billing"), self.billing)?;
        let launch =
            self.launch("apply", "catalog", &config).args(["apply".as_ref(), file.as_os_str(), "--yes".as_ref()]);
        launch.start(Cpus::Any)?.finished(limit).await
    }

    /// The command line and the environment of one process.
    fn launch(&self, name: &'static str, command: &str, config: &Config) -> Launch {
        Launch::new(name, self.directory(), &self.tollgate)
            .args([command.as_ref(), "--config".as_ref(), config.file.as_os_str()])
            .env("DATABASE_URL", &self.servers.database_url)
            .env("REDIS_URL", &self.servers.redis_url)
            .env("TOLLGATE_JWT_SECRET", &self.secrets.jwt)
            .env("TOLLGATE_ASSERTION_KEY", &self.secrets.assertion_pem)
            .env("STRIPE_WEBHOOK_SECRET", &self.secrets.webhook)
    }

    /// Writes the configuration of one process.
    fn configure(&self, run: &Run<'_>, billing: SocketAddr) -> Result<Config> {
        let (public, admin) = (free_address()?, free_address()?);
        let file = self.directory().join(format!("{}.toml", run.name));
        let routes: String = (1..run.routes).map(|n| rule(&format!("/section-{n}/**"), "signed_in = true")).collect();
        let text = format!(
            "catalog = \"catalog.toml\"\n\
             [site]\nurl = \"{SITE}\"\nupstream = [\"{}\"]\n\
             [listen]\npublic = \"{public}\"\nbilling = \"{billing}\"\nadmin = \"{admin}\"\n\
             [proxy]\nthreads = 1\n[shutdown]\ngrace = \"1s\"\n{routes}{}{}",
            self.upstream,
            rule("/premium/**", "tier = \"paid\""),
            run.extra
        );
        std::fs::write(&file, text)?;
        Ok(Config { file, public, admin })
    }

    /// Has the process of a configuration verify these tokens, where they are not what it verifies anyway.
    fn verify_by(&self, config: &Config, tokens: Tokens) -> Result<()> {
        let Some((algorithm, public_key)) = self.secrets.public_key(tokens) else { return Ok(()) };
        let key = self.directory().join(format!("{algorithm}.pub.pem"));
        std::fs::write(&key, public_key)?;
        let mut text = std::fs::read_to_string(&config.file)?;
        text.push_str(&format!("[identity]\nalgorithm = \"{algorithm}\"\npublic_key_file = \"{}\"\n", key.display()));
        Ok(std::fs::write(&config.file, text)?)
    }

    /// Tokens of paid accounts, as whole requests for the paid page.
    pub fn requests(&self, accounts: impl Iterator<Item = String>) -> Result<Vec<Vec<u8>>> {
        accounts.map(|account| Ok(http::get(PAID_PAGE, Some(&self.secrets.token(&account)?)))).collect()
    }

    /// Fails unless the proxy at `address` gates: a gate that lets everything through would measure well.
    pub async fn check_gate(&self, address: SocketAddr, paid: &str) -> Result<()> {
        let mut connection = Connection::new(address);
        let (paid, free) = (self.secrets.token(paid)?, self.secrets.token("nobody")?);
        let forged = format!("{}AAAA", paid.get(..paid.len() - 4).unwrap_or_default());
        for (who, token, expected) in
            [("nobody", None, 401), ("a forger", Some(&forged), 401), ("a free account", Some(&free), 402)]
        {
            let status = connection.exchange(&http::get(PAID_PAGE, token.map(String::as_str))).await?.status;
            ensure!(status == expected, "{who} was answered {status} instead of {expected}");
        }
        let answer = connection.exchange(&http::get(PAID_ECHO, Some(&paid))).await?;
        let head = String::from_utf8_lossy(answer.body).to_lowercase();
        ensure!(answer.status == 200, "a paid account was answered {}", answer.status);
        for header in ["x-entitlement-tier: paid\r\n", "x-entitlement-status: active\r\n", "x-entitlement-assertion: "]
        {
            ensure!(head.contains(header), "the upstream was not told {header:?}");
        }
        Ok(())
    }

    /// Stops the servers; Tollgate's processes are stopped by who started them.
    pub async fn stop(self) -> Result<()> {
        self.servers.stop().await
    }
}

/// A written configuration.
struct Config {
    file: PathBuf,
    public: SocketAddr,
    admin: SocketAddr,
}

fn rule(path: &str, require: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nrequire = {{ {require} }}\n")
}

/// The processor, by the name that it has.
pub fn processor() -> Result<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?");
    Ok(model.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// What the numbers were measured on and with, one line each.
pub async fn machine(valgrind: bool) -> Result<Vec<String>> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processor()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let memory = memory.split_whitespace().nth(1).context("an empty /proc/meminfo")?.parse::<u64>()? / 1024 / 1024;
    let cpus = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let mut lines = vec![format!("{cpus} × {model}, {memory} GiB, {}", output("uname", &["-sr"]).await?)];
    let mut versions = vec![output("rustc", &["--version"]).await?, "Pingora 0.9.1".to_owned()];
    versions.push(output("psql", &["--version"]).await?);
    versions.push(output("redis-server", &["--version"]).await?.split(" sha").next().unwrap_or_default().to_owned());
    if valgrind {
        versions.push(output("valgrind", &["--version"]).await?);
    }
    lines.push(versions.join("; "));
    Ok(lines)
}
