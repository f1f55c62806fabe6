//! The fate of a request, from its first line alone: a gateway's question, a rule, or a refusal. The gate and
//! `tollgate explain` both ask here, so that neither can say what the other does not do.

use std::borrow::Cow;
use std::net::IpAddr;

use entitlement::authorize::{Policy, Requirement};
use entitlement::own_paths::OwnPaths;
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

/// The question of a request, as its screened first line and host say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    pub(crate) method: &'a Method,
    pub(crate) host: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// The rule of a request.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// The rule of its path, or, where that asks for nothing, the rule of another reading of it that does.
    pub rule: &'a Rule,
    /// The policy that it has to satisfy: the rule, and the rules of all its other readings.
    pub policy: Cow<'a, Policy>,
}

/// The reading of a request by the public listener.
#[derive(Debug)]
pub struct Found<'a> {
    /// The canonical path.
    pub path: String,
    /// The connections for which it is no request like any other, and what it is to them.
    pub asked_by: Vec<(Peer, Meaning)>,
    /// The rule for all others.
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
        Self::below(&OwnPaths::default(), (routes, default), readings, decide, trusted_proxies)
    }

    /// As [`Routing::new`], where Tollgate's own paths are `own`.
    #[must_use]
    pub fn below(
        own: &OwnPaths,
        (routes, default): (Vec<Route>, Policy),
        readings: Readings,
        decide: decide::Settings,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        Self { table: Table::below(own, routes, default), decide, trusted_proxies, readings }
    }

    /// The rule for a request whose path is canonical, or that a raw route lets pass.
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
            // A path of Tollgate's own is not the site's at any other address.
            if other.rule.destination == Destination::Site {
                held = held.and(other);
            }
        }
        Ok(held)
    }

    /// The rule for one reading of a path, in every letter case.
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

    /// The fate of a request with this first line and, if it names one, this host.
    ///
    /// # Errors
    /// Requests that the gate refuses whatever the rule.
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

    /// Whether a rule lets in a visitor from this address, or with this token.
    #[must_use]
    pub fn lets_in(&self, held: &Held<'_>, address: Option<IpAddr>, token: Option<&str>) -> bool {
        held.rule.allow.as_ref().is_some_and(|allow| {
            let is_known = |address: IpAddr| allow.addresses.include(address) && !self.is_between(address);
            held.is_its_own() && (address.is_some_and(is_known) || token.is_some_and(|token| allow.has_token(token)))
        })
    }

    /// Whether an address is that of a proxy or a gateway, which is no visitor: whatever it forwards comes from there.
    pub(crate) fn is_between(&self, address: IpAddr) -> bool {
        self.trusted_proxies.include(address) || self.decide.gateways().include(address)
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
    /// The rule where two hold. The rule that asks for something is the one that logs and metrics name; what is Tollgate's own stays so.
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

    /// Whether the rules of its other readings ask for nothing beyond.
    pub(crate) fn is_its_own(&self) -> bool {
        *self.policy == self.rule.policy
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
mod tests;
