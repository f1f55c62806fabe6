//! What is refused of every request before any rule is read: whatever two servers could understand differently.

use std::borrow::Cow;

use http::header::{ALLOW, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode, Uri, Version};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::headers;
use crate::respond::{self, Answer};
use crate::routing::{Routing, Sought};
use crate::target::{self, HostRefusal, MethodRefusal, Refusal};
use crate::upstream::UNKNOWN_HOST_CODE;

/// What who asks with another method is told (RFC 9110 section 15.5.6). Others pass too, for those who know them.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Why a request is refused before any rule is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    pub detail: String,
}

impl Refused {
    pub(crate) fn bad(code: &'static str, detail: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, detail: detail.to_string() }
    }

    /// A target that two servers may read differently.
    pub(crate) fn target(refusal: Refusal) -> Self {
        Self::bad(Refusal::CODE, refusal)
    }

    /// A path with characters that are letters of ASCII to some servers, and not to others.
    pub(crate) fn case() -> Self {
        let detail = "the path has a character beyond ASCII that is a letter of ASCII where case is folded";
        Self::bad("ambiguous_case", detail)
    }

    /// A host that no site is for (RFC 9110 section 15.5.20).
    pub(crate) fn host() -> Self {
        let detail = "no site is served under this host".to_owned();
        Self { status: StatusCode::MISDIRECTED_REQUEST, code: UNKNOWN_HOST_CODE, detail }
    }

    pub(crate) fn answer(&self) -> Answer {
        let answer = respond::failure(self.status, self.code, &self.detail);
        if self.status == StatusCode::METHOD_NOT_ALLOWED { answer.and(vec![(ALLOW, METHODS)]) } else { answer }
    }
}

/// The refusal of a request line that is none.
pub(crate) fn unreadable() -> Refused {
    Refused::bad("bad_request", "the request line cannot be read")
}

/// Refuses what could be read in two ways. Afterwards the request's path is canonical, here and on the wire; or it is one that a
/// raw route lets pass as it came.
///
/// # Errors
/// When the canonical target cannot be kept, which is one that nobody can ask for.
pub(crate) fn screen(request: &mut RequestHeader, routing: &Routing) -> Result<Option<Refused>> {
    if let Err(refusal) = target::check_method(&request.method) {
        let (status, detail) = (StatusCode::METHOD_NOT_ALLOWED, refusal.to_string());
        return Ok(Some(Refused { status, code: MethodRefusal::CODE, detail }));
    }
    let rewritten = match target::canonical(request.raw_path()).map(|target| target.rewritten()) {
        Ok(rewritten) => rewritten,
        Err(Refusal::NotOriginForm) => {
            let Some(target) = origin_form(request) else { return Ok(Some(Refused::target(Refusal::NotOriginForm))) };
            request.set_raw_path(&target)?;
            return screen(request, routing);
        }
        Err(_) if passes_raw(request, routing) => None,
        Err(refusal) => return Ok(Some(Refused::target(refusal))),
    };
    if let Some(target) = rewritten {
        set_target(request, &target)?;
    }
    if let Err(refusal) = check_host(request) {
        return Ok(Some(Refused::bad(refusal.code(), refusal)));
    }
    if headers::nominates_ours(&request.headers) {
        let detail = "the Connection header names a header that is not hop-by-hop";
        return Ok(Some(Refused::bad("connection_header", detail)));
    }
    if !has_clear_length(request) {
        return Ok(Some(Refused::bad("content_length", "the Content-Length is not one number in one line")));
    }
    if !has_clear_coding(request) {
        return Ok(Some(Refused::bad("transfer_encoding", "the Transfer-Encoding is another than chunked, once")));
    }
    Ok(None)
}

/// The origin form of a target that names the request's own host, as a client writes it for a proxy: servers have to accept it
/// (RFC 9112 section 3.2.2). Pingora has refused one that names another host.
fn origin_form(request: &RequestHeader) -> Option<Vec<u8>> {
    let (target, host) = (request.raw_path(), request.headers.get(HOST)?);
    let end = target.windows(3).position(|three| three == b"://")?;
    let (scheme, rest) = (&target[..end], &target[end + 3..]);
    let is_ours = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let rest = rest.strip_prefix(host.as_bytes()).filter(|_| is_ours)?;
    match rest.first() {
        Some(b'/') => Some(rest.to_vec()),
        None | Some(b'?') => Some([b"/", rest].concat()),
        Some(_) => None,
    }
}

