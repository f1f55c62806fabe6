//! Starts the parts of a role, runs them until a signal, and stops them in order.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use axum::Router;
use base64::Engine;
use billing::{Billing, Line};
use clap::ValueEnum;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::catalog::Catalog;
use entitlement::naming::Names;
use entitlement::record::forget::Forget;
use entitlement::record::{HighWater, Record};
use proxy::{Gate, Signals};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminToken, Ready};
use crate::asked;
use crate::commands::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::embedded::{Embedded, Place};
use crate::handover::Listeners;
use crate::listeners::{self, Offered};
use crate::naming;
use crate::reload::{self, Hangups, InForce, Users};
use crate::starting;

/// How long billing may take at least on the embedded database, which is one backend for everything: a busy machine must not
/// look like one whose billing is down.
const EMBEDDED_DEADLINE: Duration = Duration::from_secs(5);

/// How many changes may wait for the proxy of the same process; beyond that it reads again.
const CHANGES_WAITING_MAX: usize = 4096;

/// Which parts of Tollgate a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Proxy and billing, on one machine
    All,
    /// The gate alone: needs a billing process
    Proxy,
    /// Webhooks, checkout and the truth
    Billing,
}

impl Role {
    pub fn has_proxy(self) -> bool {
        self != Self::Billing
    }

    pub fn has_billing(self) -> bool {
        self != Self::Proxy
    }
}

/// The running parts of a process. Fields are dropped in this order: the database outlives who uses it.
pub struct Server {
    gate: Option<Gate>,
    offered: Option<Offered>,
    billing: Option<(CancellationToken, JoinHandle<Result<()>>)>,
    users: Users,
    shutdown_grace: Duration,
    runtime: Runtime,
    _database: Option<Embedded>,
}

impl Server {
    /// Starts everything that `role` needs. `place` is where an embedded database lives if DATABASE_URL names none.
    pub fn start(runtime: Runtime, config: &Config, secrets: &Secrets, role: Role, place: Place) -> Result<Self> {
        admin::register_build()?;
        let assertion = assertion_key(role, secrets)?;
        if role.has_proxy() {
            config.identity_settings(secrets)?;
        }
        let opened = listeners::open(config, secrets, role)?;
        let Listeners { public, billing: internal, admin: admin_listener, decide } = opened.share()?;
        let (changes, local) = match (role, &secrets.redis_url) {
            (Role::All, None) => {
                let (sender, receiver) = broadcast::channel(CHANGES_WAITING_MAX);
                (Some(sender), Some(receiver))
            }
            _ => (None, None),
        };
        let mut ready: Vec<Box<dyn Ready>> = Vec::new();
        let (mut database, mut billing, mut component, mut kept, mut named) = (None, None, None, None, None);
        if let Some(listener) = internal {
            let mut settings = parts::billing_settings(config, secrets, assertion.clone())?;
            let url = match &secrets.database_url {
                Some(url) => url.clone(),
                None => {
                    settings.pool_size = 1;
                    database.insert(Embedded::start(place)?).url()
                }
            };
            let started = runtime.block_on(starting::billing(&url, settings, config, changes))?;
            (kept, named) = (started.kept, started.named);
            ready.push(Box::new(started.billing.clone()));
            billing = Some(spawn_billing(&runtime, started.billing.clone(), listener)?);
            component = Some(started.billing);
        }
        let gate = match public {
            Some(listener) => {
                let gate = start_gate(
                    proxy::Listeners { public: listener, decide },
                    (config, kept.as_ref()),
                    secrets,
                    (assertion.clone(), component.clone(), local),
                    runtime.handle(),
                )?;
                ready.push(Box::new(gate.readiness()));
                Some(gate)
            }
            None => None,
        };
        if let (Some(billing), Some(gate)) = (&component, &gate) {
            let control = gate.control();
            billing.on_forget(move |forget| control.forget(forget));
        }
        let apart = gate.as_ref().filter(|_| component.is_none());
        let names_kept = naming::Kept::of(apart.map(Gate::control));
        names_kept.note_sessions(named.as_ref(), &config.names());
        ready.push(Box::new(names_kept.clone()));
        let users = Users {
            names_kept,
            billing: component,
            admin_token: Arc::new(AdminToken::new(secrets.admin_token.as_deref())),
            gate: gate.as_ref().map(|gate| (gate.control(), assertion)),
        };
        let (ready, admin_end) = (Arc::new(ready), CancellationToken::new());
        if let Some(listener) = admin_listener {
            serve_admin(&runtime, listener, admin::router(Arc::clone(&ready), &users), admin_end.clone())?;
        }
        tracing::info!(role = ?role, public = %config.file.listen.public, "tollgate is running");
        if let Some(billing) = &users.billing {
            runtime.spawn(asked::tell_of_start(billing.clone(), config.asked()));
        }
        let offered = opened.offer(&runtime, ready, admin_end);
        let shutdown_grace = config.file.shutdown.grace;
        Ok(Self { gate, offered, billing, users, shutdown_grace, runtime, _database: database })
    }

