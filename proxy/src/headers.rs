//! The identity headers: first every trace of them that the client sent is removed, then ours are written.
//!
//! This runs on every request that goes upstream, whatever the route, and again for every retry.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::view::View;

const ACCOUNT: HeaderName = HeaderName::from_static("x-entitlement-account");
const TIER: HeaderName = HeaderName::from_static("x-entitlement-tier");
const STATUS: HeaderName = HeaderName::from_static("x-entitlement-status");
const FEATURES: HeaderName = HeaderName::from_static("x-entitlement-features");
const VALID_UNTIL: HeaderName = HeaderName::from_static("x-entitlement-valid-until");
const DEGRADED: HeaderName = HeaderName::from_static("x-entitlement-degraded");
const ASSERTION: HeaderName = HeaderName::from_static("x-entitlement-assertion");

/// What the names of our headers begin with, in lower case. Nothing of the client's may look like it.
const PREFIX: &str = "x-entitlement-";

/// Headers that change a method behind the gate's back.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-method-override", "x-http-method"];

/// Why an answer was given without fresh knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degraded {
    /// The record is older than allowed.
    Stale,
    /// Nobody could say, and the route lets pass.
    Fallback,
}

impl Degraded {
    /// The word in `X-Entitlement-Degraded`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Fallback => "fallback",
        }
    }
}

/// Whether a name is one that only Tollgate may write, however a server behind may spell it: CGI and WSGI read `_` and
/// `-` as one.
#[must_use]
pub fn is_reserved(name: &[u8]) -> bool {
    let same = |(have, want): (&u8, u8)| have.to_ascii_lowercase() == want || (*have == b'_' && want == b'-');
    let begins = |prefix: &str| name.len() >= prefix.len() && name.iter().zip(prefix.bytes()).all(same);
    begins(PREFIX) || OVERRIDES.iter().any(|over| over.len() == name.len() && begins(over))
}

/// Removes what the client may not say.
pub fn strip(request: &mut RequestHeader) {
    while let Some(name) = request.headers.keys().find(|name| is_reserved(name.as_str().as_bytes())).cloned() {
        request.remove_header(&name);
    }
}

/// Writes what we know of the caller. Names go out in lower case, the client's too: that costs half as much as keeping
/// how each was written, which means nothing (RFC 9110 section 5.1).
///
/// # Errors
/// When the target cannot be kept, which is one that the gate lets through.
pub fn inject(request: &mut RequestHeader, told: Told<'_>) -> Result<()> {
    // The parts keep a target that is text; another one must be put back.
    let target = (!request.raw_path_is_utf8()).then(|| request.raw_path().to_vec());
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(request, nothing));
    told.write(&mut parts.headers);
    *request = RequestHeader::from(parts);
    target.map_or(Ok(()), |target| request.set_raw_path(&target))
}

/// What the application is told of the caller.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub view: &'a View,
    /// Signed for whoever serves the request; none when it could not be signed.
    pub assertion: Option<&'a HeaderValue>,
    pub degraded: Option<Degraded>,
}

impl Told<'_> {
    fn write(self, headers: &mut HeaderMap) {
        headers.reserve(7);
        headers.insert(ACCOUNT, self.view.account.clone());
        if let Some(plan) = &self.view.plan {
            headers.insert(TIER, plan.tier.clone());
            headers.insert(STATUS, plan.status.clone());
            headers.insert(FEATURES, plan.features.clone());
            if let Some(until) = &plan.valid_until {
                headers.insert(VALID_UNTIL, until.clone());
            }
        }
        if let Some(assertion) = self.assertion {
            headers.insert(ASSERTION, assertion.clone());
        }
        if let Some(degraded) = self.degraded {
            headers.insert(DEGRADED, HeaderValue::from_static(degraded.as_str()));
        }
    }
}

/// Whether the `Connection` header asks to remove something on the way that the gate has read or will write: then the
/// site would see another request than the gate.
#[must_use]
pub fn nominates_ours(headers: &HeaderMap) -> bool {
    let values = headers.get_all(http::header::CONNECTION).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|token| {
        let token = token.trim_ascii();
        token.eq_ignore_ascii_case(b"authorization") || token.eq_ignore_ascii_case(b"cookie") || is_reserved(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(names: &[&str]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for name in names {
            request.append_header((*name).to_owned(), "spoofed").expect("a header");
        }
        request
    }

    #[test]
    fn everything_that_looks_like_ours_is_removed() {
        let names = [
            "X-Entitlement-Tier",
            "x-entitlement-tier",
            "X_Entitlement_Tier",
            "x-entitlement_Account",
            "X-ENTITLEMENT-ASSERTION",
            "x-entitlement-",
            "X-Entitlement-Anything",
            "X-HTTP-Method-Override",
            "X_Http_Method_Override",
            "X-Method-Override",
            "X-HTTP-Method",
        ];
        let mut request = request(&names);
        strip(&mut request);
        assert!(request.headers.is_empty(), "{:?}", request.headers);
        assert_eq!(request.case_header_iter().count(), 0);
    }

    #[test]
    fn other_headers_stay() {
        let names = ["X-Entitlements", "X-Entitlement", "XX-Entitlement-Tier", "X-HTTP-Methods", "Cookie", "X-Method"];
        let mut request = request(&names);
        strip(&mut request);
        assert_eq!(request.headers.len(), names.len());
    }

    #[test]
    fn what_is_told_keeps_the_rest_of_the_request_as_it_is() {
        let view = crate::view::tests::paid_view();
        let told = Told { view: &view, assertion: Some(&view.assertion), degraded: Some(Degraded::Stale) };
        for target in [&b"/a?b=c"[..], b"/a?b=\xff\xfe", b"/caf%C3%A9?\xc3\xa9"] {
            let mut request = RequestHeader::build("PUT", target, None).expect("a request");
            request.append_header("Cookie", "a=1").expect("a header");
            request.append_header("Cookie", "b=2").expect("a header");
            request.set_version(http::Version::HTTP_11);
            inject(&mut request, told).expect("it is written");
            assert_eq!((request.method.as_str(), request.raw_path()), ("PUT", target));
            assert_eq!(request.version, http::Version::HTTP_11);
            assert_eq!(request.headers.get_all("cookie").iter().count(), 2);
            assert_eq!(request.headers["x-entitlement-tier"], "paid");
            assert_eq!(request.headers["x-entitlement-degraded"], "stale");
            assert_eq!(request.headers.len(), 9);
        }
    }

    #[test]
    fn a_connection_header_may_not_remove_what_the_gate_reads_or_writes() {
        let asks = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.append("connection", "keep-alive".parse().expect("a value"));
            headers.append("connection", value.parse().expect("a value"));
            nominates_ours(&headers)
        };
        for value in ["Authorization", "close, COOKIE", "x-entitlement-tier", "X_Entitlement_Tier", "x-http-method"] {
            assert!(asks(value), "{value}");
        }
        for value in ["close", "upgrade, keep-alive", "x-entitlements", "authorizations", ""] {
            assert!(!asks(value), "{value}");
        }
    }
}
