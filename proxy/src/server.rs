//! The gate as a process part: from settings to the end of the last request.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use entitlement::record::Record;
use parking_lot::Mutex;
use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::proxy::http_proxy;
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use pingora::services::listening::Service as Listening;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::census::Census;
use crate::clock;
use crate::control::Control;
use crate::decide::Door;
use crate::edge::Edge;
use crate::identity::{Identity, PublishedError};
use crate::ladder::{Below, Ladder, LadderError};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::service::Service;
use crate::settings::Settings;
use crate::signals::Stop;
use crate::snapshot::{Parts, Snapshot};
use crate::tls::Tls;
use crate::upstream::{Connections, UpstreamError, Upstreams};
use crate::view::Views;

/// Idle connections to the servers behind the gate that are kept: in all by Pingora, for each server by
/// [`Connections`].
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// Tries for one request. Only those are repeated that cannot have had an effect.
pub(crate) const TRIES_MAX: usize = 3;

/// What is read ahead of TLS, which reads in small pieces, in bytes: one record.
const TLS_BUFFER: usize = 16 * 1024;

/// Without TLS nothing is read ahead: requests have buffers of their own, and an idle connection should have none.
const PLAIN_BUFFERS: L4BufferSettings = L4BufferSettings { read: Some(0), write: None };

/// How long HTTP/2 connections may take to close once nothing is in flight on them.
const CLOSE: Duration = Duration::from_secs(1);

/// How long the runtime may take to end after that.
const RUNTIME_END: Duration = Duration::from_secs(1);

/// The gate, ready to run.
pub struct Gate {
    entrances: Vec<Entrance>,
    runtime: Runtime,
    census: Arc<Census>,
    control: Control,
    readiness: Arc<Readiness>,
}

/// One listener, and what serves on it.
struct Entrance {
    listening: Listening<Edge>,
    /// Opened twice: Pingora closes the one that it serves on.
    listeners: [TcpListener; 2],
    address: SocketAddr,
}

/// The listeners of a gate, which are open already.
#[derive(Debug)]
pub struct Listeners {
    pub public: TcpListener,
    /// Where other gateways ask for decisions, when that is apart.
    pub decide: Option<TcpListener>,
}

