//! What goes upstream with a request: first everything is removed that only the gate may say, then the gate says it.
//!
//! This runs on every request that goes upstream, whatever the route, and again for every retry.

mod names;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::forwarded::Origin;
use crate::view::View;
use names::{Writer, writer};

const ACCOUNT: HeaderName = HeaderName::from_static("x-entitlement-account");
const TIER: HeaderName = HeaderName::from_static("x-entitlement-tier");
const STATUS: HeaderName = HeaderName::from_static("x-entitlement-status");
const FEATURES: HeaderName = HeaderName::from_static("x-entitlement-features");
const VALID_UNTIL: HeaderName = HeaderName::from_static("x-entitlement-valid-until");
const DEGRADED: HeaderName = HeaderName::from_static("x-entitlement-degraded");
const ASSERTION: HeaderName = HeaderName::from_static("x-entitlement-assertion");

/// What the gate reads of a request, beside what it writes. Of the body's framing it reads the length.
const READ: [HeaderName; 6] =
    [AUTHORIZATION, COOKIE, HOST, ORIGIN, CONTENT_LENGTH, http::header::ACCESS_CONTROL_REQUEST_METHOD];

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

/// Makes a request's headers those that the site may believe: where it comes from, and who sends it when that is known.
/// Names go out in lower case, the client's too: that costs half as much as keeping how each was written, which means
/// nothing (RFC 9110 section 5.1).
///
/// # Errors
/// When the target cannot be kept, which is one that the gate lets through.
pub(crate) fn rewrite(
    request: &mut RequestHeader,
    origin: &Origin<'_>,
    told: Option<Told<'_>>,
    degraded: Option<Degraded>,
) -> Result<()> {
    // The parts keep a target that is text; another one must be put back.
    let target = (!request.raw_path_is_utf8()).then(|| request.raw_path().to_vec());
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(request, nothing));
    write(&mut parts, origin, told, degraded);
    *request = RequestHeader::from(parts);
    target.map_or(Ok(()), |target| request.set_raw_path(&target))
}

/// The same for a request in parts.
pub(crate) fn write(parts: &mut Parts, origin: &Origin<'_>, told: Option<Told<'_>>, degraded: Option<Degraded>) {
    strip(&mut parts.headers, origin);
    join_cookies(&mut parts.headers);
    parts.headers.reserve(12);
    origin.write(parts);
    match (told, degraded) {
        (Some(told), _) => told.write(&mut parts.headers),
        // It passes although nobody could say who sends it.
        (None, Some(degraded)) => parts.headers.extend(of_stranger(degraded)),
        (None, None) => {}
    }
}

/// What is told of a request that passes although nobody could say who sends it, for another gateway to pass on.
pub(crate) fn of_stranger(degraded: Degraded) -> HeaderMap {
    HeaderMap::from_iter([(DEGRADED, HeaderValue::from_static(degraded.as_str()))])
}

/// Removes what the client may not say.
fn strip(headers: &mut HeaderMap, origin: &Origin<'_>) {
    let may_stay = |name: &HeaderName| match writer(name.as_str().as_bytes()) {
        Writer::Anyone => true,
        Writer::Proxy => origin.is_trusted(),
        Writer::Gate => false,
    };
    while let Some(name) = headers.keys().find(|name| !may_stay(name)).cloned() {
        headers.remove(&name);
    }
}

/// Makes one line of several, as HTTP/2 may split it (RFC 9113 section 8.2.3): a site that reads only the first, or only
/// the last, would see other cookies than the gate.
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let (Some(_), Some(_)) = (lines.next(), lines.next()) else { return };
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
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
    /// The same as headers alone, for another gateway to pass on.
    pub(crate) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.write(&mut headers);
        headers
    }

    fn write(self, headers: &mut HeaderMap) {
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
    let values = headers.get_all(CONNECTION).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|token| {
        let token = token.trim_ascii();
        READ.iter().any(|name| token.eq_ignore_ascii_case(name.as_str().as_bytes())) || writer(token) != Writer::Anyone
    })
}

#[cfg(test)]
mod tests;
