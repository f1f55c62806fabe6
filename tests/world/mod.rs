//! The world of a test: real `tollgate` processes between a recording site, a real Postgres and Redis, and a
//! simulated provider. Everything ends with the value, and with the test process.

pub mod browser;
pub mod clock;
pub mod http;
pub mod keys;
pub mod lines;
pub mod own_postgres;
pub mod polar;
pub mod pgbouncer;
pub mod ports;
pub mod process;
pub mod provider;
pub mod reasons;
pub mod relay;
pub mod replica;
pub mod servers;
pub mod session_site;
pub mod setup;
pub mod skew;
pub mod stripe;
pub mod tls_keys;
pub mod token;
pub mod tollgate;
pub mod upstream;
pub mod wait;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use demo::provider::{Mode, Provider};
use entitlement::record::{DatabaseId, Namespace};
use serde_json::Value;
use sqlx::PgConnection;
use tempfile::TempDir;

pub use clock::{in_seconds, now};
pub use http::{Answer, raw_get, send};
pub use setup::{Arrangement, Setup};
pub use token::token;
pub use tollgate::{Output, Tollgate};
pub use upstream::{Received, Upstream};
pub use wait::eventually;

use lines::{Lines, Surroundings, relayed};
use relay::Relay;
use servers::{Database, Postgres, Redis};
use setup::{Listen, Parts, Relays};

/// Signs the assertions of every world. Made for these tests alone.
pub const ASSERTION_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMoQy2GF88za/3IwjYLf4F4epGKA3rKMiFVjzOgqTxLD\n-----END PRIVATE KEY-----\n";

/// How long a one-off command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Running parts, and where they are.
pub struct World {
    /// In the order of [`Arrangement::roles`].
    pub processes: Vec<Tollgate>,
    pub upstream: Upstream,
    pub database: Option<Database>,
    pub redis: Option<Redis>,
    pub provider: Option<Provider>,
    /// Between Tollgate and Postgres, and between Tollgate and Redis, when the setup asks for them.
    pub relays: Vec<Relay>,
    /// Between all parts, in [`Arrangement::Replicated`].
    pub lines: Option<Lines>,
    /// The public origin.
    pub url: String,
    client: reqwest::Client,
    environment: Vec<(String, String)>,
    dir: TempDir,
}

impl World {
    /// The usual routes and catalog over these parts.
    pub async fn start(arrangement: Arrangement) -> Self {
        Self::with(Setup::new(arrangement)).await
    }

    /// Starts what `setup` says, and returns when every process is ready.
    pub async fn with(setup: Setup) -> Self {
        reasons::tell();
        let dir = tempfile::Builder::new().prefix("tollgate-world.").tempdir().expect("a directory");
        let database = match &setup.postgres {
            Some(url) => Some(Postgres::at(url).database().await),
            None if setup.arrangement.has_postgres() => Some(Postgres::shared().database().await),
            None => None,
        };
        let redis = setup.arrangement.has_redis().then(|| Redis::start(dir.path()));
        let upstream = Upstream::start();
        let provider = match setup.provider {
            Some(shape) => Some(provider::start(shape, setup.mode).await),
            None => None,
        };
        let mut relays = Vec::new();
        let database_url = database.as_ref().map(|database| database.url.clone());
        let redis_url = redis.as_ref().map(|redis| redis.url.clone());
        let listens = listens(setup.arrangement.roles());
        let mut surroundings = Surroundings {
            database_url,
            redis_url,
            stripe_api: provider.as_ref().map(|provider| format!("{}/", provider.url())),
        };
        if setup.relays == Relays::Both {
            let urls = [&mut surroundings.database_url, &mut surroundings.redis_url];
            relays.extend(urls.into_iter().flatten().map(relayed));
        }
        let (lines, listens, each) = match setup.arrangement {
            Arrangement::Replicated => {
                let (lines, each) = Lines::lay(setup.arrangement.roles(), &listens, &surroundings);
                let billing = lines.billing.address;
                let of_proxy = |(listen, role): (Listen, &&str)| {
                    if *role == "proxy" { Listen { billing, ..listen } } else { listen }
                };
                let listens = listens.into_iter().zip(setup.arrangement.roles()).map(of_proxy).collect();
                (Some(lines), listens, each)
            }
            _ => (None, listens, vec![surroundings; setup.arrangement.roles().len()]),
        };
        let upstream_address = setup.upstream.unwrap_or(upstream.address);
        let mut processes = start(&setup, dir.path(), upstream_address, &listens, &each);
        let environment = environment(&setup, &each[0]);
        for process in &mut processes {
            process.ready().await;
        }
        let url = site_url(&processes);
        if let Some(provider) = &provider {
            provider.set_webhook_url(Some(format!("{url}/api/stripe/webhook")));
        }
        let client = http::client();
        Self { processes, upstream, database, redis, provider, relays, lines, url, client, environment, dir }
    }

