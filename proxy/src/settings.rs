//! What the gate is built from: plain data, validated by whoever read the configuration.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use entitlement::assertion::AssertionKey;
use entitlement::authorize::Policy;

use crate::{identity, ladder, routes};

/// Everything that the gate needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site's public origin, without a trailing slash: the issuer of assertions.
    pub site_url: String,
    /// Where browsers without identity go: a path of the site or a URL.
    pub login_url: String,
    /// Where browsers go that have to pay: a path of the site or a URL.
    pub pricing_url: String,
    /// The public listener.
    pub listen: SocketAddr,
    /// The site: one address, or several that share the load.
    pub upstreams: Vec<SocketAddr>,
    /// The internal listener of billing.
    pub billing: SocketAddr,
    pub identity: identity::Settings,
    /// Signs what the site and billing verify.
    pub assertion: AssertionKey,
    pub cache: ladder::Settings,
    /// First match wins.
    pub routes: Vec<routes::Route>,
    /// For what no route names.
    pub default: Policy,
    pub log_requests: LogRequests,
    /// Threads that serve requests.
    pub threads: usize,
    /// How long requests under way are served after the signal to stop; whole seconds.
    pub grace_period: Duration,
    /// How long the runtimes may take to end after that; whole seconds.
    pub graceful_shutdown_timeout: Duration,
}

/// Which requests are logged, one line each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogRequests {
    All,
    /// Those that did not pass.
    #[default]
    Denied,
    None,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
