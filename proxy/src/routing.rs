//! What a request meets, from its first line alone: a gateway's question, a rule, or a refusal. The gate and
//! `tollgate explain` both ask here, so that neither can say what the other does not do.

use std::borrow::Cow;

use entitlement::authorize::{Policy, Requirement};
use http::header::HOST;
use http::{Method, Version};
use pingora::http::RequestHeader;

use crate::decide::{self, Meaning, Peer};
use crate::forwarded::TrustedProxies;
use crate::readings::{self, Case, Readings};
use crate::routes::{Destination, Route, Rule, Table};
use crate::screen::{self, Refused};
use crate::target::{self, Refusal};

/// The rules of a configuration, and where decisions are asked for.
#[derive(Debug)]
pub struct Routing {
    pub(crate) table: Table,
    pub(crate) decide: decide::Settings,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) readings: Readings,
}

/// What a request asks for, as its screened first line and host say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    pub(crate) method: &'a Method,
    pub(crate) host: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// What holds for a request.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// The rule of its path, or, where that asks for nothing, the rule of another reading of it that does.
    pub rule: &'a Rule,
    /// What it has to satisfy: the rule, and the rules of all its other readings.
    pub policy: Cow<'a, Policy>,
}

/// What the public listener makes of a request.
#[derive(Debug)]
pub struct Found<'a> {
    /// The canonical path.
    pub path: String,
    /// The connections for which it is no request like any other, and what it is to them.
    pub asked_by: Vec<(Peer, Meaning)>,
    /// What holds for all others.
    pub held: Held<'a>,
}

impl Routing {
    /// Compiles the routes of a configuration; `default` is for what none of them matches.
    #[must_use]
    pub fn new(
        (routes, default): (Vec<Route>, Policy),
        readings: Readings,
        decide: decide::Settings,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        Self { table: Table::new(routes, default), decide, trusted_proxies, readings }
    }

