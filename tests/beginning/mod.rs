//! From nothing: the files of a new installation, a provider's account that has nothing yet, and the first buyer.

mod files;
mod journey;
mod migrating;
mod setting_up;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use demo::provider::{HasDefault, Key, Provider, Settings, Shape};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::servers::{Database, Postgres, Redis};
use crate::world::setup::Listen;
use crate::world::tollgate::{BINARY, Output, Tollgate};
use crate::world::{Upstream, ports};

/// The public address of the site: the provider takes no other, and finds it at the proxy.
const SITE: &str = "https://read.example";

const KEY: &str = "sk_test_of_the_tests";

/// A restricted key without the right to make what the name says.
const WITHOUT_PRICES: &str = "rk_test_without_prices";
const WITHOUT_ENDPOINTS: &str = "rk_test_without_endpoints";

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A machine on which nothing but the servers runs, and an account that sells nothing.
struct Beginning {
    dir: TempDir,
    listen: Listen,
    provider: Provider,
    database: Database,
    redis: Redis,
    upstream: Upstream,
}

impl Beginning {
    async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tollgate-beginning.").tempdir().expect("a directory");
        let listen = Listen { public: ports::free(), billing: ports::free(), admin: ports::free() };
        let settings = Settings { shape: Shape::Endive, ..Settings::new(KEY, "whsec_of_nobody") };
        let provider = Provider::start(settings).await.expect("the provider starts");
        provider.set_portal(HasDefault::No);
        provider.resolve(SITE, &format!("http://{}", listen.public));
        provider.accept_key(Key { lacks: vec!["POST prices"], ..Key::own(WITHOUT_PRICES) });
        provider.accept_key(Key { lacks: vec!["GET webhook_endpoints"], ..Key::own(WITHOUT_ENDPOINTS) });
        let database = Postgres::shared().database().await;
        let redis = Redis::start(dir.path());
        Self { dir, listen, provider, database, redis, upstream: Upstream::start() }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The variables that an operator has set before the first command.
    fn environment(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![set("DATABASE_URL", &self.database.url), set("REDIS_URL", &self.redis.url), set("STRIPE_API_KEY", KEY)]
    }

    /// The keys with the places of this machine.
    fn settings(&self) -> [String; 8] {
        let Listen { public, billing, admin } = self.listen;
        [
            format!("site.url={SITE}"),
            format!("site.upstream={}", self.upstream.address),
            "site.framework=none".to_owned(),
            format!("listen.public={public}"),
            format!("listen.billing={billing}"),
            format!("listen.admin={admin}"),
            format!("stripe.api_base={}/", self.provider.url()),
            "shutdown.grace=2s".to_owned(),
        ]
    }

    /// `tollgate init`, with the places of this machine.
    async fn init(&self) -> Output {
        let settings = self.settings();
        let mut arguments = vec!["init", "--yes", "--currency", "gbp"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        crate::world::tollgate::tollgate(self.dir(), &self.environment(), LIMIT, &arguments).await
    }

    /// A command as an operator gives it: a shell reads the secrets first.
    async fn shell(&self, command: &str) -> Output {
        self.shell_with(":", command).await
    }

    /// As [`Beginning::shell`], with another variable.
    async fn shell_with(&self, assignment: &str, command: &str) -> Output {
        let script = format!("set -a; . ./.env; {assignment}; set +a; exec \"{BINARY}\" {command}");
        let mut shell = tokio::process::Command::new("sh");
        shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.args(["-c", &script]).current_dir(self.dir()).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, shell.output()).await.expect("it ends").expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The variables of `.env`, as a shell reads them.
    fn variables(&self) -> Vec<(String, String)> {
        let script = "set -a; . ./.env; set +a; env";
        let mut shell = std::process::Command::new("sh");
        shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(self.dir());
        let output = shell.args(["-c", script]).output().expect("a shell");
        let text = String::from_utf8(output.stdout).expect("text");
        let variables = text.lines().filter_map(|line| line.split_once('='));
        let is_ours = |name: &str| !["PATH", "PWD", "SHLVL", "_"].contains(&name);
        variables.filter(|(name, _)| is_ours(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn variable(&self, name: &str) -> String {
        let found = self.variables().into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }

    /// `tollgate run`.
    async fn run(&self) -> Tollgate {
        let config = self.dir().join("tollgate.toml");
        let mut process = Tollgate::start("all", self.listen, config, self.variables());
        process.ready().await;
        process
    }

    /// The rows of one of the provider's lists, newest first.
    fn rows(&self, path: &str) -> Vec<Value> {
        let list = self.provider.read(path).expect("a list");
        list["data"].as_array().cloned().unwrap_or_default()
    }
}
