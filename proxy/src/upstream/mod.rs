//! The servers behind the gate: those of the site, or of several sites by their hosts, and billing.

mod address;
mod connections;
mod group;
mod secure;
mod server;
mod sites;
mod unheard;

pub use address::{Address, AddressError};
pub(crate) use connections::Connections;
pub use secure::SecureError;
pub(crate) use server::Server;
pub use sites::{Site, ToldHost, UNKNOWN_HOST_CODE, site_for};
pub(crate) use unheard::is_unheard;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::{Error, ErrorType, Result};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::warn;

use self::group::Group;
use crate::authorities::Authorities;
use crate::context::Context;
use crate::routes::Destination;

/// How long a start or a reload waits for the names of servers.
const FIRST_LOOKUP: Duration = Duration::from_secs(2);

/// Where requests go, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site, or several by their hosts.
    pub sites: Vec<Site>,
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
    /// Without asking first (RFC 9113 section 3.3), or agreed on by TLS: gRPC needs it.
    Http2,
}

impl Settings {
    /// These servers for all hosts, and the defaults.
    #[must_use]
    pub fn of(servers: Vec<Address>) -> Self {
        Self {
            sites: vec![Site::of(servers)],
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
    sites: Vec<Site>,
    /// In the order of `sites`.
    groups: Vec<Arc<Group>>,
    billing: Arc<Server>,
    patience: Patience,
    protocol: Protocol,
}

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) write: Duration,
}

/// The servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the site has no upstream")]
    NoServer,
    #[error("a host or a path of an upstream cannot be used")]
    Unusable,
    #[error(transparent)]
    Secure(#[from] SecureError),
}

impl Upstreams {
    /// The servers. Several are watched, and names are looked up, on `io` for as long as this exists.
    pub(crate) fn new(settings: &Settings, billing: SocketAddr, io: &Handle) -> Result<Self, UpstreamError> {
        if settings.sites.is_empty() {
            return Err(UpstreamError::NoServer);
        }
        let transport = Arc::new(TransportConnector::new(Some(ConnectorOptions::new(1))));
        let mut system = None;
        let mut groups = Vec::with_capacity(settings.sites.len());
        for site in &settings.sites {
            let is_secure = site.servers.iter().any(Address::is_secure);
            let authorities = match &site.authorities {
                Some(own) => Some(own.clone()),
                // They are read once, and only where they are needed.
                None if is_secure => Some(system.get_or_insert_with(Authorities::of_system).clone()),
                None => None,
            };
            groups.push(Arc::new(Group::new(site, authorities.as_ref(), settings, &transport)?));
        }
        for group in groups.iter().filter(|group| group.is_many()) {
            io.spawn(Group::watch(Arc::downgrade(group)));
        }
        let patience = Patience { connect: settings.connect, read: settings.read, write: settings.write };
        let billing = Arc::new(Server::billing(billing, settings, &transport));
        Ok(Self { sites: settings.sites.clone(), groups, billing, patience, protocol: settings.protocol })
    }

    /// Waits, for a bounded time, until there are servers.
    pub(crate) async fn settle(&self) {
        let named = self.groups.iter().filter(|group| group.has_names());
        if timeout(FIRST_LOOKUP, join_all(named.map(|group| group.look_up()))).await.is_err() {
            let names: Vec<String> =
                self.sites.iter().flat_map(|site| &site.servers).map(ToString::to_string).collect();
            warn!(
                servers = names.join(", "),
                "the names of the site's servers are not found yet: their requests are answered 502 until they are"
            );
        }
    }

    /// Whether the host of a request says where it goes.
    pub(crate) fn have_hosts(&self) -> bool {
        self.sites.iter().any(|site| !site.hosts.is_empty())
    }

    /// The place of the site that a request to this host is for; none: the host is unknown.
    pub(crate) fn site_for(&self, host: Option<&str>) -> Option<usize> {
        site_for(&self.sites, host)
    }

    /// A server for a request, in turn.
    ///
    /// # Errors
    /// When all are down.
    pub(crate) fn server(&self, context: &Context) -> Result<Arc<Server>> {
        match context.destination {
            Destination::Billing | Destination::Webhook => Ok(Arc::clone(&self.billing)),
            Destination::Site => {
                self.group(context).map_or(Err("it has no servers".to_owned()), Group::pick).map_err(|why| {
                    Error::explain(ErrorType::ConnectNoRoute, format!("no server of the site is up: {why}")).into_up()
                })
            }
        }
    }

    fn group(&self, context: &Context) -> Option<&Group> {
        self.groups.get(context.site).map(AsRef::as_ref)
    }

    /// Whether what serves such requests speaks HTTP/1.
    pub(crate) fn speaks_http1(&self, destination: Destination) -> bool {
        destination != Destination::Site || self.protocol == Protocol::Http1
    }

    /// Whether it can be seen of a request on its way how much of it a server has yet to take in.
    pub(crate) fn shows_backlog(&self, context: &Context) -> bool {
        self.speaks_http1(context.destination)
            && (context.destination != Destination::Site || self.group(context).is_none_or(Group::shows_backlog))
    }

    /// How long a server of the site may take.
    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    /// Whether another try can reach another server.
    pub(crate) fn are_many(&self, context: &Context) -> bool {
        context.destination == Destination::Site && self.group(context).is_some_and(Group::is_many)
    }
}