    /// The processes that face the public.
    pub fn proxies(&self) -> impl Iterator<Item = &Tollgate> {
        self.processes.iter().filter(|process| process.role != "billing")
    }

    /// The first process that faces the public.
    pub fn proxy(&self) -> &Tollgate {
        self.proxies().next().expect("every world has one")
    }

    /// The process that has the inbox.
    pub fn billing(&self) -> &Tollgate {
        &self.processes[0]
    }

    /// A request to the public listener, signed in when there is a token.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        self.request_to(self.proxy(), method, path, token)
    }

    /// As [`World::request`], to one of several proxies.
    pub fn request_to(&self, to: &Tollgate, method: &str, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, format!("http://{}{path}", to.listen.public));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        send(self.request("GET", path, token)).await
    }

    /// A GET as a browser sends it when a link is followed, with the token in the session cookie.
    pub async fn browse(&self, path: &str, token: Option<&str>) -> Answer {
        let request = self.request("GET", path, None).header("accept", "text/html,application/xhtml+xml");
        send(match token {
            Some(token) => request.header("cookie", format!("session={token}")),
            None => request,
        })
        .await
    }

    /// A POST of JSON for an account.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        send(self.request("POST", path, Some(token)).json(body)).await
    }

    /// Delivers an event as Stripe does, to the public listener.
    pub async fn deliver(&self, event: &stripe::Event) -> Answer {
        let body = event.body();
        let signature = stripe::signature(&body, in_seconds(0), &stripe::SECRETS[..1]);
        self.deliver_raw(&body, Some(&signature)).await
    }

    /// Delivers any body under any signature.
    pub async fn deliver_raw(&self, body: &str, signature: Option<&str>) -> Answer {
        let request = self.request("POST", "/api/stripe/webhook", None).header("content-type", "application/json");
        let request = match signature {
            Some(signature) => request.header("stripe-signature", signature),
            None => request,
        };
        send(request.body(body.to_owned())).await
    }

    /// Delivers an event as its provider does: whoever is told that the database is busy comes again.
    pub async fn taken(&self, event: &stripe::Event) -> Answer {
        eventually(&format!("{} is taken", event.kind), async || {
            let answer = self.deliver(event).await;
            assert!([200, 503].contains(&answer.status), "{} is taken: {answer:?}", event.kind);
            (answer.status == 200).then_some(answer)
        })
        .await
    }

    /// As [`World::taken`], where it does not matter what is said of it.
    pub async fn accepted(&self, event: &stripe::Event) {
        self.taken(event).await;
    }

    /// Delivers an event and waits until it is worked off: the state in which it rests, and why.
    pub async fn settled(&self, event: &stripe::Event) -> (String, String) {
        self.accepted(event).await;
        let mut connection = self.database.as_ref().expect("this world has a database").connect().await;
        eventually(&format!("{} is worked off", event.kind), async || {
            let row: (String, Option<String>) =
                sqlx::query_as("select state, reason from webhook_events where event_id = $1")
                    .bind(&event.id)
                    .fetch_one(&mut connection)
                    .await
                    .expect("the inbox can be read");
            (row.0 != "pending").then(|| (row.0, row.1.unwrap_or_default()))
        })
        .await
    }

    /// Waits until no event in the inbox is left to be looked at.
    pub async fn worked_off(&self) {
        let mut connection = self.database.as_ref().expect("this world has a database").connect().await;
        eventually("the inbox is worked off", async || {
            let due: i64 = sqlx::query_scalar("select count(*) from webhook_events where state = 'pending'")
                .fetch_one(&mut connection)
                .await
                .expect("the inbox can be read");
            (due == 0).then_some(())
        })
        .await;
    }

    /// Delivers an event that changes something, and waits until it has.
    pub async fn applied(&self, event: &stripe::Event) {
        let (state, reason) = self.settled(event).await;
        assert_eq!(state, "applied", "{} changes something ({reason})", event.kind);
    }

    /// Delivers an event that must change nothing.
    pub async fn ignored(&self, event: &stripe::Event) {
        let (state, reason) = self.settled(event).await;
        assert!(state == "ignored" && !reason.is_empty(), "{} changes nothing: {state} ({reason})", event.kind);
    }

    /// Waits until a GET answers `status` on every proxy.
    pub async fn everywhere(&self, path: &str, token: &str, status: u16) {
        for proxy in self.proxies() {
            eventually(&format!("{path} answers {status} on {}", proxy.process.name), async || {
                let answer = send(self.request_to(proxy, "GET", path, Some(token))).await;
                (answer.status == status).then_some(())
            })
            .await;
        }
    }

    /// Runs a command of the binary as an operator does: in the directory of the configuration, with its secrets.
    pub async fn tollgate(&self, arguments: &[&str]) -> Output {
        tollgate::tollgate(self.dir.path(), &self.environment, COMMAND_LIMIT, arguments).await
    }

    /// As [`World::tollgate`], with another value of a variable.
    pub async fn tollgate_with(&self, (name, value): (&str, &str), arguments: &[&str]) -> Output {
        let mut environment = self.environment.clone();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
        tollgate::tollgate(self.dir.path(), &environment, COMMAND_LIMIT, arguments).await
    }

    /// Where Redis holds the record of an account.
    pub async fn record_key(&self, account: &str) -> String {
        let database = self.database.as_ref().expect("this world has a database");
        record_key(&self.url, &mut database.connect().await, account).await
    }

    /// The channel on which records are pushed.
    pub fn channel(&self) -> String {
        Namespace::parse(&self.url).expect("a namespace").channel()
    }

    /// A place for files of this world.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Where the record of an account is held that is computed from a database, in a namespace.