    /// By which claims accounts are named, as far as billing of this process says.
    pub fn names(&self) -> Option<Names> {
        self.users.billing.as_ref().and_then(Billing::names)
    }

    /// Reads the configuration and the secrets again on every SIGHUP.
    pub fn reload_on(&self, hangups: Hangups, in_force: InForce) {
        self.runtime.spawn(reload::follow(hangups, self.users.clone(), in_force));
    }

    /// Blocks until SIGTERM or SIGINT, or until another process has taken over; then lets what is in flight end.
    pub fn run(mut self) -> Result<()> {
        let mut signals = Signals::listen(&self.runtime).context("signals cannot be received")?;
        let mut offered = self.offered.take();
        let mut stops = async || listeners::stop(&mut signals, &mut offered).await;
        match self.gate.take() {
            Some(gate) => gate.run_while(stops),
            None => drop(self.runtime.block_on(stops())),
        }
        let Some((stop, task)) = self.billing.take() else { return Ok(()) };
        stop.cancel();
        match self.runtime.block_on(async { tokio::time::timeout(self.shutdown_grace, task).await }) {
            Ok(ended) => ended.context("billing panicked")?,
            Err(_) => bail!(
                "billing did not stop within {:?}: what it had not finished is durable and goes on at the next start",
                self.shutdown_grace
            ),
        }
    }
}

fn spawn_billing(
    runtime: &Runtime,
    billing: Billing,
    listener: TcpListener,
) -> Result<(CancellationToken, JoinHandle<Result<()>>)> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let listener = to_tokio(runtime, listener)?;
    let task = runtime.spawn(async move { Ok(billing.run(listener, stopped).await?) });
    Ok((stop, task))
}

/// What the gate shares with the other parts: the key, billing in the same process, and its changes.
type Shared = (AssertionKey, Option<Billing>, Option<broadcast::Receiver<Arc<Record>>>);

fn start_gate(
    listeners: proxy::Listeners,
    (config, kept): (&Config, Option<&Catalog>),
    secrets: &Secrets,
    (assertion, billing, local): Shared,
    io: &Handle,
) -> Result<Gate> {
    let mut settings = parts::proxy_settings(config, secrets, assertion)?;
    if let Some(names) = billing.as_ref().and_then(Billing::names) {
        naming::keep(&mut settings.identity, &names, &config.names());
    }
    if let Some(kept) = kept {
        for name in config.leave_open(kept, &mut settings.routes, &mut settings.default) {
            tracing::error!(
                route = name,
                "the catalog in force lacks what a route requires: the route does what its on_error says"
            );
        }
    }
    if billing.is_some() && secrets.database_url.is_none() {
        settings.cache.billing_deadline = settings.cache.billing_deadline.max(EMBEDDED_DEADLINE);
    }
    let below: Arc<dyn proxy::Below> = match billing {
        Some(billing) => Arc::new(InProcess(billing)),
        None => Arc::new(proxy::HttpBilling::new(
            settings.billing,
            settings.assertion.clone(),
            (settings.site_url.clone(), config.shared_addresses()),
            settings.cache.billing_deadline,
        )?),
    };
    Ok(Gate::over(listeners, settings, io.clone(), below, local)?)
}

/// Serves operators until the process ends, or `end` says that another one does.
fn serve_admin(runtime: &Runtime, listener: TcpListener, router: Router, end: CancellationToken) -> Result<()> {
    let listener = to_tokio(runtime, listener)?;
    runtime.spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(end.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the admin listener stopped");
        }
    });
    Ok(())
}

/// Billing in the same process, asked by a call.
struct InProcess(Billing);

#[async_trait]
impl proxy::Below for InProcess {
    async fn resolve(&self, account: &AccountId) -> Result<proxy::Answer, proxy::BelowError> {
        let resolved = self.0.resolve(account).await.map_err(|error| proxy::BelowError::Failed(error.into()))?;
        Ok(proxy::Answer { entitlement: resolved.entitlement, asked: Some(resolved.asked) })
    }

