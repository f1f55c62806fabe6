//! `/decide`: the same decision for another gateway, which forwards requests itself: nginx `auth_request`, Caddy
//! `forward_auth`, Traefik's `ForwardAuth`, Envoy's HTTP `ext_authz`.
//!
//! It tells the request that it asks about in headers (`X-Forwarded-Method`, `-Uri`, `-Host`; nginx and its ingress also
//! say `X-Original-Method`, `X-Original-URI`), Envoy in the path below `/decide`. They decide, so they are believed only
//! on a listener of their own or from configured gateways: any other client could ask about one request and send another.
//! A load balancer is no gateway: it forwards what its visitors ask, and the answer holds their identity.
//!
//! Every answer names every identity header, so that a gateway that copies them leaves nothing of its client's (`words`).

mod asked;
mod question;
mod words;

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use entitlement::authorize::Policy;
use entitlement::own_paths::OwnPaths;
use http::{Method, StatusCode};
use tracing::warn;

use crate::clock;
use crate::forwarded::TrustedProxies;
use crate::routes::{Destination, Table};
use crate::screen::Refused;
use crate::target::{self, Refusal};

pub(crate) use self::question::{Dialect, question};
pub(crate) use self::words::{denied, pass, worded};

/// How often the log names a proxy that asks while no gateway is configured, in seconds.
const WARNING_SECONDS: i64 = 60;

/// Where decisions are asked for, and by which connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A canonical path without a slash at its end; empty: nobody asks.
    path: String,
    gateways: TrustedProxies,
    asking: Asking,
}

/// The listener on which gateways ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The public one.
    Public,
    /// One of their own.
    Apart,
}

/// A text that is no path for decisions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("\"{0}\" must be a path, such as \"/decide\", or empty where no gateway asks")]
    NotAPath(String),
    #[error("no request can have the path \"{0}\": {1}")]
    Refused(String, Refusal),
    #[error("\"{0}\" is the whole site: name a path that the site does not use, such as \"/decide\"")]
    Whole(String),
    #[error("\"{0}\" is one of Tollgate's own pages: name a path of its own, such as \"/decide\"")]
    Reserved(String),
}

/// The listener by which a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Public,
    Decide,
}

/// A connection, as far as it changes whether its questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Gateway,
    /// In `proxy.trusted_proxies`, and no gateway.
    TrustedProxy,
    Other,
}

/// What a request for the path of decisions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A gateway's question.
    Question,
    /// From a proxy that may be a gateway: it was answered before gateways had to be named, so it is never the site's.
    NotConfigured,
    /// A request like any other.
    Request,
}

impl Settings {
    /// Settings as they are configured. The path may be written in any way in which a request may have it.
    ///
    /// # Errors
    /// When no request has this path, or too many have.
    pub fn new(path: &str, gateways: TrustedProxies, asking: Asking) -> Result<Self, PathError> {
        Self::below(&OwnPaths::default(), path, gateways, asking)
    }

    /// As [`Settings::new`], where Tollgate's own paths are `own`.
    ///
    /// # Errors
    /// As there.
    pub fn below(own: &OwnPaths, path: &str, gateways: TrustedProxies, asking: Asking) -> Result<Self, PathError> {
        Ok(Self { path: own_path(own, path)?, gateways, asking })
    }

    /// Where decisions are asked for; empty where nobody asks.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    #[must_use]
    pub fn gateways(&self) -> &TrustedProxies {
        &self.gateways
    }

    #[must_use]
    pub const fn asking(&self) -> Asking {
        self.asking
    }

    /// Whether a canonical path is that of decisions, or below it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !self.path.is_empty()
    }

    pub(crate) fn peer(&self, trusted: &TrustedProxies, address: Option<IpAddr>) -> Peer {
        match address {
            Some(address) if self.gateways.include(address) => Peer::Gateway,
            Some(address) if trusted.include(address) => Peer::TrustedProxy,
            _ => Peer::Other,
        }
    }

    /// What a request for a path that this covers is on the public listener.
    #[must_use]
    pub fn meaning(&self, peer: Peer) -> Meaning {
        match (self.asking, peer) {
            (Asking::Public, Peer::Gateway) => Meaning::Question,
            (Asking::Public, Peer::TrustedProxy) if self.gateways.is_empty() => Meaning::NotConfigured,
            _ => Meaning::Request,
        }
    }

    /// What a request is on the listener for decisions.
    ///
    /// # Errors
    /// When it is no question, or comes from an address that is not among those that are configured.
    pub(crate) fn check_apart(&self, path: &str, peer: Peer) -> Result<(), Refused> {
        if peer != Peer::Gateway && !self.gateways.is_empty() {
            let detail = "only addresses in decide.gateways may ask for decisions: add the gateway's";
            return Err(Refused { status: StatusCode::FORBIDDEN, ..refused("untrusted_gateway", detail) });
        }
        if self.covers(path) {
            return Ok(());
        }
        let detail = format!("decisions are asked for at {}, and nothing else is here", self.path);
        Err(Refused { status: StatusCode::NOT_FOUND, ..refused("not_found", detail) })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: "/decide".to_owned(), gateways: TrustedProxies::default(), asking: Asking::Public }
    }
}

