//! One server behind the gate, and how a connection with it is made.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::address::{Address, Place};
use super::secure::{Secure, Speaks};
use super::{Protocol, Settings};
use crate::limits::{KERNEL_BOUNDS_WRITES, keepalive};

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Requests at once on one HTTP/2 connection to a server.
const STREAMS_MAX: usize = 100;

/// Where Pingora believes a server under TLS to be. Its connections are made by [`Secure`], whatever the address; and this
/// is the one address for which Pingora uses a connection again without comparing it with the connection's own.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Numbers servers, so that no connection of one is used for another, nor one of a former configuration.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A server behind the gate.
pub(crate) struct Server {
    id: u64,
    /// For the log.
    name: String,
    peer: HttpPeer,
    secure: Option<Arc<Secure>>,
    /// What it is told as `Host` in place of what the client asks for.
    host: Option<HeaderValue>,
    transport: Arc<TransportConnector>,
    /// Why it gets no requests, if it gets none.
    down: ArcSwapOption<String>,
}

/// How servers of one configuration are spoken to.
pub(super) struct Speech<'a> {
    pub(super) settings: &'a Settings,
    pub(super) transport: &'a Arc<TransportConnector>,
    pub(super) protocol: Protocol,
}

impl Server {
    /// The server at a place where nothing has to be looked up.
    pub(super) fn new(
        place: &PeerAddress,
        name: String,
        host: Option<HeaderValue>,
        speaks: Option<&Speaks>,
        speech: &Speech<'_>,
    ) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut peer = peer(place.clone(), speech.settings);
        // Servers at one place may be different ones by their names.
        peer.group_key = id;
        let secure = speaks.map(|speaks| Arc::new(Secure::new(speaks.clone(), name.clone(), peer.clone(), speech)));
        if let Some(secure) = &secure {
            peer._address = PeerAddress::Inet(ELSEWHERE);
            // For the log alone.
            peer.sni.clone_from(&name);
            peer.options.custom_l4 = Some(Arc::clone(secure) as _);
        }
        if !matches!(place, PeerAddress::Inet(_)) {
            // The kernel bounds writes of TCP alone.
            peer.options.write_timeout = Some(speech.settings.write);
        }
        if speech.protocol == Protocol::Http2 {
            // A stream's window can be shut while its connection moves.
            peer.options.write_timeout = Some(speech.settings.write);
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS_MAX;
            peer.options.h2_ping_interval = Some(PING_INTERVAL);
        }
        let transport = Arc::clone(speech.transport);
        Self { id, name, peer, secure, host, transport, down: ArcSwapOption::empty() }
    }

    /// Billing: on this machine or network, without TLS, by HTTP/1.1.
    pub(super) fn billing(address: SocketAddr, settings: &Settings, transport: &Arc<TransportConnector>) -> Self {
        let speech = Speech { settings, transport, protocol: Protocol::Http1 };
        Self::new(&PeerAddress::Inet(address), "billing".to_owned(), None, None, &speech)
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How Pingora reaches it.
    pub(crate) const fn peer(&self) -> &HttpPeer {
        &self.peer
    }

    pub(crate) const fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// Whether TLS is spoken with it.
    pub(crate) const fn is_secure(&self) -> bool {
        self.secure.is_some()
    }

    /// Its address when it is reached by TCP alone.
    pub(crate) fn plain_address(&self) -> Option<SocketAddr> {
        if self.is_secure() { None } else { self.peer._address.as_inet().copied() }
    }

    /// A new connection for HTTP/1.1.
    ///
    /// # Errors
    /// When there is none, for whatever reason: nothing has been said then.
    pub(crate) async fn connect(&self) -> Result<Stream> {
        let Some(secure) = &self.secure else { return self.transport.new_stream(&self.peer).await };
        self.bounded(secure.open(Protocol::Http1)).await.map(|stream| Box::new(stream) as Stream)
    }

    /// Whether it can be reached, as its requests would.
    pub(super) async fn check(&self) -> Result<()> {
        let Some(secure) = &self.secure else { return self.transport.new_stream(&self.peer).await.map(drop) };
        let mut stream = self.bounded(secure.open(secure.protocol())).await?;
        // It need not wait for the end.
        let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
        Ok(())
    }

    /// Waits for a connection under TLS no longer than may be.
    async fn bounded<T>(&self, connecting: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(patience) = self.peer.options.total_connection_timeout else { return connecting.await };
        let what = || format!("TLS with {} takes longer than {patience:?}", self.name);
        timeout(patience, connecting).await.unwrap_or_else(|_| Error::e_explain(ErrorType::ConnectTimedout, what()))
    }

    /// Why it gets no requests, if it gets none.
    pub(super) fn why_down(&self) -> Option<Arc<String>> {
        self.down.load_full()
    }

    pub(super) fn is_up(&self) -> bool {
        self.down.load().is_none()
    }

    pub(super) fn set_down(&self, why: Option<String>) {
        self.down.store(why.map(Arc::new));
    }
}

fn peer(place: PeerAddress, settings: &Settings) -> HttpPeer {
    let mut peer = HttpPeer::new(ELSEWHERE, false, String::new());
    peer._address = place;
    peer.options.connection_timeout = Some(settings.connect);
    peer.options.total_connection_timeout = Some(settings.connect);
    peer.options.read_timeout = Some(settings.read);
    peer.options.tcp_keepalive = Some(keepalive(settings.write));
    peer.options.write_timeout = (!KERNEL_BOUNDS_WRITES).then_some(settings.write);
    peer.options.idle_timeout = Some(settings.idle);
    peer
}

/// The place of an address that is no name.
///
/// # Errors
/// When the system knows no such place.
pub(super) fn fixed_place(address: &Address) -> Result<Option<PeerAddress>> {
    Ok(match &address.place {
        Place::Socket(address) => Some(PeerAddress::Inet(*address)),
        Place::Name(..) => None,
        Place::Unix(path) => {
            let path = std::os::unix::net::SocketAddr::from_pathname(path);
            Some(PeerAddress::Unix(path.or_err(ErrorType::InternalError, "the path of a socket")?))
        }
    })
}
