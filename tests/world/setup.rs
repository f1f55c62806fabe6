//! What a world consists of, and the configuration that its processes read.

use std::net::SocketAddr;
use std::path::Path;

use demo::provider::{Mode, Shape};

use super::token::{AUDIENCE, ISSUER};

/// Which real parts run behind the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// One process with the embedded Postgres and nothing else.
    AllEmbedded,
    /// One process with Postgres.
    AllPostgres,
    /// One process with Postgres and Redis.
    AllPostgresRedis,
    /// Two proxies and one billing, with Postgres and Redis.
    Separate,
    /// Two proxies and two billings, each on lines of its own that can be broken.
    Replicated,
}

impl Arrangement {
    pub fn has_postgres(self) -> bool {
        self != Self::AllEmbedded
    }

    pub fn has_redis(self) -> bool {
        matches!(self, Self::AllPostgresRedis | Self::Separate | Self::Replicated)
    }

    /// The role of each process, in the order in which they start.
    pub fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Separate => &["billing", "proxy", "proxy"],
            Self::Replicated => &["billing", "billing", "proxy", "proxy"],
            _ => &["all"],
        }
    }
}

/// The routes that the suites speak of.
pub const ROUTES: &str = r#"
[[route]]
path = "/premium/**"
require = { tier = "paid" }

[[route]]
path = "/business/**"
require = { tier = "business" }

[[route]]
path = "/archive/**"
require = { feature = "archive" }

[[route]]
path = "/signed-in/**"
require = { signed_in = true }

[[route]]
path = "/shadowed/**"
require = { tier = "paid" }
mode = "shadow"
"#;

/// What is sold in every world.
pub const CATALOG: &str = r#"
[[tier]]
code = "paid"
name = "Paid"
rank = 1
features = ["archive", "alerts"]
limits = { api_calls = 10_000 }

[[tier.price]]
provider = "stripe"
id = "price_monthly"
cadence = "monthly"
amount = 700
currency = "gbp"

[[tier.price]]
provider = "stripe"
id = "price_annual"
cadence = "annual"
amount = 7000
currency = "gbp"
trial_days = 14

[[tier]]
code = "business"
name = "Business"
rank = 2
features = ["archive", "alerts", "export"]

[[tier.price]]
provider = "stripe"
id = "price_business"
cadence = "monthly"
amount = 2900
currency = "gbp"
"#;

/// How to start a world.
pub struct Setup {
    pub arrangement: Arrangement,
    pub routes: String,
    pub catalog: String,
    /// More configuration: dotted keys and values as TOML.
    pub keys: Vec<(String, String)>,
    /// More environment; an empty value takes a variable away.
    pub environment: Vec<(String, String)>,
    /// Whether the simulated provider runs and billing may call it, and in which shape it speaks.
    pub provider: Option<Shape>,
    /// The mode in which the simulated provider sells, and of which billing's key is.
    pub mode: Mode,
    /// Whether Postgres and Redis are reached through relays.
    pub relays: Relays,
    /// The Postgres server, when it is not that of all tests.
    pub postgres: Option<String>,
    /// The site's address, when it is not the recording site.
    pub upstream: Option<SocketAddr>,
}

impl Setup {
    pub fn new(arrangement: Arrangement) -> Self {
        Self {
            arrangement,
            routes: ROUTES.to_owned(),
            catalog: CATALOG.to_owned(),
            keys: Vec::new(),
            environment: Vec::new(),
            provider: None,
            mode: Mode::Test,
            relays: Relays::None,
            postgres: None,
            upstream: None,
        }
    }

    /// Puts these routes in the place of [`ROUTES`].
    pub fn routes(mut self, routes: &str) -> Self {
        routes.clone_into(&mut self.routes);
        self
    }

    /// Sets one key, such as `cache.max_staleness`, to a TOML value, in which `{site}` is the public address; an empty one takes it away.
    pub fn key(mut self, key: &str, value: &str) -> Self {
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets one environment variable; an empty value takes it away.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the simulated provider too.
    pub fn provider(mut self, shape: Shape) -> Self {
        self.provider = Some(shape);
        self
    }

    /// Lets the simulated provider sell for real money.
    pub fn live(mut self) -> Self {
        self.mode = Mode::Live;
        self
    }

    /// Reaches Postgres and Redis through relays that can be cut.
    pub fn relays(mut self) -> Self {
        self.relays = Relays::Both;
        self
    }

    /// Makes the database in the Postgres server of this URL.
    pub fn postgres(mut self, url: &str) -> Self {
        self.postgres = Some(url.to_owned());
        self
    }

    /// Puts another site behind the gate.
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = Some(address);
        self
    }
}

/// Between Tollgate and its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relays {
    None,
    Both,
}

/// The addresses of one process.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    pub public: SocketAddr,
    pub billing: SocketAddr,
    pub admin: SocketAddr,
}

/// Writes a process's `tollgate.toml`; `site_url` is the same for all.
pub fn write_config(path: &Path, setup: &Setup, site_url: &str, listen: &Listen, parts: &Parts) {
    let Listen { public, billing, admin } = listen;
    let mut text = format!(
        r#"
catalog = "catalog.toml"
site.url = "{site_url}"
site.upstream = ["{upstream}"]
site.framework = "none"
listen.public = "{public}"
listen.billing = "{billing}"
listen.admin = "{admin}"
identity.cookie = "session"
identity.algorithm = "HS256"
identity.issuer = "{ISSUER}"
identity.audience = "{AUDIENCE}"
log.requests = "all"
shutdown.grace = "2s"
"#,
        upstream = parts.upstream
    );
    if let Some(api) = &parts.stripe_api {
        text.push_str(&format!("stripe.api_base = \"{api}\"\n"));
    }
    for (key, value) in &setup.keys {
        // The last word wins: a key that stands above is replaced.
        text = text.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect::<Vec<_>>().join("\n");
        if !value.is_empty() {
            text.push_str(&format!("\n{key} = {}\n", value.replace("{site}", site_url)));
        }
    }
    text.push_str(&setup.routes);
    std::fs::write(path, text).expect("the configuration is written");
}

/// The addresses that the configuration names beside its own.
#[derive(Clone, Debug)]
pub struct Parts {
    pub upstream: SocketAddr,
    pub stripe_api: Option<String>,
}
