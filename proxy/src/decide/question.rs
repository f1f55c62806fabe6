//! What a gateway asks about: read from its headers, or from the path below that of decisions.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::RequestHeader;

use super::refused;
use crate::headers;
use crate::routing::{Routing, Sought};
use crate::screen::{self, Refused};
use crate::target::{self, MethodRefusal};

/// `?for=nginx`: `auth_request` knows 401 and 403, and takes every other refusal for a fault of ours
/// (<https://nginx.org/en/docs/http/ngx_http_auth_request_module.html>).
const FOR_NGINX: &str = "for=nginx";

/// `?for=traefik`: as every gateway, but it removes headers by their whole names alone.
const FOR_TRAEFIK: &str = "for=traefik";

/// `?for=refused`: nginx asks again about a request that was refused, and passes on the whole answer.
const FOR_REFUSED: &str = "for=refused";

const KNOWN: [(&str, Dialect); 3] =
    [(FOR_NGINX, Dialect::Nginx), (FOR_TRAEFIK, Dialect::Traefik), (FOR_REFUSED, Dialect::Refused)];

const METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-original-method")];
const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-uri"), HeaderName::from_static("x-original-uri")];
const HOSTS: [HeaderName; 1] = [HeaderName::from_static("x-forwarded-host")];

/// The request that another gateway asks about. What is in it is canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) host: Option<String>,
    /// The path alone.
    pub(crate) path: String,
    /// Path and query.
    pub(crate) target: Vec<u8>,
    pub(crate) dialect: Dialect,
}

impl Question {
    pub(crate) fn query(&self) -> Option<&str> {
        let target = std::str::from_utf8(&self.target).ok()?;
        target.split_once('?').map(|(_, query)| query)
    }
}

/// Who asks, as far as it changes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Passes on whatever we answer.
    Any,
    Nginx,
    /// As any.
    Traefik,
    /// nginx once more, after a refusal.
    Refused,
}

impl Dialect {
    /// The dialect that a question in headers names in its query. One in the path has the client's own query, which names none.
    pub(crate) fn of(request: &RequestHeader, routing: &Routing) -> Self {
        let says = |word: &str| pairs(request, routing).any(|pair| pair == word);
        KNOWN.into_iter().find(|(word, _)| says(word)).map_or(Self::Any, |(_, dialect)| dialect)
    }

    /// That the query names no other dialect: the gateway would not understand the answer.
    fn check(request: &RequestHeader, routing: &Routing) -> Result<(), Refused> {
        let is_known = |pair: &str| KNOWN.iter().any(|(word, _)| pair == *word);
        let mut named = pairs(request, routing).filter(|pair| pair.split('=').next() == Some("for"));
        if named.all(is_known) {
            return Ok(());
        }
        Err(refused("unknown_dialect", "`for` in the query is nginx, traefik or refused, or is not there"))
    }
}

/// The pairs in the query of a question in headers.
fn pairs<'a>(request: &'a RequestHeader, routing: &Routing) -> impl Iterator<Item = &'a str> {
    let query = match request.uri.path().strip_prefix(routing.decide.path()) {
        Some("") => request.uri.query().unwrap_or_default(),
        _ => "",
    };
    query.split('&')
}

/// Reads what a gateway asks about, at the path of decisions or below it.
///
/// # Errors
/// What the gate would refuse of the request itself, and what is told twice in different words or not at all.
pub(crate) fn question(request: &RequestHeader, routing: &Routing) -> Result<Question, Refused> {
    let path = routing.decide.path();
    let below = request.raw_path().strip_prefix(path.as_bytes()).filter(|rest| rest.first() == Some(&b'/'));
    match below {
        Some(below) => question_in_path(request, below, routing),
        None => question_in_headers(request, routing),
    }
}

/// Envoy asks with the request itself, and sends on every header of its client: what they say of another request is not
/// believed.
fn question_in_path(request: &RequestHeader, raw: &[u8], routing: &Routing) -> Result<Question, Refused> {
    let headers = &request.headers;
    if TARGETS.iter().any(|name| headers.contains_key(name)) {
        return Err(refused("two_forwarded_uris", "the path and a header both name a target"));
    }
    let mut methods = METHODS.into_iter().flat_map(|name| headers.get_all(name));
    if methods.any(|told| told.as_bytes() != request.method.as_str().as_bytes()) {
        return Err(refused("two_forwarded_values", "a header names another method than that of the request"));
    }
    let host = screen::host_of(request).map(Cow::into_owned);
    let mut hosts = HOSTS.into_iter().flat_map(|name| headers.get_all(name));
    let differs = |told: &HeaderValue| target::host(told.as_bytes()).ok().as_deref() != host.as_deref();
    if hosts.any(differs) {
        return Err(refused("two_forwarded_values", "a header names another host than that of the request"));
    }
    ask((request.method.clone(), host), raw, Dialect::Any, routing)
}