    /// What holds for a request whose path is canonical, or that a raw route lets pass.
    ///
    /// # Errors
    /// When a server may read the path in a way that nobody can judge, or that another rule holds for.
    pub(crate) fn rule(&self, sought: Sought<'_>) -> Result<Held<'_>, Refused> {
        if self.is_raw(sought)
            && let Some(rule) = self.raw(sought)
        {
            return Ok(Held { rule, policy: Cow::Borrowed(&rule.policy) });
        }
        let mut held = self.held(sought)?;
        for page in self.readings.pages(sought.path, sought.query).map_err(Refused::target)? {
            let other = self.held(Sought { path: &page, ..sought })?;
            // What Tollgate serves itself is not the site's at any other address.
            if other.rule.destination == Destination::Site {
                held = held.and(other);
            }
        }
        Ok(held)
    }

    /// What holds for one reading of a path, in every letter case.
    fn held(&self, sought: Sought<'_>) -> Result<Held<'_>, Refused> {
        let Sought { method, host, path, .. } = sought;
        let rule = self.table.find(method, host, path);
        if let Some(left) = target::reread(path)
            && self.table.find(method, host, left).index != rule.index
        {
            return Err(Refused::target(Refusal::EncodedEnd));
        }
        let held = Held { rule, policy: Cow::Borrowed(&rule.policy) };
        if self.readings.case_sensitive {
            return Ok(held);
        }
        match readings::folded(path) {
            Case::Clear => {}
            Case::Other(other) if !self.spells_another(sought, &other) => {}
            Case::Ambiguous | Case::Other(_) => return Err(Refused::case()),
        }
        if !self.table.folds(path) {
            return Ok(held);
        }
        let folded = self.table.find_folded(method, host, path);
        Ok(held.and(Held { rule: folded, policy: Cow::Borrowed(&folded.policy) }))
    }

    /// Whether a path would fall under a rule of another spelling that asks for something, or is Tollgate's own.
    fn spells_another(&self, Sought { method, host, path, .. }: Sought<'_>, other: &str) -> bool {
        let rule = self.table.find_folded(method, host, other);
        let is_named = rule.index + 1 < self.table.rules().len();
        let matters = rule.is_gated() || rule.destination != Destination::Site;
        is_named && matters && rule.index != self.table.find_folded(method, host, path).index
    }

    /// Whether a path has several readings, and there is a route that lets some of these pass.
    pub(crate) fn is_raw(&self, sought: Sought<'_>) -> bool {
        self.table.has_raw() && target::is_raw(sought.path)
    }

    /// The route that lets a path with several readings pass: none of these may have a rule that asks for anything.
    pub(crate) fn raw(&self, sought: Sought<'_>) -> Option<&Rule> {
        let Sought { method, host, path, .. } = sought;
        let rule = self.table.find(method, host, path);
        let is_open = |path: &String| {
            let held = self.held(Sought { path, ..sought }).ok();
            held.is_some_and(|held| held.rule.destination == Destination::Site && held.is_open())
        };
        let readings = if rule.raw { readings::decoded(path).ok()? } else { return None };
        // Each of them may be an address of a page, too.
        let is_open_at_all = |path: &String| {
            let pages = self.readings.pages(path, sought.query);
            is_open(path) && pages.is_ok_and(|pages| pages.iter().all(is_open))
        };
        readings.iter().all(is_open_at_all).then_some(rule)
    }

    /// What becomes of a request with this first line and, if it names one, this host.
    ///
    /// # Errors
    /// What the gate refuses whatever the rule.
    pub fn find(&self, method: &Method, host: Option<&str>, target: &str) -> Result<Found<'_>, Refused> {
        let mut request = request(method, host, target).map_err(|_| screen::unreadable())?;
        if let Some(refused) = screen::screen(&mut request, self).map_err(|_| screen::unreadable())? {
            return Err(refused);
        }
        let path = request.uri.path().to_owned();
        let host = screen::host_of(&request);
        let held = self.rule(Sought { method, host: host.as_deref(), path: &path, query: request.uri.query() })?;
        let asked_by = if self.decide.covers(&path) { self.asked_by() } else { Vec::new() };
        Ok(Found { path, asked_by, held })
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

impl<'a> Held<'a> {
    /// What holds where both do. The rule that asks for something is the one that logs and metrics name; what is Tollgate's own stays so.
    fn and(self, other: Self) -> Self {
        if self.rule.index == other.rule.index {
            return self;
        }
        let is_other = match (self.rule.destination, other.rule.destination) {
            (Destination::Site, Destination::Site) => self.is_open() && !other.is_open(),
            (Destination::Site, _) => true,
            _ => false,
        };
        let policy = Cow::Owned(self.policy.and(&other.policy));
        Self { rule: if is_other { other.rule } else { self.rule }, policy }
    }

    /// Whether it asks for nothing.
    fn is_open(&self) -> bool {
        self.policy.require == Requirement::Public
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
    use super::*;
    use crate::decide::Asking;
    use crate::readings::{Framework, Languages};
    use crate::routes::Pattern;

    fn routing(gateways: &[&str], trusted: &[&str], path: &str, asking: Asking) -> Routing {
        let list = |list: &[&str]| TrustedProxies::parse(list).expect("addresses");
        let decide = decide::Settings::new(path, list(gateways), asking).expect("a path");
        let signed_in = Policy { require: Requirement::SignedIn, ..Policy::public() };
        let route = Route::new(Pattern::parse("/decide/mine").expect("a pattern"), signed_in);
        Routing::new((vec![route], Policy::public()), Readings::default(), decide, list(trusted))
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
                assert_eq!(found.held.rule.label, label, "the site's, for all others");
            }
            for target in ["/decided", "/premium"] {
                let found = routing.find(&Method::GET, None, target).expect("it is understood");
                assert_eq!(found.asked_by, [], "{target}");
            }
        }
    }

    /// `/paid/**` asks for a tier, `/Docs/Own` for signing in, `/docs/**` for nothing, `/img/**` and `/@*` let raw paths pass.
    fn pages(readings: Readings) -> Routing {
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let rule = |text, require| Route::new(pattern(text), Policy { require, ..Policy::public() });
        let raw = |text| Route { raw: true, ..rule(text, Requirement::Public) };
        let routes = vec![
            rule("/docs/**", Requirement::Public),
            rule("/Docs/Own", Requirement::SignedIn),
            rule("/paid/**", Requirement::Tier("paid".into())),
            raw("/img/**"),
            raw("/@*"),
            rule("/caf%C3%A9/**", Requirement::SignedIn),
        ];
        Routing::new((routes, Policy::public()), readings, decide::Settings::default(), TrustedProxies::default())
    }

    fn asked(routing: &Routing, target: &str) -> Result<String, &'static str> {
        let found = routing.find(&Method::GET, Some("site.test"), target);
        found
            .map(|found| format!("{} {}", found.held.rule.label, found.held.policy.require))
            .map_err(|refused| refused.code)
    }

    #[test]
    fn a_path_has_to_satisfy_its_rule_in_every_letter_case() {
        let folding = pages(Readings::default());
        for (target, expected) in [
            ("/paid/x", Ok("/paid/** tier paid")),
            ("/PAID/x", Ok("/paid/** tier paid")),
            ("/%50aid/X", Ok("/paid/** tier paid")),
            ("/free/X", Ok("default public")),
            // Its own rule, and the first in any case, which asks for nothing.
            ("/Docs/Own", Ok("/Docs/Own signed in")),
            ("/docs/own", Ok("/docs/** public")),
            ("/BILLING/x", Ok("/billing/** public")),
            ("/API/stripe/Webhook", Ok("/api/stripe/webhook public")),
            ("/pa%C4%B1d/x", Err("ambiguous_case")),
            ("/%E2%84%AA", Err("ambiguous_case")),
            ("/stra%C3%9Fe", Ok("default public")),
            ("/docs/stra%C3%9Fe", Ok("/docs/** public")),
            ("/caf%C3%A9/x", Ok("/caf%C3%A9/** signed in")),
            ("/Caf%C3%89/x", Ok("/caf%C3%A9/** signed in")),
            ("/cafe/x", Ok("default public")),
        ] {
            assert_eq!(asked(&folding, target), expected.map(str::to_owned), "{target}");
        }
        let telling = pages(Readings { case_sensitive: true, ..Readings::default() });
        for target in ["/PAID/x", "/BILLING/x", "/pa%C4%B1d/x", "/%E2%84%AA", "/caf%C3%89/x"] {
            assert_eq!(asked(&telling, target), Ok("default public".to_owned()), "{target}");
        }
    }

    #[test]
    fn a_page_asks_for_the_same_at_each_of_its_addresses() {
        let languages = Languages::new(vec!["fil".into()]);
        let next = pages(Readings { framework: Framework::NextJs, languages, ..Readings::default() });
        for (target, expected) in [
            ("/_next/data/B1/paid/x.json", Ok("/paid/** tier paid")),
            ("/PAID.rsc", Ok("/paid/** tier paid")),
            ("/_next/image?url=%2FPaid%2Fa.png", Ok("/paid/** tier paid")),
            ("/_next/image?url=/free.png", Ok("default public")),
            ("/_next/image?url=/a/../paid/b.png", Err("ambiguous_target")),
            ("/en/paid", Ok("/paid/** tier paid")),
            ("/fil/paid", Ok("/paid/** tier paid")),
            ("/img//x", Ok("/img/** public")),
            ("/en/billing", Ok("default public")),
        ] {
            assert_eq!(asked(&next, target), expected.map(str::to_owned), "{target}");
        }
        assert_eq!(asked(&pages(Readings::default()), "/paid.rsc"), Ok("default public".to_owned()));
    }

    #[test]
    fn a_raw_path_passes_where_no_reading_of_it_asks_for_anything() {
        let routing = pages(Readings::default());
        for (target, expected) in [
            ("/img/https://a.example/b.png", Ok("/img/** public")),
            ("/img/a;v=1/b", Ok("/img/** public")),
            ("/@scope%2Fname", Ok("/@* public")),
            ("/@scope%2fname", Ok("/@* public")),
            ("/img/..%2Fpaid", Err("ambiguous_target")),
            ("/img/%2e%2e//paid", Err("ambiguous_target")),
            ("/@x%5Cy", Err("ambiguous_target")),
            ("/free//x", Err("ambiguous_target")),
            // A server that takes the first slash for two, or the parameters away, would serve what is paid for.
            ("//paid/x", Err("ambiguous_target")),
            ("/img//../paid/x", Err("ambiguous_target")),
        ] {
            assert_eq!(asked(&routing, target), expected.map(str::to_owned), "{target}");
        }
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
        let routes = vec![
            Route::new(pattern("/PAID"), paid.clone()),
            Route { raw: true, ..Route::new(pattern("/*"), Policy::public()) },
            Route { raw: true, ..Route::new(pattern("/a/**"), Policy::public()) },
            Route::new(pattern("/x/paid/**"), paid),
        ];
        let settings = (decide::Settings::default(), TrustedProxies::default());
        let routing = Routing::new((routes, Policy::public()), Readings::default(), settings.0, settings.1);
        assert_eq!(asked(&routing, "/x%2Fpaid"), Err("ambiguous_target"));
        assert_eq!(asked(&routing, "/paid;v=1"), Err("ambiguous_target"));
        assert_eq!(asked(&routing, "/x%2Fother"), Ok("/* public".to_owned()));
    }

    #[test]
    fn a_raw_path_is_no_other_address_of_a_page() {
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
        for (framework, targets) in [
            (Framework::Rails, ["//paid.json", "/paid.json%2F", "/paid.json;x"]),
            (Framework::Remix, ["//paid.data", "/paid.data;x", "/%2Fpaid.data"]),
            (Framework::AspNet, ["//paid./x", "/(S(x))//paid/x", "//PREMIU~1"]),
            (Framework::NextJs, ["//en/paid/x", "/en%2Fpaid%2Fx", "/_next/data/B//paid/x.json"]),
        ] {
            let routes = vec![
                Route::new(pattern("/paid/**"), paid.clone()),
                Route { raw: true, ..Route::new(pattern("/**"), Policy::public()) },
            ];
            let readings = Readings { framework, ..Readings::default() };
            let settings = (decide::Settings::default(), TrustedProxies::default());
            let routing = Routing::new((routes, Policy::public()), readings, settings.0, settings.1);
            for target in targets {
                assert_eq!(asked(&routing, target), Err("ambiguous_target"), "{framework:?} {target}");
            }
            assert_eq!(asked(&routing, "/free//x"), Ok("/** public".to_owned()), "{framework:?}");
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