pub async fn record_key(namespace: &str, database: &mut PgConnection, account: &str) -> String {
    let id: sqlx::types::Uuid =
        sqlx::query_scalar("select id from database_identity").fetch_one(database).await.expect("it is migrated");
    let namespace = Namespace::parse(namespace).expect("a namespace");
    namespace.key(DatabaseId::new(id.as_u128()), &account.parse().expect("an account"))
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the processes said")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for Tollgate { process, .. } in &self.processes {
            let log = process.log();
            let first = log.lines().count().saturating_sub(60);
            let last: Vec<&str> = log.lines().skip(first).collect();
            eprintln!("--- the last lines of {}:\n{}", process.name, last.join("\n"));
        }
        let received = self.upstream.received();
        let last = &received[received.len().saturating_sub(40)..];
        eprintln!("--- the last that the site received: {last:#?}");
    }
}

/// The environment of every process; what the setup says comes last and wins.
fn environment(setup: &Setup, surroundings: &Surroundings) -> Vec<(String, String)> {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut environment = vec![
        set("TOLLGATE_JWT_SECRET", token::SECRET),
        set("TOLLGATE_ASSERTION_KEY", ASSERTION_KEY),
        set("STRIPE_WEBHOOK_SECRET", &stripe::SECRETS.join(",")),
        set("RUST_LOG", "info"),
        set("RUST_BACKTRACE", "1"),
    ];
    environment.extend(surroundings.database_url.as_ref().map(|url| set("DATABASE_URL", url)));
    let key = if setup.mode == Mode::Live { provider::LIVE_KEY } else { provider::API_KEY };
    environment.extend(setup.provider.map(|_| set("STRIPE_API_KEY", key)));
    environment.extend(surroundings.redis_url.as_ref().map(|url| set("REDIS_URL", url)));
    for (name, value) in &setup.environment {
        environment.retain(|(known, _)| known != name);
        environment.push((name.clone(), value.clone()));
    }
    environment
}

/// An address of its own for each process; all have the same billing, unless several run it.
fn listens(roles: &[&str]) -> Vec<Listen> {
    let (billing, count) = (ports::free(), roles.iter().filter(|role| **role == "billing").count());
    let billing = || if count > 1 { ports::free() } else { billing };
    roles.iter().map(|_| Listen { public: ports::free(), billing: billing(), admin: ports::free() }).collect()
}

/// Starts one process for each role, all with the same site URL.
fn start(
    setup: &Setup,
    dir: &Path,
    upstream: SocketAddr,
    listens: &[Listen],
    surroundings: &[Surroundings],
) -> Vec<Tollgate> {
    let url = format!("http://{}", public(setup.arrangement.roles(), listens));
    std::fs::write(dir.join("catalog.toml"), &setup.catalog).expect("the catalog is written");
    let start = |(number, ((role, listen), surroundings)): (usize, ((&&'static str, &Listen), &Surroundings))| {
        // The first has the name that commands look for.
        let config = dir.join(if number == 0 { "tollgate.toml".to_owned() } else { format!("tollgate-{number}.toml") });
        let parts = Parts { upstream, stripe_api: surroundings.stripe_api.clone() };
        setup::write_config(&config, setup, &url, listen, &parts);
        Tollgate::start(role, *listen, config, environment(setup, surroundings))
    };
    setup.arrangement.roles().iter().zip(listens).zip(surroundings).enumerate().map(start).collect()
}

/// The public address of the first process that has one.
fn public(roles: &[&str], listens: &[Listen]) -> SocketAddr {
    let first = roles.iter().position(|role| *role != "billing").expect("one process faces the public");
    listens[first].public
}

fn site_url(processes: &[Tollgate]) -> String {
    let first = processes.iter().find(|process| process.role != "billing").expect("one process faces the public");
    format!("http://{}", first.listen.public)
}