fn question_in_headers(request: &RequestHeader, routing: &Routing) -> Result<Question, Refused> {
    let headers = &request.headers;
    Dialect::check(request, routing)?;
    let method = match told(headers, &METHODS)? {
        Some(method) => {
            Method::from_bytes(method).map_err(|_| refused("bad_forwarded_method", "it names no method"))?
        }
        None => request.method.clone(),
    };
    let Some(raw) = told(headers, &TARGETS)? else {
        return Err(refused("no_forwarded_uri", "say in X-Forwarded-Uri what is asked about"));
    };
    let host = match told(headers, &HOSTS)? {
        Some(host) => Some(target::host(host).map_err(|refusal| refused(refusal.code(), refusal))?.into_owned()),
        None => screen::host_of(request).map(Cow::into_owned),
    };
    let dialect = Dialect::of(request, routing);
    if dialect != Dialect::Any
        && let Some(name) = headers.keys().find(|name| headers::is_unlisted(name.as_str()))
    {
        let detail = format!(
            "no client may write {name}, and this gateway removes by whole names alone: it would reach the site"
        );
        return Err(refused("unlisted_header", detail));
    }
    ask((method, host), raw, dialect, routing)
}

/// A question about a raw target.
fn ask(
    (method, host): (Method, Option<String>),
    raw: &[u8],
    dialect: Dialect,
    routing: &Routing,
) -> Result<Question, Refused> {
    if let Err(refusal) = target::check_method(&method) {
        return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, ..refused(MethodRefusal::CODE, refusal) });
    }
    let (path, rewritten) = match target::canonical(raw) {
        Ok(canonical) => (canonical.path().to_owned(), canonical.rewritten()),
        Err(refusal) => {
            let path = raw_path(&method, host.as_deref(), raw, routing).ok_or_else(|| Refused::target(refusal))?;
            (path.to_owned(), None)
        }
    };
    Ok(Question { method, host, path, target: rewritten.unwrap_or_else(|| raw.to_vec()), dialect })
}

/// The path of a target that is not canonical, if a route lets it pass.
fn raw_path<'a>(method: &Method, host: Option<&str>, raw: &'a [u8], routing: &Routing) -> Option<&'a str> {
    let target = std::str::from_utf8(raw).ok()?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let sought = Sought { method, host, path, query };
    (routing.is_raw(sought) && routing.raw(sought).is_some()).then_some(path)
}

/// The one value of these headers, if there is any.
fn told<'a>(headers: &'a HeaderMap, names: &[HeaderName]) -> Result<Option<&'a [u8]>, Refused> {
    let mut values = names.iter().flat_map(|name| headers.get_all(name)).map(HeaderValue::as_bytes);
    let first = values.next();
    match values.all(|value| Some(value) == first) {
        true => Ok(first),
        false => Err(refused("two_forwarded_values", "headers that describe the request contradict each other")),
    }
}

#[cfg(test)]
mod tests {
    use entitlement::authorize::Policy;

    use super::*;
    use crate::forwarded::TrustedProxies;
    use crate::readings::Readings;
    use crate::routes::{Pattern, Route};

    type Lines = [(&'static str, &'static str)];

    fn routing() -> Routing {
        let (decide, trusted) = (crate::decide::Settings::default(), TrustedProxies::default());
        let raw = Route { raw: true, ..Route::new(Pattern::parse("/img/**").expect("a pattern"), Policy::public()) };
        Routing::new((vec![raw], Policy::public()), Readings::default(), decide, trusted)
    }

    fn asked(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<Question, &'static str> {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).expect("a request");
        for (name, value) in lines {
            request.append_header(*name, *value).expect("a header");
        }
        let routing = routing();
        crate::screen::screen(&mut request, &routing).expect("a verdict");
        question(&request, &routing).map_err(|refused| refused.code)
    }

