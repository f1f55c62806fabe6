//! The servers behind the gate: the site, on one address or several, and billing.

mod connections;
mod discovery;
mod unheard;

pub(crate) use connections::Connections;
pub use discovery::{Address, AddressError};
pub(crate) use unheard::is_unheard;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::lb::health_check::TcpHealthCheck;
use pingora::lb::selection::RoundRobin;
use pingora::lb::{Backends, LoadBalancer};
use pingora::upstreams::peer::HttpPeer;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::warn;

use self::discovery::Discovery;
use crate::limits::{KERNEL_BOUNDS_WRITES, keepalive};
use crate::routes::Destination;

/// How often each of several servers is tried.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Requests at once on one HTTP/2 connection to a server.
const STREAMS_MAX: usize = 100;

/// Most servers that are looked at for one request.
const SELECTIONS_MAX: usize = 64;

/// How long a start or a reload waits for the names of servers.
const FIRST_LOOKUP: Duration = Duration::from_secs(2);

/// Where requests go, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site: one server, or several that share the load.
    pub site: Vec<Address>,
    pub protocol: Protocol,
    /// How often names are looked up.
    pub resolve: Duration,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long a server may be silent: while it thinks, and between two parts of a response.
    pub read: Duration,
    /// How long a server may refuse to take in more of a request.
    pub write: Duration,
    /// How long an idle connection to a server is kept: less than the server keeps it.
    pub idle: Duration,
}

/// What the site speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Http1,
    /// Without TLS and without asking first (RFC 9113 section 3.3): gRPC needs it.
    Http2,
}

impl Settings {
    /// These servers, and the defaults.
    #[must_use]
    pub fn of(site: Vec<Address>) -> Self {
        Self {
            site,
            protocol: Protocol::Http1,
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(2),
            read: Duration::from_secs(300),
            write: Duration::from_secs(60),
            idle: Duration::from_millis(1_500),
        }
    }
}

/// Where requests can go.
pub(crate) struct Upstreams {
    site: Site,
    billing: HttpPeer,
    patience: Patience,
}

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) write: Duration,
}

/// The site's servers.
enum Site {
    One(HttpPeer),
    Many { balancer: Arc<LoadBalancer<RoundRobin>>, template: HttpPeer, stop: watch::Sender<bool> },
}

/// There is no server to send requests to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the site has no upstream")]
pub struct NoUpstream;

impl Upstreams {
    /// The servers. Several are watched, and names are looked up, on `io` for as long as this exists.
    pub(crate) fn new(settings: &Settings, billing: SocketAddr, io: &Handle) -> Result<Self, NoUpstream> {
        let billing = peer(billing, settings);
        let site = match settings.site.as_slice() {
            [] => return Err(NoUpstream),
            [Address::Socket(address)] => Site::One(spoken(peer(*address, settings), settings)),
            several => Self::many(several, settings, io),
        };
        let patience = Patience { connect: settings.connect, read: settings.read, write: settings.write };
        Ok(Self { site, billing, patience })
    }

    fn many(addresses: &[Address], settings: &Settings, io: &Handle) -> Site {
        let names = addresses.iter().any(|address| matches!(address, Address::Name(_)));
        let mut backends = Backends::new(Box::new(Discovery::new(addresses.to_vec())));
        backends.set_health_check(TcpHealthCheck::new());
        let mut balancer = LoadBalancer::<RoundRobin>::from_backends(backends);
        balancer.health_check_frequency = Some(HEALTH_INTERVAL);
        balancer.update_frequency = names.then_some(settings.resolve);
        balancer.parallel_health_check = true;
        let (stop, stopped) = watch::channel(false);
        let balancer = Arc::new(balancer);
        let watched = Arc::clone(&balancer);
        io.spawn(async move { watched.run(stopped, None).await });
        // The address is replaced for each request.
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Site::Many { balancer, template: spoken(peer(any, settings), settings), stop }
    }

    /// Waits, for a bounded time, until there is a server.
    pub(crate) async fn settle(&self) {
        let Site::Many { balancer, .. } = &self.site else { return };
        if !matches!(timeout(FIRST_LOOKUP, balancer.update()).await, Ok(Ok(()))) {
            warn!("the names of the site's servers are not found yet");
        }
    }

    /// A server of the site, in turn; none when all are down.
    pub(crate) fn site(&self) -> Option<Cow<'_, HttpPeer>> {
        match &self.site {
            Site::One(peer) => Some(Cow::Borrowed(peer)),
            Site::Many { balancer, template, .. } => {
                let backend = balancer.select(b"", SELECTIONS_MAX)?;
                Some(Cow::Owned(HttpPeer { _address: backend.addr, ..template.clone() }))
            }
        }
    }

    pub(crate) const fn billing(&self) -> &HttpPeer {
        &self.billing
    }

    /// Whether what serves such requests speaks HTTP/1.
    pub(crate) fn speaks_http1(&self, destination: Destination) -> bool {
        let peer = match (destination, &self.site) {
            (Destination::Billing | Destination::Webhook, _) => &self.billing,
            (Destination::Site, Site::One(peer) | Site::Many { template: peer, .. }) => peer,
        };
        peer.options.alpn.get_max_http_version() == 1
    }

    /// The address of a server of the site, in turn; none when all are down.
    pub(crate) fn site_address(&self) -> Option<SocketAddr> {
        match &self.site {
            Site::One(peer) => peer._address.as_inet().copied(),
            Site::Many { balancer, .. } => balancer.select(b"", SELECTIONS_MAX)?.addr.as_inet().copied(),
        }
    }

    /// How long a server of the site may take.
    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    /// Whether another try can reach another server.
    pub(crate) const fn are_many(&self) -> bool {
        matches!(self.site, Site::Many { .. })
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        if let Site::Many { stop, .. } = &self.site {
            stop.send_replace(true);
        }
    }
}

fn peer(address: SocketAddr, settings: &Settings) -> HttpPeer {
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.connection_timeout = Some(settings.connect);
    peer.options.total_connection_timeout = Some(settings.connect);
    peer.options.read_timeout = Some(settings.read);
    peer.options.tcp_keepalive = Some(keepalive(settings.write));
    peer.options.write_timeout = (!KERNEL_BOUNDS_WRITES).then_some(settings.write);
    peer.options.idle_timeout = Some(settings.idle);
    peer
}

fn spoken(mut peer: HttpPeer, settings: &Settings) -> HttpPeer {
    if settings.protocol == Protocol::Http2 {
        // A stream's window can be shut while its connection moves.
        peer.options.write_timeout = Some(settings.write);
        peer.options.set_http_version(2, 2);
        peer.options.max_h2_streams = STREAMS_MAX;
        peer.options.h2_ping_interval = Some(PING_INTERVAL);
    }
    peer
}
