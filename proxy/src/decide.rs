//! `/decide`: the same decision for another gateway, which forwards requests itself: nginx `auth_request`, Caddy
//! `forward_auth`, Traefik's `ForwardAuth`, Envoy's HTTP `ext_authz`.
//!
//! It tells the request that it asks about in headers (`X-Forwarded-Method`, `-Uri`, `-Host`; nginx and its ingress also
//! say `X-Original-Method`, `X-Original-URI`), Envoy in the path below `/decide`. They decide, so they are believed only
//! from addresses in `trusted_proxies`: anybody else could ask about one request and send another.

use entitlement::authorize::Denial;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::http::RequestHeader;

use crate::respond::{Answer, Body};
use crate::screen::Refused;
use crate::target::{self, MethodRefusal, Refusal};

/// Where other gateways ask.
const PATH: &str = "/decide";

/// `?for=nginx`: `auth_request` knows 401 and 403, and takes every other refusal for a fault of ours
/// (<https://nginx.org/en/docs/http/ngx_http_auth_request_module.html>).
const FOR_NGINX: &str = "for=nginx";

const METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-original-method")];
const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-uri"), HeaderName::from_static("x-original-uri")];
const HOSTS: [HeaderName; 1] = [HeaderName::from_static("x-forwarded-host")];

/// What the gate itself would have answered, for a gateway that cannot pass it on.
const STATUS: HeaderName = HeaderName::from_static("x-tollgate-status");
const TO: HeaderName = HeaderName::from_static("x-tollgate-location");

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

/// Who asks, as far as it changes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Passes on whatever we answer.
    Any,
    Nginx,
}

/// Whether a canonical path asks for a decision.
pub(crate) fn asks(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads what a trusted gateway asks about.
///
/// # Errors
/// What the gate would refuse of the request itself, and what is told twice in different words or not at all.
pub(crate) fn question(request: &RequestHeader) -> Result<Question, Refused> {
    let headers = &request.headers;
    let method = match told(headers, &METHODS)? {
        Some(method) => {
            Method::from_bytes(method).map_err(|_| refused("bad_forwarded_method", "it names no method"))?
        }
        // Envoy asks with the method itself.
        None => request.method.clone(),
    };
    if let Err(refusal) = target::check_method(&method) {
        return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, ..refused(MethodRefusal::CODE, refusal) });
    }
    let below = request.raw_path().strip_prefix(PATH.as_bytes()).filter(|rest| rest.first() == Some(&b'/'));
    let raw = match (told(headers, &TARGETS)?, below) {
        (Some(told), None) => told,
        (None, Some(below)) => below,
        (None, None) => return Err(refused("no_forwarded_uri", "say in X-Forwarded-Uri what is asked about")),
        (Some(_), Some(_)) => return Err(refused("two_forwarded_uris", "the path and a header both name a target")),
    };
    let canonical = target::canonical(raw).map_err(|refusal| refused(Refusal::CODE, refusal))?;
    let (path, rewritten) = (canonical.path().to_owned(), canonical.rewritten());
    let host = match told(headers, &HOSTS)?.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes)) {
        Some(host) => Some(target::host(host).map_err(|refusal| refused(refusal.code(), refusal))?.into_owned()),
        None => None,
    };
    let query = request.uri.query().unwrap_or_default();
    let is_for_nginx = below.is_none() && query.split('&').any(|pair| pair == FOR_NGINX);
    let dialect = if is_for_nginx { Dialect::Nginx } else { Dialect::Any };
    Ok(Question { method, host, path, target: rewritten.unwrap_or_else(|| raw.to_vec()), dialect })
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

fn refused(code: &'static str, detail: impl ToString) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, code, detail: detail.to_string() }
}

/// The answer to a gateway that we do not know.
pub(crate) fn untrusted() -> Refused {
    let detail = "only addresses in proxy.trusted_proxies may ask for decisions: add the gateway's";
    Refused { status: StatusCode::FORBIDDEN, ..refused("untrusted_gateway", detail) }
}

/// The answer when the request may pass: what the site is to be told of its sender.
pub(crate) fn pass(told: &HeaderMap) -> Answer {
    let headers = told.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Answer { status: StatusCode::OK, headers, body: Body::default() }.not_stored()
}

/// The answer when it may not: the gate's own, in words that the gateway understands.
pub(crate) fn denied(denial: &Denial, own: Answer, dialect: Dialect) -> Answer {
    if dialect == Dialect::Any {
        return own;
    }
    let status = match denial {
        Denial::SignIn | Denial::BadCredential | Denial::Ambiguous => StatusCode::UNAUTHORIZED,
        Denial::Pay { .. } | Denial::Forbidden { .. } => StatusCode::FORBIDDEN,
        Denial::Unknown => return own,
    };
    let place = own.headers.iter().find(|(name, _)| *name == LOCATION).map(|(_, value)| (TO, value.clone()));
    let headers = own.headers.iter().filter(|(name, _)| *name != LOCATION).cloned();
    let would =
        HeaderValue::from(if own.status == StatusCode::SEE_OTHER { denial.status() } else { own.status.as_u16() });
    let headers = headers.chain(place).chain([(STATUS, would)]).collect();
    Answer { status, headers, body: own.body }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = [(&'static str, &'static str)];

    fn asked(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<Question, &'static str> {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).expect("a request");
        for (name, value) in lines {
            request.append_header(*name, *value).expect("a header");
        }
        question(&request).map_err(|refused| refused.code)
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
        let cases: [(&str, &Lines, &str); 8] = [
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
        let same = [uri, ("X-Original-URI", "/a")];
        assert!(asked("GET", "/decide", &same).is_ok(), "the same word twice is one");
    }

    #[test]
    fn only_its_own_path_asks() {
        for (path, does) in [("/decide", true), ("/decide/a", true), ("/decided", false), ("/a/decide", false)] {
            assert_eq!(asks(path), does, "{path}");
        }
    }
}
