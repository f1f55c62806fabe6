//! The gate as a process part: Pingora's server around it, from settings to the end of the last request.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use async_trait::async_trait;
use entitlement::record::Entitlement;
use pingora::apps::HttpServerOptions;
use pingora::proxy::http_proxy_service_with_name;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, broadcast, oneshot};
use tracing::error;

use crate::admission::Admission;
use crate::clock;
use crate::identity::Identity;
use crate::ladder::{Below, Ladder, LadderError};
use crate::metrics::{Metrics, Verdict};
use crate::readiness::Readiness;
use crate::respond::Links;
use crate::routes::Table;
use crate::service::Service;
use crate::settings::Settings;
use crate::upstream::{NoUpstream, Upstreams};
use crate::view::Views;

/// Idle connections to the servers behind the gate that are kept, in all.
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// Requests after which a client's connection is closed, so that none lives for ever.
const REQUESTS_PER_CONNECTION_MAX: u32 = 100_000;

/// Tries for one request. Only those are repeated that cannot have had an effect.
const TRIES_MAX: usize = 3;

/// The gate, ready to run.
pub struct Gate {
    server: Server,
    readiness: Arc<Readiness>,
}

/// Why the gate cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Ladder(#[from] LadderError),
    #[error(transparent)]
    NoUpstream(#[from] NoUpstream),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

impl Gate {
    /// Builds the gate. Its questions to Redis and to billing run on `io`, which must outlive it. `local` tells of
    /// changes when there is no Redis.
    ///
    /// # Errors
    /// When a setting cannot be used, or the public address is taken.
    pub fn new(
        settings: Settings,
        io: Handle,
        below: Arc<dyn Below>,
        local: Option<broadcast::Receiver<Arc<Entitlement>>>,
    ) -> Result<Self, GateError> {
        let listen = settings.listen;
        // Pingora would find out only in the background. The listener is closed again at once.
        drop(TcpListener::bind(listen).map_err(|source| GateError::Listen { address: listen, source })?);
        let ladder = Ladder::new(&settings.cache, io.clone(), Arc::clone(&below), clock::moment())?;
        ladder.follow(&settings.cache, local)?;
        let readiness = Arc::new(Readiness::default());
        io.spawn(Arc::clone(&readiness).watch(Arc::clone(&ladder), below, listen));
        let mut server = Server::new_with_opt_and_conf(None, configuration(&settings));
        server.bootstrap();
        let (upstreams, health) = Upstreams::new(&settings.upstreams, settings.billing)?;
        let mut service =
            http_proxy_service_with_name(&server.configuration, service(settings, ladder, upstreams)?, "gate");
        if let Some(proxy) = service.app_logic_mut() {
            let mut options = HttpServerOptions::default();
            options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION_MAX);
            proxy.server_options = Some(options);
        }
        service.add_tcp(&listen.to_string());
        server.add_service(service);
        if let Some(health) = health {
            server.add_service(health);
        }
        Ok(Self { server, readiness })
    }

    /// What `/readyz` reports.
    #[must_use]
    pub fn readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.readiness)
    }

    /// Serves until SIGTERM or SIGQUIT, then until the grace period is over; SIGINT ends it at once.
    pub fn run(self) {
        self.server.run(RunArgs { shutdown_signal: Box::new(Signals) });
    }

    /// Serves until `stop` is sent or dropped, then until the grace period is over.
    pub fn run_until(self, stop: oneshot::Receiver<()>) {
        self.server.run(RunArgs { shutdown_signal: Box::new(Stop(Mutex::new(stop))) });
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

fn configuration(settings: &Settings) -> ServerConf {
    ServerConf {
        threads: settings.threads,
        work_stealing: true,
        upstream_keepalive_pool_size: IDLE_CONNECTIONS_MAX,
        max_retries: TRIES_MAX,
        grace_period_seconds: Some(settings.grace_period.as_secs()),
        graceful_shutdown_timeout_seconds: Some(settings.graceful_shutdown_timeout.as_secs()),
        // Neither is used without a daemon and without an upgrade; the defaults are in a directory that all may write.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        ..ServerConf::default()
    }
}

fn service(settings: Settings, ladder: Arc<Ladder>, upstreams: Upstreams) -> Result<Service, GateError> {
    let metrics = Metrics::get().map_err(LadderError::Metrics)?;
    let links = Links::new(&settings.site_url, &settings.login_url, &settings.pricing_url);
    let views = Views::new(settings.assertion, settings.site_url, settings.identity.audience.clone());
    let table = Table::new(settings.routes, settings.default);
    let passed = table.rules().iter().map(|rule| metrics.requests(&rule.label, Verdict::Pass, "met")).collect();
    Ok(Service {
        table,
        identity: Identity::new(settings.identity),
        admission: Admission { ladder, views },
        upstreams,
        links,
        log_requests: settings.log_requests,
        metrics,
        passed,
    })
}

/// Ends gracefully on SIGTERM and SIGQUIT, at once on SIGINT. Sockets are never handed over to another process.
struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let wait = async |kind| match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(error) => {
                error!(%error, "a signal to stop cannot be received");
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = wait(SignalKind::terminate()) => ShutdownSignal::GracefulTerminate,
            () = wait(SignalKind::quit()) => ShutdownSignal::GracefulTerminate,
            // A person at a terminal: nobody waits for the end of a grace period.
            () = wait(SignalKind::interrupt()) => ShutdownSignal::FastShutdown,
        }
    }
}

/// Ends gracefully when told to.
struct Stop(Mutex<oneshot::Receiver<()>>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        // Sent or dropped: both mean stop.
        let _ = (&mut *self.0.lock().await).await;
        ShutdownSignal::GracefulTerminate
    }
}