/// A configured path as requests have it.
fn own_path(own: &OwnPaths, text: &str) -> Result<String, PathError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if !text.starts_with('/') || text.contains(['?', '#', '*']) {
        return Err(PathError::NotAPath(text.to_owned()));
    }
    let canonical =
        target::canonical(text.as_bytes()).map_err(|refusal| PathError::Refused(text.to_owned(), refusal))?;
    let path = canonical.path();
    let path = path.strip_suffix('/').unwrap_or(path).to_owned();
    if path.is_empty() {
        return Err(PathError::Whole(text.to_owned()));
    }
    let reserved = Table::below(own, Vec::new(), Policy::public());
    let is_reserved = |path: &str| reserved.find(&Method::GET, None, path).destination != Destination::Site;
    if is_reserved(&path) { Err(PathError::Reserved(text.to_owned())) } else { Ok(path) }
}

fn refused(code: &'static str, detail: impl ToString) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, code, detail: detail.to_string() }
}

/// The answer to a proxy that may be a gateway, while none is configured; the log is told which line is missing.
pub(crate) fn not_configured(path: &str, from: Option<IpAddr>) -> Refused {
    static WARNED: AtomicI64 = AtomicI64::new(i64::MIN);
    let now = clock::moment().time.timestamp();
    let last = WARNED.load(Ordering::Relaxed);
    let is_due = now >= last.saturating_add(WARNING_SECONDS);
    if is_due && WARNED.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        let from = from.map_or_else(|| "ADDRESS".to_owned(), |address| address.to_string());
        warn!(
            path,
            address = from,
            "a trusted proxy asks for a decision at {path}, and no gateway is configured: if it is a gateway, add \
             decide.gateways = [\"{from}\"]; if none asks here, add decide.path = \"\", and the path is the site's"
        );
    }
    let detail = NOT_CONFIGURED;
    Refused { status: StatusCode::FORBIDDEN, ..refused(NOT_CONFIGURED_CODE, detail) }
}

/// The stable code of that answer.
pub const NOT_CONFIGURED_CODE: &str = "decide_not_configured";

const NOT_CONFIGURED: &str = "no gateway is configured that may ask for decisions: add its address to decide.gateways, \
                              or set decide.path = \"\" where none asks";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &str, gateways: &[&str], asking: Asking) -> Settings {
        let gateways = TrustedProxies::parse(gateways).expect("addresses");
        Settings::new(path, gateways, asking).expect("a path")
    }

    #[test]
    fn only_its_own_path_asks_however_it_was_written() {
        let cases =
            [("/decide", true), ("/decide/", true), ("/decide/a", true), ("/decided", false), ("/a/decide", false)];
        for written in ["/decide", "/decide/", "/%64ecide"] {
            let settings = settings(written, &[], Asking::Public);
            for (path, does) in cases {
                assert_eq!(settings.covers(path), does, "{path} of {written}");
            }
        }
        assert!(!settings("/Decide", &[], Asking::Public).covers("/decide"), "paths have a case");
        let none = settings("", &[], Asking::Public);
        assert!(!none.covers("/decide") && !none.covers("") && !none.covers("/"));
    }

    #[test]
    fn a_path_that_cannot_be_asked_for_is_refused() {
        for path in
            ["decide", "/decide?x", "/a//b", "/a/../b", "/", "/billing", "/billing/x", "/api/stripe/webhook", "/*"]
        {
            assert!(Settings::new(path, TrustedProxies::default(), Asking::Public).is_err(), "{path}");
        }
    }

    #[test]
    fn a_connection_asks_as_this_table_says() {
        use Meaning::{NotConfigured, Question, Request};
        let trusted = TrustedProxies::parse(&["10.0.0.0/8"]).expect("addresses");
        let cases = [
            (&[][..], Asking::Public, "10.0.0.1", NotConfigured),
            (&[], Asking::Public, "::ffff:10.0.0.1", NotConfigured),
            (&[], Asking::Public, "192.0.2.1", Request),
            (&[], Asking::Apart, "10.0.0.1", Request),
            (&["10.0.0.2"], Asking::Public, "10.0.0.2", Question),
            (&["::ffff:10.0.0.2"], Asking::Public, "10.0.0.2", Question),
            (&["::ffff:10.0.0.0/120"], Asking::Public, "10.0.0.2", Question),
            (&["10.0.0.2"], Asking::Public, "::ffff:10.0.0.2", Question),
            (&["10.0.0.2"], Asking::Public, "10.0.0.1", Request),
            (&["2001:db8::/64"], Asking::Public, "2001:db8::7", Question),
            (&["10.0.0.2"], Asking::Apart, "10.0.0.2", Request),
        ];
        for (gateways, asking, address, meaning) in cases {
            let settings = settings("/decide", gateways, asking);
            let peer = settings.peer(&trusted, Some(address.parse().expect("an address")));
            assert_eq!(settings.meaning(peer), meaning, "{address} of {gateways:?}, {asking:?}");
        }
        assert_eq!(settings("/decide", &[], Asking::Public).peer(&trusted, None), Peer::Other);
    }

    #[test]
    fn a_listener_of_its_own_answers_questions_alone() {
        let code = |settings: &Settings, path, peer| settings.check_apart(path, peer).err().map(|refused| refused.code);
        let open = settings("/decide", &[], Asking::Apart);
        assert_eq!(code(&open, "/decide/a", Peer::Other), None);
        assert_eq!(code(&open, "/premium", Peer::Other), Some("not_found"));
        let closed = settings("/decide", &["10.0.0.2"], Asking::Apart);
        assert_eq!(code(&closed, "/decide", Peer::Gateway), None);
        assert_eq!(code(&closed, "/decide", Peer::TrustedProxy), Some("untrusted_gateway"));
    }
}
