//! The servers behind the gate: the site, on one address or several, and billing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::lb::LoadBalancer;
use pingora::lb::health_check::TcpHealthCheck;
use pingora::lb::selection::RoundRobin;
use pingora::services::background::{GenBackgroundService, background_service};
use pingora::upstreams::peer::HttpPeer;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a server may be silent: while it thinks, between two parts of a response, on a quiet WebSocket.
const READ: Duration = Duration::from_secs(300);

/// How long a server may refuse to take in more of a request.
const WRITE: Duration = Duration::from_secs(60);

/// How long an idle connection is kept: less than the 5 seconds after which common application servers close theirs.
const IDLE: Duration = Duration::from_secs(4);

/// How often each of several servers is tried.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Most servers that are looked at for one request.
const SELECTIONS_MAX: usize = 64;

/// Where requests can go.
pub(crate) struct Upstreams {
    site: Site,
    billing: HttpPeer,
}

/// The site's servers.
enum Site {
    One(HttpPeer),
    Many { balancer: Arc<LoadBalancer<RoundRobin>>, template: HttpPeer },
}

/// The service that keeps trying several servers.
pub(crate) type HealthService = GenBackgroundService<LoadBalancer<RoundRobin>>;

/// There is no server to send requests to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the site has no upstream")]
pub struct NoUpstream;

impl Upstreams {
    /// The servers, and the service that watches them when there are several.
    pub(crate) fn new(site: &[SocketAddr], billing: SocketAddr) -> Result<(Self, Option<HealthService>), NoUpstream> {
        let (first, others) = site.split_first().ok_or(NoUpstream)?;
        let template = peer(*first);
        if others.is_empty() {
            return Ok((Self { site: Site::One(template), billing: peer(billing) }, None));
        }
        let mut balancer = LoadBalancer::<RoundRobin>::try_from_iter(site).map_err(|_| NoUpstream)?;
        balancer.set_health_check(TcpHealthCheck::new());
        balancer.health_check_frequency = Some(HEALTH_INTERVAL);
        let service = background_service("upstream health", balancer);
        let site = Site::Many { balancer: service.task(), template };
        Ok((Self { site, billing: peer(billing) }, Some(service)))
    }

    /// A server of the site, in turn; none when all are down.
    pub(crate) fn site(&self) -> Option<Box<HttpPeer>> {
        match &self.site {
            Site::One(peer) => Some(Box::new(peer.clone())),
            Site::Many { balancer, template } => {
                let backend = balancer.select(b"", SELECTIONS_MAX)?;
                Some(Box::new(HttpPeer { _address: backend.addr, ..template.clone() }))
            }
        }
    }

    pub(crate) fn billing(&self) -> Box<HttpPeer> {
        Box::new(self.billing.clone())
    }

    /// Whether another try can reach another server.
    pub(crate) const fn are_many(&self) -> bool {
        matches!(self.site, Site::Many { .. })
    }
}

fn peer(address: SocketAddr) -> HttpPeer {
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.connection_timeout = Some(CONNECT);
    peer.options.total_connection_timeout = Some(CONNECT);
    peer.options.read_timeout = Some(READ);
    peer.options.write_timeout = Some(WRITE);
    peer.options.idle_timeout = Some(IDLE);
    peer
}
