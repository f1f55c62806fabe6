//! The servers of one site: which are there, which are up, and whose turn it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use cache::Lasting;
use futures_util::future::join_all;
use http::HeaderValue;
use parking_lot::Mutex;
use pingora::connectors::TransportConnector;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::address::{Address, Place};
use super::secure::Speaks;
use super::server::{Server, Speech, fixed_place};
use super::sites::{Site, ToldHost};
use super::{Settings, UpstreamError};
use crate::authorities::Authorities;

/// How often each of several servers is tried.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// Most addresses of one name.
const ADDRESSES_MAX: usize = 64;

/// The servers of one site.
pub(crate) struct Group {
    settings: Settings,
    transport: Arc<TransportConnector>,
    members: Vec<Member>,
    servers: ArcSwap<Vec<Arc<Server>>>,
    next: AtomicUsize,
    /// Whether there may be several servers: they are tried, and one is asked when another cannot be reached.
    is_many: bool,
}

/// A server as it is configured: one, or all that a name stands for.
struct Member {
    address: Address,
    host: Option<HeaderValue>,
    speaks: Option<Speaks>,
    /// What was found last: a name server that fails takes no server away.
    found: Mutex<HashMap<SocketAddr, Arc<Server>>>,
    /// Look-ups that find nothing.
    lookups: Lasting,
    /// The server, where nothing has to be looked up.
    fixed: Option<Arc<Server>>,
}

impl Group {
    pub(super) fn new(
        site: &Site,
        authorities: Option<&Authorities>,
        settings: &Settings,
        transport: &Arc<TransportConnector>,
    ) -> Result<Self, UpstreamError> {
        let member = |address| Member::new(address, site, authorities, (settings, transport));
        let members = site.servers.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        let is_many = match members.as_slice() {
            [] => return Err(UpstreamError::NoServer),
            [one] => one.fixed.is_none(),
            _ => true,
        };
        let servers = members.iter().filter_map(|member| member.fixed.clone()).collect();
        Ok(Self {
            settings: settings.clone(),
            transport: Arc::clone(transport),
            members,
            servers: ArcSwap::from_pointee(servers),
            next: AtomicUsize::new(0),
            is_many,
        })
    }

    /// Whether another try can reach another server.
    pub(super) const fn is_many(&self) -> bool {
        self.is_many
    }

    /// A server that is up, in turn.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn pick(&self) -> Result<Arc<Server>, String> {
        let servers = self.servers.load();
        let (count, first) = (servers.len(), self.next.fetch_add(1, Ordering::Relaxed));
        let mut in_turn = (0..count).filter_map(|at| servers.get((first % count + at) % count));
        in_turn.find(|server| server.is_up()).cloned().ok_or_else(|| {
            let reasons =
                servers.iter().filter_map(|server| server.why_down().map(|why| format!("{}: {why}", server.name())));
            let reasons: Vec<String> = reasons.collect();
            if reasons.is_empty() { "the names of its servers are not found".to_owned() } else { reasons.join("; ") }
        })
    }

    /// Whether it is seen how much a server has yet to take in: of TCP alone.
    pub(super) fn shows_backlog(&self) -> bool {
        self.servers.load().iter().all(|server| server.plain_address().is_some())
    }

    /// Looks all names up.
    pub(super) async fn look_up(&self) {
        let found = join_all(self.members.iter().map(|member| member.servers(&self.settings, &self.transport))).await;
        self.servers.store(Arc::new(found.into_iter().flatten().collect()));
    }

    /// Whether a name has to be looked up all the while.
    pub(super) fn has_names(&self) -> bool {
        self.members.iter().any(|member| member.fixed.is_none())
    }

    /// Tries the servers, and looks names up, for as long as this exists.
    pub(super) async fn watch(group: Weak<Self>) {
        let mut looked_up = Instant::now();
        while let Some(group) = group.upgrade() {
            if group.has_names() && looked_up.elapsed() >= group.settings.resolve {
                group.look_up().await;
                looked_up = Instant::now();
            }
            let servers = group.servers.load_full();
            join_all(servers.iter().map(|server| tried(server))).await;
            drop((servers, group));
            sleep(HEALTH_INTERVAL).await;
        }
    }
}

/// Looks whether a server is there. What changes is told once.
async fn tried(server: &Server) {
    let name = server.name();
    match (server.check().await, server.is_up()) {
        (Ok(()), false) => {
            info!(server = name, "a server of the site is up again");
            server.set_down(None);
        }
        (Ok(()), true) => {}
        (Err(error), was_up) => {
            let reason = reason(&error);
            if was_up {
                warn!(server = name, reason, "a server of the site is down: the others get its requests");
            }
            server.set_down(Some(reason));
        }
    }
}

/// An error of Pingora's without what leads to it.
fn reason(error: &pingora::Error) -> String {
    let context = error.context.as_ref().map(|context| format!(" ({})", context.as_str())).unwrap_or_default();
    match &error.cause {
        Some(cause) => format!("{cause}{context}"),
        None => format!("{}{context}", error.etype().as_str()),
    }
}

