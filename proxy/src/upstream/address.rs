//! Where a server is, as it is written in a configuration.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::target;

/// Longest path of a Unix socket, in bytes (unix(7): 108 with the byte that ends it).
const PATH_BYTES_MAX: usize = 107;

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub(super) place: Place,
    /// Whether it speaks TLS.
    pub(super) is_secure: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Socket(SocketAddr),
    /// A name, whose addresses may change.
    Name(String, u16),
    Unix(PathBuf),
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it is not an address: write it as \"host:port\", \"https://host\" or \"unix:/path/of/socket\"")]
    Malformed,
    #[error("443 is the port of TLS: write \"https://{0}\", or \"http://{0}:443\" if it speaks no TLS there")]
    TlsPort(String),
    #[error("a server has no path: write \"{0}\" alone")]
    Path(String),
    #[error("a server's address holds no name and no password: write its host alone")]
    Credentials,
    #[error("0 is no port of a server: write the one at which the site listens, such as 3000")]
    NoPort,
    #[error("this is an address of many machines, and of no server: write that of one")]
    Many,
    #[error("the path of a socket begins with a slash, and has 107 bytes at most")]
    Socket,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.len() > PATH_BYTES_MAX || path.contains('\0') {
                return Err(AddressError::Socket);
            }
            return Ok(Self { place: Place::Unix(path.into()), is_secure: false });
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (is_secure, default) = match scheme.as_deref() {
            Some("https") => (true, Some(HTTPS_PORT)),
            Some("http") => (false, Some(HTTP_PORT)),
            Some(_) => return Err(AddressError::Malformed),
            None => (false, None),
        };
        let authority = match (rest.split_once(['/', '?', '#']), &scheme) {
            (Some((authority, "")), Some(_)) => authority,
            (Some((authority, _)), Some(scheme)) => return Err(AddressError::Path(format!("{scheme}://{authority}"))),
            (Some(_), None) => return Err(AddressError::Malformed),
            (None, _) => rest,
        };
        let place = place(authority, default)?;
        if scheme.is_none() && place.port() == Some(HTTPS_PORT) {
            return Err(AddressError::TlsPort(place.host()));
        }
        Ok(Self { place, is_secure })
    }
}

/// `host:port`; without a port the default, where there is one.
fn place(authority: &str, default: Option<u16>) -> Result<Place, AddressError> {
    if authority.contains('@') {
        return Err(AddressError::Credentials);
    }
    if let Ok(address) = authority.parse() {
        return socket(address);
    }
    let (host, port) = match (authority.rsplit_once(':'), default) {
        (Some((host, port)), _) if !port.ends_with(']') => (host, port.parse().map_err(|_| AddressError::Malformed)?),
        (_, Some(port)) => (authority, port),
        (_, None) => return Err(AddressError::Malformed),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match (bare.parse::<IpAddr>(), host.starts_with('[')) {
        (Ok(address), is_bracketed) if address.is_ipv6() == is_bracketed => socket(SocketAddr::new(address, port)),
        (Err(_), false) if is_name(host) && port == 0 => Err(AddressError::NoPort),
        (Err(_), false) if is_name(host) => Ok(Place::Name(host.to_owned(), port)),
        _ => Err(AddressError::Malformed),
    }
}

/// An address at which one server may listen.
fn socket(address: SocketAddr) -> Result<Place, AddressError> {
    let is_many = match address.ip() {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    };
    match address.port() {
        _ if is_many => Err(AddressError::Many),
        0 => Err(AddressError::NoPort),
        _ => Ok(Place::Socket(address)),
    }
}

fn is_name(host: &str) -> bool {
    // What ends in a number means an address, and this is none.
    let is_number =
        |labels: &str| labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_host = target::host(host.as_bytes()).is_ok() && !host.contains(':');
    let is_label = |label: &str| label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-');
    is_host && host.len() <= 253 && labels.split('.').all(is_label) && !is_number(labels)
}

impl Place {
    /// The host as a URL writes it, without the dot of the root; empty for a socket of this machine.
    fn host(&self) -> String {
        match self {
            Self::Socket(SocketAddr::V4(address)) => address.ip().to_string(),
            Self::Socket(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            Self::Name(name, _) => name.trim_end_matches('.').to_ascii_lowercase(),
            Self::Unix(_) => String::new(),
        }
    }

    const fn port(&self) -> Option<u16> {
        match self {
            Self::Socket(address) => Some(address.port()),
            Self::Name(_, port) => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl Address {
    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Host and port; none for a socket of this machine.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        Some((self.place.host(), self.place.port()?))
    }

    /// The host that a server under TLS is asked for: its own, with the port where that is not the usual one.
    pub(super) fn authority(&self) -> String {
        match self.place.port() {
            Some(HTTPS_PORT) | None => self.place.host(),
            Some(port) => format!("{}:{port}", self.place.host()),
        }
    }

    /// The host alone, without the brackets of a literal: what a certificate is issued for.
    pub(super) fn bare_host(&self) -> String {
        let host = self.place.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map_or(host.clone(), str::to_owned)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { place: Place::Socket(address), is_secure: false }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            _ if self.is_secure => write!(f, "https://{}", self.authority()),
            Place::Socket(address) => address.fmt(f),
            Place::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_a_name_with_a_port_a_url_or_a_path() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("app:3000", "app:3000"),
            ("my_app.internal.:80", "my_app.internal.:80"),
            ("http://app", "app:80"),
            ("http://app:443", "app:443"),
            ("https://App.Example.", "https://app.example"),
            ("HTTPS://app.example:8443/", "https://app.example:8443"),
            ("https://10.0.0.1", "https://10.0.0.1"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://[::1]", "https://[::1]"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!("127.0.0.1:80".parse(), Ok(Address::from(SocketAddr::from(([127, 0, 0, 1], 80)))));
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for text in [
            "",
            "app",
            "app:",
            "app:99999",
            ":80",
            "a b:80",
            "ftp://app:80",
            "1.2.3:80",
            "a..b:80",
            "app:80/x",
            "https://",
            "https://::1",
            "https://[::1",
            "https://[app]",
            "https://app:https",
            "::1:80x",
        ] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Malformed), "{text}");
        }
        let told = |text: &str| text.parse::<Address>().expect_err(text).to_string();
        assert!(told("app.example:443").contains("write \"https://app.example\""));
        assert!(told("10.0.0.1:443").contains("\"http://10.0.0.1:443\""));
        assert!(told("[::1]:443").contains("write \"https://[::1]\""));
        assert!(told("https://app/base").contains("write \"https://app\""));
        for text in ["app:0", "127.0.0.1:0", "[::1]:0", "http://app:0", "https://10.0.0.1:0"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::NoPort), "{text}");
        }
        for text in ["224.0.0.1:80", "255.255.255.255:80", "https://[ff02::1]"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Many), "{text}");
        }
        for text in ["https://a@b", "user:secret@app:80", "http://user:secret@127.0.0.1:80"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Credentials), "{text}");
        }
        for text in ["unix:", "unix:app.sock", "unix://app.sock", &format!("unix:/{}", "a".repeat(107))] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Socket), "{text}");
        }
    }
}
