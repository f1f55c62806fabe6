//! Where a request comes from, and what the site is told of it: `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`.
//!
//! The gate knows its peer and nothing else. What a client says of itself is thrown away; what a proxy in front says
//! counts when its address is configured as trusted, and nobody's is by default.

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ipnet::{IpNet, Ipv4Net};

use crate::headers::Lines;
use crate::target;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const AUTHORITY: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Longest IPv4 address, and a dot behind it.
const IPV4_BYTES_MAX: usize = 16;

/// The shortest prefixes that are one's own: `10.0.0.0/8`, and `fc00::/7`.
const SHORTEST_IPV4: u8 = 8;
const SHORTEST_IPV6: u8 = 7;

/// The proxies whose word on the client is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a text names no proxies that could be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("\"{0}\" is not an address or a network: write \"10.0.0.1\" or \"10.0.0.0/8\"")]
    NotANetwork(String),
    #[error("\"{0}\" is a large part of the internet, which cannot be trusted: name your proxies")]
    Many(String),
    #[error("\"{0}\" is everybody, and what everybody says cannot be trusted: name your proxies")]
    Everybody(String),
}

impl TrustedProxies {
    /// Addresses and networks as they are written in a configuration.
    ///
    /// # Errors
    /// When one of them is neither, or is the whole of the internet.
    pub fn parse<S: AsRef<str>>(list: &[S]) -> Result<Self, TrustError> {
        list.iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl TrustedProxies {
    /// The first network of these that is a part of one of `others`.
    #[must_use]
    pub fn first_within(&self, others: &Self) -> Option<String> {
        let is_within = |network: &&IpNet| others.0.iter().any(|other| other.contains(*network));
        self.0.iter().find(is_within).map(ToString::to_string)
    }

    /// Those of these that are no part of one of `others`.
    #[must_use]
    pub fn outside(&self, others: &Self) -> Self {
        let is_outside = |network: &&IpNet| !others.0.iter().any(|other| other.contains(*network));
        Self(self.0.iter().filter(is_outside).copied().collect())
    }

    /// The first network of these that has an address of one of `others`.
    #[must_use]
    pub fn first_meeting(&self, others: &Self) -> Option<String> {
        let meets = |network: &&IpNet| others.0.iter().any(|other| other.contains(*network) || network.contains(other));
        self.0.iter().find(meets).map(ToString::to_string)
    }
}

impl std::fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

fn network(text: &str) -> Result<IpNet, TrustError> {
    let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    let network = text.parse::<IpNet>().ok().or_else(address);
    let network = canonical(network.ok_or_else(|| TrustError::NotANetwork(text.to_owned()))?);
    let least = if network.addr().is_ipv4() { SHORTEST_IPV4 } else { SHORTEST_IPV6 };
    match network.prefix_len() {
        0 => Err(TrustError::Everybody(text.to_owned())),
        length if length < least => Err(TrustError::Many(text.to_owned())),
        _ => Ok(network.trunc()),
    }
}

/// A network of IPv4 that is written as one of IPv6 (RFC 4291 section 2.5.5.2): addresses are compared as IPv4.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED)) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// How the client's side is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The other end of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// Absent when it is no internet address.
    peer: Option<IpAddr>,
    scheme: Scheme,
    trusted: &'a TrustedProxies,
    is_trusted: bool,
}

impl<'a> Origin<'a> {
    pub(crate) fn new(peer: Option<SocketAddr>, scheme: Scheme, trusted: &'a TrustedProxies) -> Self {
        let peer = peer.map(|address| address.ip().to_canonical());
        Self { peer, scheme, trusted, is_trusted: peer.is_some_and(|peer| trusted.include(peer)) }
    }

    /// Its address, when it has one.
    pub(crate) const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Whether what it says of a client before it is believed.
    pub(crate) const fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// The client's address, as far as trusted proxies say it.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = self.peer?;
        Some(if self.is_trusted { self.hops(headers, peer).1 } else { peer })
    }