/// Why the gate cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Ladder(#[from] LadderError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("the identity provider's keys cannot be fetched")]
    Keys(#[from] PublishedError),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the runtime does not start")]
    Runtime(#[source] std::io::Error),
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
        local: Option<broadcast::Receiver<Arc<Record>>>,
    ) -> Result<Self, GateError> {
        let address = settings.listen;
        let listener = TcpListener::bind(address).map_err(|source| GateError::Listen { address, source })?;
        Self::over(Listeners { public: listener, decide: None }, settings, io, below, local)
    }

    /// As [`Gate::new`], over listeners that are open already.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn over(
        listeners: Listeners,
        settings: Settings,
        io: Handle,
        below: Arc<dyn Below>,
        local: Option<broadcast::Receiver<Arc<Record>>>,
    ) -> Result<Self, GateError> {
        let address = settings.listen;
        let metrics = Metrics::get().map_err(LadderError::Metrics)?;
        let ladder = Ladder::new(&settings.cache, io.clone(), Arc::clone(&below), clock::moment())?;
        ladder.follow(&settings.cache, local)?;
        let identity = Arc::new(Identity::new(settings.identity.clone())?);
        identity.follow(&io);
        let readiness = Arc::new(Readiness::default());
        io.spawn(Arc::clone(&readiness).watch(Arc::clone(&ladder), Arc::clone(&identity), below, address));
        let views =
            Views::new(settings.assertion.clone(), settings.site_url.clone(), settings.assertion_audience.clone());
        let upstreams = Upstreams::new(&settings.upstream, settings.billing, &io)?;
        io.block_on(upstreams.settle());
        let parts = Parts { identity, admission: Arc::new(Admission { ladder, views }), upstreams };
        let runtime = runtime(settings.threads).map_err(GateError::Runtime)?;
        let tls = settings.certificate.clone().map(|certificate| Arc::new(Tls::new(certificate)));
        let configuration = Arc::new(configuration(&settings));
        let census = Census::new(metrics.connections.clone(), metrics.live.clone());
        parts.identity.told_by(&parts.admission.ladder);
        let current = Arc::new(ArcSwap::from_pointee(Snapshot::new(settings, parts, metrics)));
        let ladder = Arc::clone(&current.load().admission.ladder);
        let forgetting = Arc::downgrade(&current);
        ladder.on_forget(move |forget| {
            if let Some(current) = forgetting.upgrade() {
                current.load().identity.forget(forget);
            }
        });
        let connections = Arc::new(Connections::new(IDLE_CONNECTIONS_MAX));
        runtime.spawn(Connections::watch(Arc::downgrade(&connections)));
        let edge = |door, tls: Option<Arc<Tls>>| {
            let (current, census, connections) = (Arc::clone(&current), Arc::clone(&census), Arc::clone(&connections));
            let service =
                Service { current: Arc::clone(&current), census: Arc::clone(&census), metrics, connections, door };
            let mut proxy = http_proxy(&configuration, service.clone());
            let mut options = HttpServerOptions::default();
            // Refused by the gate, as on every other way.
            options.allow_connect_method_proxying = true;
            options.keepalive_request_limit = Some(current.load().limits.requests_per_connection);
            proxy.server_options = Some(options);
            let (proxy, closing) = (Arc::new(proxy), CancellationToken::new());
            Edge { proxy, service, closing, current, census, tls, metrics }
        };
        let mut entrances = vec![Entrance::new(listeners.public, address, edge(Door::Public, tls.clone()))?];
        if let Some(listener) = listeners.decide {
            let source = |source| GateError::Listen { address, source };
            let address = listener.local_addr().map_err(source)?;
            entrances.push(Entrance::new(listener, address, edge(Door::Decide, None))?);
        }
        let control = Control::new(Arc::clone(&current), tls, io, metrics);
        Ok(Self { entrances, runtime, census, control, readiness })
    }

    /// What `/readyz` reports.
    #[must_use]
    pub fn readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.readiness)
    }

    /// Replaces settings while the gate runs.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until `stop` is sent or dropped, then until nothing is in flight or the grace period is over.
    pub fn run_until(self, stop: oneshot::Receiver<()>) {
        let mut stop = Some(stop);
        self.run_while(async move || match stop.take() {
            // Sent or dropped: both mean stop.
            Some(stop) => stop.await.map_or(Stop::Graceful, |()| Stop::Graceful),
            None => std::future::pending().await,
        });
    }

    /// Serves until `stops` says so, then until nothing is in flight, the grace period is over, or it says
    /// [`Stop::Fast`].
    pub fn run_while(self, mut stops: impl AsyncFnMut() -> Stop) {
        let Self { entrances, runtime, census, control, readiness } = self;
        let (shutdown, watched) = watch::channel(false);
        let mut kept = Vec::new();
        for Entrance { mut listening, listeners: [serving, other], address } in entrances {
            let (fds, watched) = (Arc::new(Mutex::new(Fds::new())), watched.clone());
            fds.lock().add(address.to_string(), serving.into_raw_fd());
            kept.push(other);
            runtime.spawn(async move { listening.start_service(Some(fds), watched, 1).await });
        }
        runtime.block_on(async {
            if stops().await == Stop::Fast {
                return;
            }
            readiness.stop();
            let stopping = control.stopping();
            info!("no new connections are taken in: requests under way end");
            sleep(stopping.delay).await;
            // The last ones but Pingora's, which closes its own.
            kept.clear();
            shutdown.send_replace(true);
            let fast = async { while stops().await != Stop::Fast {} };
            tokio::select! {
                () = drained(&census, stopping.grace) => {}
                () = fast => {}
            }
        });
        runtime.shutdown_timeout(RUNTIME_END);
    }
}

impl Entrance {
    fn new(listener: TcpListener, address: SocketAddr, edge: Edge) -> Result<Self, GateError> {
        let source = |source| GateError::Listen { address, source };
        listener.set_nonblocking(true).map_err(source)?;
        let listeners = [listener.try_clone().map_err(source)?, listener];
        let buffers = if edge.tls.is_some() { L4BufferSettings::default().read(TLS_BUFFER) } else { PLAIN_BUFFERS };
        let mut listening = Listening::new("gate".to_owned(), edge);
        listening.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
        Ok(Self { listening, listeners, address })
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

/// Waits until nothing is in flight, for the grace period at most. What streams for ever is not waited for.
async fn drained(census: &Census, grace: Duration) {
    let is_quiet = timeout(grace, census.quiet()).await.is_ok();
    let (flights, live) = census.in_flight();
    if !is_quiet {
        warn!(requests = flights - live.min(flights), "the grace period is over: what is under way is cut off");
    } else if live == 0 {
        let _ = timeout(CLOSE, census.empty()).await;
    }
    if live > 0 {
        info!(live, "WebSockets and event streams end with the process");
    }
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads.max(1))
        .thread_name("tollgate-gate")
        .build()
}

fn configuration(settings: &Settings) -> ServerConf {
    ServerConf {
        threads: settings.threads,
        upstream_keepalive_pool_size: IDLE_CONNECTIONS_MAX,
        max_retries: TRIES_MAX,
        // Neither is used without a daemon; the defaults are in a directory that all may write.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        ..ServerConf::default()
    }
}