impl Member {
    fn new(
        address: &Address,
        site: &Site,
        authorities: Option<&Authorities>,
        (settings, transport): (&Settings, &Arc<TransportConnector>),
    ) -> Result<Self, UpstreamError> {
        let host = match &site.host {
            ToldHost::Usual if address.is_secure => Some(address.authority()),
            ToldHost::Usual | ToldHost::Client => None,
            ToldHost::Fixed(host) => Some(host.clone()),
        };
        let host = host.map(HeaderValue::try_from).transpose().map_err(|_| UpstreamError::Unusable)?;
        let speaks = match authorities.filter(|_| address.is_secure) {
            Some(authorities) => {
                let name = site.tls_name.clone().unwrap_or_else(|| address.bare_host());
                Some(Speaks::new(&name, authorities)?)
            }
            None => None,
        };
        let mut member = Self {
            address: address.clone(),
            host,
            speaks,
            found: Mutex::default(),
            lookups: Lasting::default(),
            fixed: None,
        };
        let place = fixed_place(address).map_err(|_| UpstreamError::Unusable)?;
        member.fixed = place.map(|place| Arc::new(member.server(&place, address.to_string(), settings, transport)));
        Ok(member)
    }

    fn server(
        &self,
        place: &PeerAddress,
        name: String,
        settings: &Settings,
        transport: &Arc<TransportConnector>,
    ) -> Server {
        let speech = Speech { settings, transport, protocol: settings.protocol };
        Server::new(place, name, self.host.clone(), self.speaks.as_ref(), &speech)
    }

    /// The servers that it stands for now.
    async fn servers(&self, settings: &Settings, transport: &Arc<TransportConnector>) -> Vec<Arc<Server>> {
        let Place::Name(host, port) = &self.address.place else { return self.fixed.iter().cloned().collect() };
        let looked_up = timeout(LOOKUP, lookup_host((host.as_str(), *port))).await;
        let (addresses, cause): (Vec<SocketAddr>, _) = match looked_up {
            Ok(Ok(addresses)) => (addresses.take(ADDRESSES_MAX).collect(), "it has no address".to_owned()),
            Ok(Err(error)) => (Vec::new(), error.to_string()),
            Err(_) => (Vec::new(), "no resolver answered in time".to_owned()),
        };
        let mut found = self.found.lock();
        if addresses.is_empty() {
            if self.lookups.begins(&"") {
                warn!(name = %self.address, cause, "the name of a server of the site is not found: what was found before stays");
            }
            return found.values().cloned().collect();
        }
        if let Some(failures) = self.lookups.ends() {
            info!(name = %self.address, failures, "the name of a server of the site is found again");
        }
        // What is there still keeps its connections, and what is known of it.
        let server = |address: SocketAddr| {
            let known = found.get(&address).cloned();
            let name = format!("{} ({address})", self.address);
            known.unwrap_or_else(|| Arc::new(self.server(&PeerAddress::Inet(address), name, settings, transport)))
        };
        let now: HashMap<_, _> = addresses.iter().map(|address| (*address, server(*address))).collect();
        found.clone_from(&now);
        now.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(addresses: &[&str]) -> Group {
        let servers = addresses.iter().map(|text| text.parse().expect(text)).collect();
        let settings = Settings::of(servers);
        let transport = Arc::new(TransportConnector::new(None));
        Group::new(&settings.sites[0], Some(&Authorities::of_system()), &settings, &transport).expect("servers")
    }

    #[tokio::test]
    async fn a_name_that_is_lost_keeps_what_was_found() {
        let group = group(&["no-such-host.invalid:80", "10.0.0.1:80"]);
        group.look_up().await;
        assert_eq!(group.servers.load().len(), 1);
        let before = group.servers.load()[0].id();
        let address: SocketAddr = ([10, 0, 0, 2], 80).into();
        let lost = &group.members[0];
        let server = lost.server(&PeerAddress::Inet(address), String::new(), &group.settings, &group.transport);
        lost.found.lock().insert(address, Arc::new(server));
        group.look_up().await;
        let servers = group.servers.load();
        assert_eq!(servers.len(), 2);
        assert!(servers.iter().any(|server| server.id() == before), "the other one is the same");
    }

    #[tokio::test]
    async fn servers_are_asked_in_turn_and_those_that_are_down_are_left_out() {
        let group = group(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
        let picked = |count: usize| (0..count).map(|_| group.pick().map(|server| server.name().to_owned()));
        let names: Result<Vec<_>, _> = picked(4).collect();
        assert_eq!(names.expect("servers"), ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.1:80"]);
        group.servers.load()[1].set_down(Some("refused".to_owned()));
        assert!(picked(9).all(|name| name.is_ok_and(|name| name != "10.0.0.2:80")));
        group.servers.load().iter().for_each(|server| server.set_down(Some("gone".to_owned())));
        assert_eq!(group.pick().map(drop), Err("10.0.0.1:80: gone; 10.0.0.2:80: gone; 10.0.0.3:80: gone".to_owned()));
    }

    #[tokio::test]
    async fn servers_at_one_place_are_different_ones_by_their_names() {
        let group = group(&["https://a.example:8443", "https://b.example:8443", "https://a.example:8444"]);
        let address: SocketAddr = ([10, 0, 0, 1], 8443).into();
        let peers: Vec<_> = group
            .members
            .iter()
            .map(|member| {
                let server =
                    member.server(&PeerAddress::Inet(address), String::new(), &group.settings, &group.transport);
                (pingora::upstreams::peer::Peer::reuse_hash(server.peer()), server.id())
            })
            .collect();
        for (at, (hash, id)) in peers.iter().enumerate() {
            assert!(peers[..at].iter().all(|(other, number)| other != hash && number != id), "{at}");
        }
    }
}