/// Whether a route lets a target pass that is not canonical.
fn passes_raw(request: &RequestHeader, routing: &Routing) -> bool {
    let host = host_of(request);
    let (method, path, query) = (&request.method, request.uri.path(), request.uri.query());
    // What is matched is what is sent.
    let is_kept = request.uri.path_and_query().is_some_and(|target| target.as_str().as_bytes() == request.raw_path());
    let sought = Sought { method, host: host.as_deref(), path, query };
    is_kept && routing.is_raw(sought) && routing.raw(sought).is_some()
}

/// Whether a length is written as every server reads it. The same one twice or in a list is allowed to refuse, but not to
/// pass on (RFC 9112 section 6.3): a server that reads another length takes a part of the body for the next request.
fn has_clear_length(request: &RequestHeader) -> bool {
    let mut lines = request.headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |line: &HeaderValue| !line.is_empty() && line.as_bytes().iter().all(u8::is_ascii_digit);
    lines.next().is_none_or(is_number) && lines.next().is_none()
}

/// Whether a body is coded as every server reads it (RFC 9112 section 6.1). The gate frames it anew, and knows no other coding.
fn has_clear_coding(request: &RequestHeader) -> bool {
    let mut lines = request.headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |line: &HeaderValue| line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    lines.next().is_none_or(is_chunked) && lines.next().is_none()
}

/// Puts a canonical target in the place of another one. HTTP/2 keeps the host in the same place: it stays.
pub(crate) fn set_target(request: &mut RequestHeader, target: &[u8]) -> Result<()> {
    let mut parts = request.uri.clone().into_parts();
    if parts.authority.is_some()
        && let Ok(path_and_query) = PathAndQuery::try_from(target)
    {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            request.set_uri(uri);
            return Ok(());
        }
    }
    request.set_raw_path(target)
}

/// There is one clear host (RFC 9112 section 3.2, RFC 9113 section 8.3.1), but HTTP/1.0 had none. Pingora has refused
/// several, and one that differs from the target's.
fn check_host(request: &RequestHeader) -> Result<(), HostRefusal> {
    match written_host(request) {
        Some(host) => target::host(host).map(drop),
        None if request.version == Version::HTTP_10 => Ok(()),
        None => Err(HostRefusal::Missing),
    }
}

fn written_host(request: &RequestHeader) -> Option<&[u8]> {
    let host = request.headers.get(HOST).map(HeaderValue::as_bytes);
    host.or_else(|| request.uri.authority().map(|authority| authority.as_str().as_bytes()))
}

/// The host of a screened request, as rules compare it.
pub(crate) fn host_of(request: &RequestHeader) -> Option<Cow<'_, str>> {
    target::host(written_host(request)?).ok()
}

#[cfg(test)]
mod tests {
    use entitlement::authorize::Policy;
    use proptest::prelude::*;

    use super::*;
    use crate::forwarded::TrustedProxies;
    use crate::readings::Readings;