    /// What the site is told of the way that a request with these headers has come. When the peer is not trusted, nothing
    /// else may be said of it.
    pub(crate) fn way(&self, headers: &HeaderMap, uri: &Uri) -> Way {
        let asked = || match (headers.get(HOST), uri.authority()) {
            (Some(host), _) => Some(host.clone()),
            // HTTP/2 need not repeat it (RFC 9113 section 8.3.1).
            (None, Some(authority)) => HeaderValue::from_str(authority.as_str()).ok(),
            (None, None) => None,
        };
        let (host, scheme) = if self.is_trusted {
            (told_host(headers).or_else(asked), told_scheme(headers).unwrap_or(self.scheme))
        } else {
            (asked(), self.scheme)
        };
        let hops = self.peer.map(|peer| {
            if self.is_trusted {
                return self.chain(headers, peer);
            }
            let client = value(peer);
            (client.clone(), client)
        });
        Way { hops, scheme, host, keeps_port: self.is_trusted && told_port(headers) }
    }

    /// What a trusted peer forwards of the hops before it, with itself as the last; and the client, which is the last hop
    /// that is not trusted.
    fn chain(&self, headers: &HeaderMap, peer: IpAddr) -> (HeaderValue, HeaderValue) {
        let (mut chain, client) = self.hops(headers, peer);
        chain.extend_from_slice(peer.to_string().as_bytes());
        // All of it was in headers before.
        (HeaderValue::from_bytes(&chain).unwrap_or_else(|_| value(peer)), value(client))
    }

    /// The hops before a trusted peer, with a comma behind each; and the client.
    fn hops(&self, headers: &HeaderMap, peer: IpAddr) -> (Vec<u8>, IpAddr) {
        let mut chain = Vec::new();
        for line in headers.get_all(FOR) {
            chain.extend_from_slice(line.as_bytes());
            chain.extend_from_slice(b", ");
        }
        let mut client = peer;
        // Each hop is the word of the one to its right; the last comma has nothing behind it.
        for hop in chain.rsplit(|byte| *byte == b',').skip(1) {
            let Some(address) = hop_address(hop) else { break };
            client = address;
            if !self.trusted.include(address) {
                break;
            }
        }
        (chain, client)
    }
}

/// How a request came to the gate, as the site is told.
pub(crate) struct Way {
    /// All hops, and the client.
    hops: Option<(HeaderValue, HeaderValue)>,
    scheme: Scheme,
    host: Option<HeaderValue>,
    /// Whether the client's word on the port stands.
    keeps_port: bool,
}

impl Way {
    /// Whether what has come under this name must not go on: it is said anew, or nobody knows.
    pub(crate) fn replaces(&self, name: &HeaderName) -> bool {
        match name {
            name if *name == FOR || *name == REAL_IP => self.hops.is_some(),
            name if *name == AUTHORITY => self.host.is_some(),
            name if *name == PORT => !self.keeps_port,
            name => *name == PROTO,
        }
    }

    /// Says it.
    pub(crate) fn write(&self, lines: &mut impl Lines) {
        if let Some((chain, client)) = &self.hops {
            lines.add(&FOR, chain);
            lines.add(&REAL_IP, client);
        }
        lines.add(&PROTO, &HeaderValue::from_static(self.scheme.as_str()));
        if let Some(host) = &self.host {
            lines.add(&AUTHORITY, host);
        }
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

/// The value of a header that has exactly one: of several, nobody knows whose word is whose.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn told_scheme(headers: &HeaderMap) -> Option<Scheme> {
    let told = sole(headers, &PROTO)?.as_bytes();
    [Scheme::Http, Scheme::Https].into_iter().find(|scheme| told.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

fn told_host(headers: &HeaderMap) -> Option<HeaderValue> {
    sole(headers, &AUTHORITY).filter(|host| target::host(host.as_bytes()).is_ok()).cloned()
}

fn told_port(headers: &HeaderMap) -> bool {
    let port = sole(headers, &PORT).and_then(|port| port.to_str().ok());
    port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// An address in a header. IPv4 is put together here: this is done for every request, and formatting costs a multiple.
fn value(address: IpAddr) -> HeaderValue {
    let IpAddr::V4(v4) = address else {
        return HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    };
    let (mut text, mut digits) = (Vec::with_capacity(IPV4_BYTES_MAX), itoa::Buffer::new());
    for octet in v4.octets() {
        text.extend_from_slice(digits.format(octet).as_bytes());
        text.push(b'.');
    }
    text.pop();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests;
