//! The identity headers: first every trace of them that the client sent is removed, then ours are written.
//!
//! This runs on every request that goes upstream, whatever the route, and again for every retry.

use http::{HeaderMap, HeaderValue};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::routes::Destination;
use crate::view::{View, Views};

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

/// Writes what we know of the caller.
///
/// # Errors
/// When a request has too many headers.
pub fn inject(
    request: &mut RequestHeader,
    view: &View,
    degraded: Option<Degraded>,
    destination: Destination,
    views: &Views,
) -> Result<()> {
    request.insert_header("X-Entitlement-Account", view.account.clone())?;
    if let Some(plan) = &view.plan {
        request.insert_header("X-Entitlement-Tier", plan.tier.clone())?;
        request.insert_header("X-Entitlement-Status", plan.status.clone())?;
        request.insert_header("X-Entitlement-Features", plan.features.clone())?;
        if let Some(until) = &plan.valid_until {
            request.insert_header("X-Entitlement-Valid-Until", until.clone())?;
        }
    }
    let assertion = match destination {
        Destination::Site => Some(&view.assertion),
        Destination::Billing | Destination::Webhook => views.billing_assertion(view),
    };
    if let Some(assertion) = assertion {
        request.insert_header("X-Entitlement-Assertion", assertion.clone())?;
    }
    if let Some(degraded) = degraded {
        mark(request, degraded)?;
    }
    Ok(())
}

/// Says that the gate decided without fresh knowledge.
///
/// # Errors
/// When a request has too many headers.
pub fn mark(request: &mut RequestHeader, degraded: Degraded) -> Result<()> {
    request.insert_header("X-Entitlement-Degraded", HeaderValue::from_static(degraded.as_str()))
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