    fn request(method: &str, target: &str, lines: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).expect("a request");
        request.set_version(Version::HTTP_11);
        for (name, value) in lines {
            request.append_header(*name, *value).expect("a header");
        }
        request
    }

    fn routing() -> Routing {
        let (decide, trusted) = (crate::decide::Settings::default(), TrustedProxies::default());
        Routing::new((Vec::new(), Policy::public()), Readings::default(), decide, trusted)
    }

    #[test]
    fn requests_are_refused_as_this_table_says() {
        let host = ("Host", "read.example");
        let cases = [
            (request("GET", "/a", &[host]), None),
            (request("GET", "//a", &[host]), Some((400, "ambiguous_target"))),
            (request("OPTIONS", "*", &[host]), Some((400, "ambiguous_target"))),
            (request("GET", "http://read.example/a", &[host]), None),
            (request("GET", "http://read.example//a", &[host]), Some((400, "ambiguous_target"))),
            (request("GET", "http://other.example/a", &[host]), Some((400, "ambiguous_target"))),
            (request("GET", "http:///a", &[("Host", "")]), Some((400, "missing_host"))),
            (request("GET", "http://read.example/a", &[]), Some((400, "ambiguous_target"))),
            (request("GET", "ftp://read.example/a", &[host]), Some((400, "ambiguous_target"))),
            (request("TRACE", "/a", &[host]), Some((405, "method_not_allowed"))),
            (request("get", "/a", &[host]), Some((405, "method_not_allowed"))),
            (request("GET", "/a", &[]), Some((400, "missing_host"))),
            (request("GET", "/a", &[("Host", "")]), Some((400, "missing_host"))),
            (request("GET", "/a", &[("Host", "a/b")]), Some((400, "bad_host"))),
            (request("GET", "/a", &[host, ("Connection", "cookie")]), Some((400, "connection_header"))),
            (request("POST", "/a", &[host, ("Content-Length", "003")]), None),
            (request("POST", "/a", &[host, ("Content-Length", "3, 3")]), Some((400, "content_length"))),
            (request("POST", "/a", &[host, ("Content-Length", "+3")]), Some((400, "content_length"))),
            (request("POST", "/a", &[host, ("Content-Length", "")]), Some((400, "content_length"))),
            (
                request("POST", "/a", &[host, ("Content-Length", "3"), ("Content-Length", "3")]),
                Some((400, "content_length")),
            ),
            (request("POST", "/a", &[host, ("Transfer-Encoding", " Chunked ")]), None),
            (request("POST", "/a", &[host, ("Transfer-Encoding", "gzip, chunked")]), Some((400, "transfer_encoding"))),
            (request("POST", "/a", &[host, ("Transfer-Encoding", "identity")]), Some((400, "transfer_encoding"))),
            (
                request("POST", "/a", &[host, ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")]),
                Some((400, "transfer_encoding")),
            ),
        ];
        for (mut request, expected) in cases {
            let refused = screen(&mut request, &routing()).expect("a verdict");
            assert_eq!(refused.map(|refused| (refused.status.as_u16(), refused.code)), expected, "{request:?}");
        }
        let mut old = request("GET", "/a", &[]);
        old.set_version(Version::HTTP_10);
        assert_eq!(screen(&mut old, &routing()).expect("a verdict"), None, "HTTP/1.0 had no hosts");
    }

    #[test]
    fn a_target_with_its_own_host_is_sent_without_it() {
        for (target, sent) in [
            ("http://read.example", "/"),
            ("HTTPS://read.example?a=//b", "/?a=//b"),
            ("http://read.example/%61?b", "/a?b"),
            ("http://read.example:80/a", ""),
            ("http://read.example.evil/a", ""),
            ("http://READ.example/a", ""),
        ] {
            let mut request = request("GET", target, &[("Host", "read.example")]);
            let refused = screen(&mut request, &routing()).expect("a verdict");
            assert_eq!(refused.is_some(), sent.is_empty(), "{target}");
            if !sent.is_empty() {
                assert_eq!((request.raw_path(), request.uri.authority()), (sent.as_bytes(), None), "{target}");
            }
        }
    }

    #[test]
    fn a_target_that_is_rewritten_keeps_its_host() {
        let mut request = request("GET", "/", &[]);
        request.set_version(Version::HTTP_2);
        request.set_uri("https://read.example/%61?q=%61".parse().expect("a URI"));
        assert_eq!(screen(&mut request, &routing()).expect("a verdict"), None);
        assert_eq!(request.raw_path(), b"/a?q=%61");
        assert_eq!(request.uri, "https://read.example/a?q=%61");
    }

    proptest! {
        #[test]
        fn what_passes_is_sent_as_it_is_matched(
            target in "(/|%2[5eEfF]|%5[cC]|%[0-9a-fA-F]{2}|[a-z.;?#\\\\%-]){1,12}", is_http2 in any::<bool>(),
        ) {
            let mut request = request("GET", &format!("/{target}"), &[("Host", "read.example")]);
            if is_http2 {
                let Ok(uri) = format!("https://read.example/{target}").parse() else { return Ok(()) };
                request.remove_header("host");
                request.set_version(Version::HTTP_2);
                request.set_uri(uri);
            }
            if screen(&mut request, &routing()).expect("a verdict").is_none() {
                let sent = request.raw_path().to_vec();
                let again = target::canonical(&sent).expect("what is sent is canonical");
                prop_assert_eq!(again.rewritten(), None);
                prop_assert_eq!(again.path(), request.uri.path());
                let host = host_of(&request);
                prop_assert_eq!(host.as_deref(), Some("read.example"));
            }
        }
    }
}
