//! What the gate is built from: plain data, validated by whoever read the configuration.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use entitlement::assertion::AssertionKey;
use entitlement::authorize::Policy;
use entitlement::login::Login;
use entitlement::own_paths::OwnPaths;

use crate::forwarded::TrustedProxies;
use crate::limits::Limits;
use crate::readings::Readings;
use crate::respond::Pages;
use crate::tls::Certificate;
use crate::{decide, identity, ladder, routes, upstream};

/// Everything that the gate needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site's public address, without a trailing slash: the issuer of assertions.
    pub site_url: String,
    /// Where browsers find what is Tollgate's own.
    pub own_paths: OwnPaths,
    /// Further origins of the site.
    pub also: Vec<String>,
    /// Where browsers without identity go.
    pub login: Login,
    /// Where browsers go that have to pay: a path of the site or a URL.
    pub pricing_url: String,
    /// The gate's own pages.
    pub pages: Pages,
    /// The public listener.
    pub listen: SocketAddr,
    /// The site.
    pub upstream: upstream::Settings,
    /// The internal listener of billing.
    pub billing: SocketAddr,
    pub identity: identity::Settings,
    /// For which the assertion is.
    pub assertion_audience: String,
    /// Signs what the site and billing verify.
    pub assertion: AssertionKey,
    pub cache: ladder::Settings,
    /// First match wins.
    pub routes: Vec<routes::Route>,
    /// For what no route names.
    pub default: Policy,
    /// How the site reads paths.
    pub readings: Readings,
    pub log_requests: LogRequests,
    /// Whose word on the client's address, scheme and host is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether plain requests take the short way.
    pub fast_path: bool,
    /// Where other gateways ask for decisions.
    pub decide: decide::Settings,
    /// Threads that serve requests.
    pub threads: usize,
    pub limits: Limits,
    /// With one, the public listener speaks TLS only.
    pub certificate: Option<Certificate>,
    pub stopping: Stopping,
}

/// How the gate ends after the signal to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    /// How long it still takes in connections, while `/readyz` tells load balancers to send no more.
    pub delay: Duration,
    /// How long requests under way may then take.
    pub grace: Duration,
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
