//! Where connections come in: a place for each, TLS when there is a certificate, and a guard around what it does.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::census::Census;
use crate::decide::{Door, Peer};
use crate::frames::Frames;
use crate::guard::{self, End, Outcome};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::requests::Requests;
use crate::routing::Routing;
use crate::service::Service;
use crate::snapshot::Snapshot;
use crate::tls::Tls;

/// How long idle connections are left open after the signal to stop. Who asks on one meanwhile is answered, and told that
/// it closes; only who asks in the very moment when it closes without a word can lose a request.
const LINGER: Duration = Duration::from_secs(1);

/// What takes in connections.
pub(crate) struct Edge {
    pub(crate) proxy: Arc<HttpProxy<Service>>,
    /// The same as in `proxy`.
    pub(crate) service: Service,
    pub(crate) closing: CancellationToken,
    pub(crate) current: Arc<ArcSwap<Snapshot>>,
    pub(crate) census: Arc<Census>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: &'static Metrics,
}

impl Edge {
    async fn serve(&self, stream: Stream, limits: Limits, shutdown: &ShutdownWatch) -> Outcome {
        let Ok(mut socket) = stream.into_any().downcast::<Socket>() else { return Outcome::Ended(End::Done) };
        if let Err(error) = socket.set_keepalive(&limits.keepalive()) {
            debug!(%error, "a connection that is over already");
            return Outcome::Ended(End::Done);
        }
        let stream = match &self.tls {
            None => socket,
            Some(tls) => match timeout(limits.header_time, Box::pin(tls.accept(*socket))).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    debug!(%error, "a client does not agree on TLS");
                    return Outcome::Ended(End::Done);
                }
                Err(_) => return Outcome::Ended(End::Slow),
            },
        };
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            // Apart, so that connections that are no such thing take less memory.
            return Outcome::Ended(Box::pin(self.serve_streams(stream, limits, shutdown)).await);
        }
        let _flight = self.census.flight();
        let requests = Requests { proxy: &self.proxy, service: &self.service, shutdown, closing: &self.closing };
        guard::connection(requests.serve(stream), limits.patience(), self.closing.cancelled()).await
    }

    /// HTTP/2: every stream has a guard of its own, and the connection is closed when it is idle.
    async fn serve_streams(&self, stream: Stream, limits: Limits, shutdown: &ShutdownWatch) -> End {
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(limits.idle);
        let streams = Arc::new(Streams {
            proxy: Arc::clone(&self.proxy),
            census: Arc::clone(&self.census),
            metrics: self.metrics,
            options,
            limits,
            is_used: AtomicBool::new(false),
        });
        let unused = async {
            sleep(limits.header_time).await;
            if streams.is_used.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            End::Slow
        };
        guard::streams(streams.process_new(Box::new(Frames::new(stream)), shutdown), unused).await
    }
}

impl Edge {
    /// Whether the connections of an address are bounded: many clients come through a proxy or a gateway.
    fn bounds(&self, routing: &Routing, address: IpAddr) -> bool {
        self.service.door == Door::Public && routing.decide.peer(&routing.trusted_proxies, Some(address)) == Peer::Other
    }

    fn count(&self, end: End) {
        match end {
            End::Done => {}
            End::Slow => self.metrics.refused_connections("header_time").inc(),
            End::Held(reason) => self.metrics.ended(reason).inc(),
        }
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let (limits, from) = {
            let current = self.current.load();
            let from = address(&stream).filter(|address| self.bounds(&current.routing, *address));
            (current.limits, from)
        };
        let place = match self.census.connection(from, limits.places()) {
            Ok(place) => place,
            Err(limit) => {
                self.metrics.refused_connections(limit).inc();
                return None;
            }
        };
        match self.serve(stream, limits, shutdown).await {
            Outcome::Ended(end) => self.count(end),
            Outcome::GoesOn(rest) => {
                let edge = Arc::clone(self);
                tokio::spawn(async move {
                    let _place = place;
                    edge.count(rest.await);
                });
            }
        }
        None
    }

    async fn cleanup(&self) {
        // Nothing need be waited for when nobody is there.
        let _ = timeout(LINGER, self.census.empty()).await;
        self.closing.cancel();
        ServerApp::cleanup(&*self.proxy).await;
    }
}

/// The streams of one HTTP/2 connection.
struct Streams {
    proxy: Arc<HttpProxy<Service>>,
    census: Arc<Census>,
    metrics: &'static Metrics,
    options: HttpServerOptions,
    limits: Limits,
    /// Whether there has been a request.
    is_used: AtomicBool,
}

#[async_trait]
impl HttpServerApp for Streams {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.is_used.store(true, Ordering::Release);
        let _flight = self.census.flight();
        match guard::stream(self.proxy.process_new_http(session, shutdown)).await {
            End::Held(reason) => self.metrics.ended(reason).inc(),
            End::Slow => self.metrics.refused_connections("read").inc(),
            End::Done => {}
        }
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.limits.http2())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Where a connection comes from.
fn address(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    digest.peer_addr()?.as_inet().map(std::net::SocketAddr::ip)
}