    async fn ended(&self, forget: &Forget) -> Result<(), proxy::BelowError> {
        self.0.tell_ends(forget).await.map_err(|problem| proxy::BelowError::Status(problem.status().as_u16()))
    }

    async fn hand_over(&self, records: &[String]) -> Result<(), proxy::BelowError> {
        self.0.put_back(records).await.map_err(|error| proxy::BelowError::Failed(error.into()))
    }

    async fn told(&self, remembered: Option<HighWater>) -> Result<proxy::Told, proxy::BelowError> {
        if let Some(remembered) = remembered {
            self.0.hear(remembered).await.map_err(|error| proxy::BelowError::Failed(error.into()))?;
        }
        let is_told = self.0.has_told();
        let Some(line) = self.0.line() else {
            return Ok(proxy::Told {
                is_told,
                heard: proxy::Heard::Nothing,
                mark: 0,
                beside: proxy::Beside::default(),
            });
        };
        let Line { namespace, database, owner, settled: is_settled, beside: is_beside, known: is_known, mark } = line;
        let line = proxy::Line { namespace, database, owner, is_settled, is_beside, is_known };
        // Its other news billing tells in this very process.
        let beside = proxy::Beside { cache: self.0.cache_id(), ..proxy::Beside::default() };
        Ok(proxy::Told { is_told, heard: proxy::Heard::Line(Arc::new(line)), mark, beside })
    }
}

#[async_trait]
impl Ready for Billing {
    async fn missing(&self) -> Vec<String> {
        let readiness = self.readiness().await;
        let away = self.redis_fault().map(|why| format!(" ({why})")).unwrap_or_default();
        let redis = if self.is_refused_by_redis() {
            "Redis refuses something that Tollgate needs: see the warnings".to_owned()
        } else {
            format!("Redis has not answered yet: does it run where REDIS_URL leads?{away}")
        };
        // Each follows from the one before it: what is missing first is told.
        let is_known = readiness.lineage || !readiness.redis || !readiness.migrated;
        let parts = [
            (readiness.database, "PostgreSQL has not answered yet: does it run where DATABASE_URL leads?"),
            (
                readiness.writable,
                "PostgreSQL accepts no writes: DATABASE_URL leads to a standby, or to a server that is read-only, and has to lead to the primary",
            ),
            (readiness.migrated || !readiness.database, "the database is not migrated: run `tollgate migrate`"),
            (readiness.redis, redis.as_str()),
            (is_known, "it is not known yet whose records Redis holds: Redis and PostgreSQL have to answer"),
        ];
        parts.into_iter().filter(|(reached, _)| !reached).map(|(_, missing)| missing.to_owned()).collect()
    }

    async fn warnings(&self) -> Vec<String> {
        Self::warnings(self).await
    }
}

#[async_trait]
impl Ready for Arc<proxy::Readiness> {
    async fn missing(&self) -> Vec<String> {
        proxy::Readiness::missing(self)
    }

    async fn warnings(&self) -> Vec<String> {
        proxy::Readiness::warnings(self).await
    }
}

/// The key of the assertions. One process can agree with itself on a key of its own; several cannot.
fn assertion_key(role: Role, secrets: &Secrets) -> Result<AssertionKey> {
    match (secrets.assertion_key()?, role) {
        (Some(key), _) => Ok(key),
        (None, Role::All) => {
            tracing::warn!(
                "TOLLGATE_ASSERTION_KEY is not set: a key was made for this start alone, so the site must fetch it again after a restart"
            );
            Ok(AssertionKey::parse(&new_assertion_key()?)?)
        }
        (None, _) => bail!(
            "TOLLGATE_ASSERTION_KEY is not set: proxy and billing need the same key, made once with `openssl genpkey -algorithm ed25519`"
        ),
    }
}

/// Makes an Ed25519 key, as the PEM that TOLLGATE_ASSERTION_KEY would hold.
pub fn new_assertion_key() -> Result<String> {
    let der = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1());
    let der = der.map_err(|_| anyhow::anyhow!("the system gives no randomness for a key"))?;
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"))
}

fn to_tokio(runtime: &Runtime, listener: TcpListener) -> Result<tokio::net::TcpListener> {
    let _context = runtime.enter();
    listener.set_nonblocking(true).context("a listener cannot be made non-blocking")?;
    tokio::net::TcpListener::from_std(listener).context("a listener cannot be registered")
}
