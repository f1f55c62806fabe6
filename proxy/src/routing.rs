//! What a request meets, from its first line alone: a gateway's question, a rule, or a refusal. The gate and
//! `tollgate explain` both ask here, so that neither can say what the other does not do.

use entitlement::authorize::Policy;
use http::header::HOST;
use http::{Method, Version};
use pingora::http::RequestHeader;

use crate::decide::{self, Meaning, Peer};
use crate::forwarded::TrustedProxies;
use crate::routes::{Route, Rule, Table};
use crate::screen::{self, Refused, check_reading};

/// The rules of a configuration, and where decisions are asked for.
#[derive(Debug)]
pub struct Routing {
    pub(crate) table: Table,
    pub(crate) decide: decide::Settings,
    pub(crate) trusted_proxies: TrustedProxies,
}

/// What the public listener makes of a request.
#[derive(Debug)]
pub struct Found<'a> {
    /// The canonical path.
    pub path: String,
    /// The connections for which it is no request like any other, and what it is to them.
    pub asked_by: Vec<(Peer, Meaning)>,
    /// What holds for all others.
    pub rule: &'a Rule,
}

impl Routing {
    /// Compiles the routes of a configuration; `default` is for what none of them matches.
    #[must_use]
    pub fn new(routes: Vec<Route>, default: Policy, decide: decide::Settings, trusted_proxies: TrustedProxies) -> Self {
        Self { table: Table::new(routes, default), decide, trusted_proxies }
    }

    /// The rule of a request whose path is canonical.
    ///
    /// # Errors
    /// When a server that reads the path once more would find it under another rule.
    pub(crate) fn rule(&self, method: &Method, host: Option<&str>, path: &str) -> Result<&Rule, Refused> {
        let rule = self.table.find(method, host, path);
        match check_reading((method, host, path), &self.table, rule) {
            Some(refused) => Err(refused),
            None => Ok(rule),
        }
    }

    /// What becomes of a request with this first line and, if it names one, this host.
    ///
    /// # Errors
    /// What the gate refuses whatever the rule.
    pub fn find(&self, method: &Method, host: Option<&str>, target: &str) -> Result<Found<'_>, Refused> {
        let mut request = request(method, host, target).map_err(|_| screen::unreadable())?;
        if let Some(refused) = screen::screen(&mut request).map_err(|_| screen::unreadable())? {
            return Err(refused);
        }
        let path = request.uri.path().to_owned();
        let host = screen::host_of(&request);
        let rule = self.rule(method, host.as_deref(), &path)?;
        let asked_by = if self.decide.covers(&path) { self.asked_by() } else { Vec::new() };
        Ok(Found { path, asked_by, rule })
    }

    fn asked_by(&self) -> Vec<(Peer, Meaning)> {
        let peers = [
            (Peer::Gateway, !self.decide.gateways().is_empty()),
            (Peer::TrustedProxy, !self.trusted_proxies.is_empty()),
            (Peer::Other, true),
        ];
        let peers = peers.into_iter().filter_map(|(peer, is_any)| is_any.then_some(peer));
        let meanings = peers.map(|peer| (peer, self.decide.meaning(peer)));
        meanings.filter(|(_, meaning)| *meaning != Meaning::Request).collect()
    }
}

fn request(method: &Method, host: Option<&str>, target: &str) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build(method.clone(), target.as_bytes(), None)?;
    match host {
        Some(host) => {
            request.set_version(Version::HTTP_11);
            request.insert_header(HOST, host)?;
        }
        // A request without a host is one of HTTP/1.0.
        None => request.set_version(Version::HTTP_10),
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use entitlement::authorize::Requirement;

    use super::*;
    use crate::decide::Asking;
    use crate::routes::Pattern;

    fn routing(gateways: &[&str], trusted: &[&str], path: &str, asking: Asking) -> Routing {
        let list = |list: &[&str]| TrustedProxies::parse(list).expect("addresses");
        let decide = decide::Settings::new(path, list(gateways), asking).expect("a path");
        let signed_in = Policy { require: Requirement::SignedIn, ..Policy::public() };
        let route = Route::new(Pattern::parse("/decide/mine").expect("a pattern"), signed_in);
        Routing::new(vec![route], Policy::public(), decide, list(trusted))
    }

    #[test]
    fn a_path_is_what_its_configuration_makes_of_it() {
        let (gateway, proxy) = (&["10.0.0.2"][..], &["10.0.0.0/8"][..]);
        let question = (Peer::Gateway, Meaning::Question);
        let not_configured = (Peer::TrustedProxy, Meaning::NotConfigured);
        let cases = [
            (routing(&[], &[], "/decide", Asking::Public), vec![]),
            (routing(gateway, &[], "/decide", Asking::Public), vec![question]),
            (routing(gateway, proxy, "/decide", Asking::Public), vec![question]),
            (routing(&[], proxy, "/decide", Asking::Public), vec![not_configured]),
            (routing(&[], proxy, "/decide", Asking::Apart), vec![]),
            (routing(&[], proxy, "", Asking::Public), vec![]),
            (routing(&[], proxy, "/ask", Asking::Public), vec![]),
        ];
        for (routing, asked_by) in cases {
            for target in ["/decide", "/decide/mine", "/%64ecide/mine?a=b", "/decide/"] {
                let found = routing.find(&Method::GET, Some("site.test"), target).expect("it is understood");
                assert_eq!(found.asked_by, asked_by, "{target} of {routing:?}");
                let label = if found.path == "/decide/mine" { "/decide/mine" } else { "default" };
                assert_eq!(found.rule.label, label, "the site's, for all others");
            }
            for target in ["/decided", "/premium"] {
                let found = routing.find(&Method::GET, None, target).expect("it is understood");
                assert_eq!(found.asked_by, [], "{target}");
            }
        }
    }

    #[test]
    fn what_the_gate_refuses_is_refused_here() {
        let routing = routing(&[], &[], "/decide", Asking::Public);
        let code = |method: &str, host, target| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            routing.find(&method, host, target).err().map(|refused| (refused.status.as_u16(), refused.code))
        };
        assert_eq!(code("GET", None, "/a/../b"), Some((400, "ambiguous_target")));
        assert_eq!(code("GET", None, "/decide/mine%3Fx"), Some((400, "ambiguous_target")));
        assert_eq!(code("get", None, "/a"), Some((405, "method_not_allowed")));
        assert_eq!(code("GET", Some("a/b"), "/a"), Some((400, "bad_host")));
        assert_eq!(code("GET", Some("A.test:80"), "/a"), None);
    }
}