    #[test]
    fn every_gateway_is_understood() {
        let forwarded =
            [("X-Forwarded-Method", "PUT"), ("X-Forwarded-Uri", "/%61?b=c"), ("X-Forwarded-Host", "A.example:8080")];
        let question = Question {
            method: Method::PUT,
            host: Some("a.example".into()),
            path: "/a".into(),
            target: b"/a?b=c".to_vec(),
            dialect: Dialect::Any,
        };
        assert_eq!(asked("GET", "/decide", &forwarded), Ok(question.clone()), "Caddy, Traefik");
        let nginx = [("X-Original-Method", "PUT"), ("X-Original-URI", "/a?b=c"), ("Host", "a.example")];
        let expected = Question { dialect: Dialect::Nginx, ..question.clone() };
        assert_eq!(asked("GET", "/decide?for=nginx", &nginx), Ok(expected), "nginx");
        assert_eq!(asked("PUT", "/decide/a?b=c", &[("Host", "a.example")]), Ok(question), "Envoy");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let uri = ("X-Forwarded-Uri", "/a");
        let cases: [(&str, &Lines, &str); 12] = [
            ("/decide?for=junk", &[uri], "unknown_dialect"),
            ("/decide?for=nginx&for=junk", &[uri], "unknown_dialect"),
            ("/decide?for", &[uri], "unknown_dialect"),
            ("/decide?for=", &[uri], "unknown_dialect"),
            ("/decide", &[], "no_forwarded_uri"),
            ("/decide", &[uri, ("X-Forwarded-Uri", "/b")], "two_forwarded_values"),
            ("/decide", &[uri, ("X-Original-URI", "/b")], "two_forwarded_values"),
            ("/decide/a", &[uri], "two_forwarded_uris"),
            ("/decide", &[("X-Forwarded-Uri", "/a/../b")], "ambiguous_target"),
            ("/decide", &[("X-Forwarded-Uri", "http://evil.example/a")], "ambiguous_target"),
            ("/decide", &[uri, ("X-Forwarded-Method", "get")], "method_not_allowed"),
            ("/decide", &[uri, ("X-Forwarded-Host", "a, b")], "bad_host"),
        ];
        for (target, lines, code) in cases {
            assert_eq!(asked("GET", target, lines), Err(code), "{target} {lines:?}");
        }
        for name in ["X-Entitlement-Future", "X-Forwarded-Somebody"] {
            for (target, expected) in [
                ("/decide?for=nginx", Err("unlisted_header")),
                ("/decide?for=refused", Err("unlisted_header")),
                ("/decide?for=traefik", Err("unlisted_header")),
                ("/decide", Ok("/a")),
            ] {
                let found = asked("GET", target, &[uri, (name, "1")]).map(|question| question.path);
                assert_eq!(found.as_deref().map_err(|code| *code), expected, "{target} {name}");
            }
        }
        for target in ["/decide?fort=junk", "/decide?a=for", "/decide/a?for=junk"] {
            let lines: &Lines = if target.starts_with("/decide/") { &[] } else { &[uri] };
            assert!(asked("GET", target, lines).is_ok(), "{target}: no dialect is named");
        }
        let same = [uri, ("X-Original-URI", "/a")];
        assert!(asked("GET", "/decide", &same).is_ok(), "the same word twice is one");
    }

    #[test]
    fn a_path_overrules_what_headers_say_of_it_or_is_refused() {
        let host = ("Host", "a.example");
        let cases: [(&Lines, Result<&str, &str>); 9] = [
            (&[], Ok("/a")),
            (&[("X-Forwarded-Method", "PUT"), ("X-Forwarded-Host", "A.example:443")], Ok("/a")),
            (&[("X-Forwarded-Method", "GET")], Err("two_forwarded_values")),
            (&[("X-Forwarded-Method", "put")], Err("two_forwarded_values")),
            (&[("X-Original-Method", "GET")], Err("two_forwarded_values")),
            (&[("X-Forwarded-Method", "PUT"), ("X-Forwarded-Method", "GET")], Err("two_forwarded_values")),
            (&[("X-Forwarded-Host", "b.example")], Err("two_forwarded_values")),
            (&[("X-Forwarded-Host", "")], Err("two_forwarded_values")),
            (&[("X-Original-URI", "/a")], Err("two_forwarded_uris")),
        ];
        for (lines, expected) in cases {
            let lines: Vec<(&'static str, &str)> = lines.iter().copied().chain([host]).collect();
            let found = asked("PUT", "/decide/a", &lines);
            assert_eq!(found.as_ref().map(|question| question.path.as_str()), expected.as_ref().copied(), "{lines:?}");
            assert!(found.is_err() || found.is_ok_and(|question| question.method == Method::PUT), "{lines:?}");
        }
    }
}
