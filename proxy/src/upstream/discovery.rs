//! The addresses behind names, looked up in the background: no request ever waits for a name server.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::Result;
use pingora::lb::Backend;
use pingora::lb::discovery::ServiceDiscovery;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::warn;

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// Most addresses of one name.
const ADDRESSES_MAX: usize = 64;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Socket(SocketAddr),
    /// `host:port`, whose addresses may change.
    Name(String),
}

/// A text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an address: write it as \"host:port\"")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Socket(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
        let label = |label: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
        };
        let labels = host.strip_suffix('.').unwrap_or(host);
        let is_host = host.len() <= 253 && labels.split('.').all(label);
        // What ends in a number means an address, and this is none.
        let is_number = labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        if is_host && is_port && !is_number { Ok(Self::Name(text.to_owned())) } else { Err(AddressError) }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Finds the servers of a site.
pub(super) struct Discovery {
    addresses: Vec<Address>,
    /// What was found last: a name server that fails takes no server away.
    found: Mutex<HashMap<String, Vec<SocketAddr>>>,
}

impl Discovery {
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        Self { addresses, found: Mutex::default() }
    }

    async fn look_up(&self, name: &str) -> Vec<SocketAddr> {
        let looked_up = timeout(LOOKUP, lookup_host(name)).await;
        let addresses: Vec<SocketAddr> = match looked_up {
            Ok(Ok(addresses)) => addresses.take(ADDRESSES_MAX).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let mut found = self.found.lock();
        if addresses.is_empty() {
            warn!(name, "the name of a server of the site is not found: what was found before stays");
            return found.get(name).cloned().unwrap_or_default();
        }
        found.insert(name.to_owned(), addresses.clone());
        addresses
    }
}

#[async_trait]
impl ServiceDiscovery for Discovery {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut servers = BTreeSet::new();
        for address in &self.addresses {
            let addresses = match address {
                Address::Socket(address) => vec![*address],
                Address::Name(name) => self.look_up(name).await,
            };
            for address in addresses {
                servers.insert(Backend::new(&address.to_string())?);
            }
        }
        // All of them are enabled.
        Ok((servers, HashMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_name_with_a_port() {
        assert_eq!("127.0.0.1:80".parse(), Ok(Address::Socket(([127, 0, 0, 1], 80).into())));
        assert!(matches!("[::1]:80".parse(), Ok(Address::Socket(_))));
        for name in ["app:3000", "app.internal:80", "my_app.internal.:80"] {
            assert_eq!(name.parse(), Ok(Address::Name(name.into())));
        }
        for text in ["", "app", "app:", "app:0", "app:99999", ":80", "a b:80", "http://app:80", "1.2.3:80", "a..b:80"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_lost_keeps_what_was_found() {
        let name = "no-such-host.invalid:80";
        let discovery = Discovery::new(vec![Address::Name(name.into()), Address::Socket(([10, 0, 0, 1], 80).into())]);
        assert_eq!(discovery.discover().await.expect("it never fails").0.len(), 1);
        discovery.found.lock().insert(name.into(), vec![([10, 0, 0, 2], 80).into()]);
        assert_eq!(discovery.discover().await.expect("it never fails").0.len(), 2);
    }
}
