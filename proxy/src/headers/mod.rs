//! What goes upstream with a request: first everything is removed that only the gate may say, then the gate says it.
//!
//! This runs on every request that goes upstream, whatever the route, and again for every retry.

mod front;
pub(crate) mod hop;
mod names;
pub(crate) mod own_host;
pub(crate) mod trailers;

use std::borrow::Cow;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::forwarded::Origin;
use crate::view::{Block, View};
pub(crate) use front::Withheld;
pub use front::{FrontNameError, front_name};
pub(crate) use names::is_unlisted;
pub use names::{IDENTITY, removed};
use names::{Writer, writer};

pub(crate) const ACCOUNT: HeaderName = HeaderName::from_static("x-entitlement-account");
pub(crate) const USER: HeaderName = HeaderName::from_static("x-entitlement-user");
pub(crate) const TIER: HeaderName = HeaderName::from_static("x-entitlement-tier");
pub(crate) const STATUS: HeaderName = HeaderName::from_static("x-entitlement-status");
pub(crate) const FEATURES: HeaderName = HeaderName::from_static("x-entitlement-features");
pub(crate) const VALID_UNTIL: HeaderName = HeaderName::from_static("x-entitlement-valid-until");
const DEGRADED: HeaderName = HeaderName::from_static("x-entitlement-degraded");
pub(crate) const ASSERTION: HeaderName = HeaderName::from_static("x-entitlement-assertion");

/// What the gate reads of a request, beside what it writes. Of the body's framing it reads the length.
const READ: [HeaderName; 6] =
    [AUTHORIZATION, COOKIE, HOST, ORIGIN, CONTENT_LENGTH, http::header::ACCESS_CONTROL_REQUEST_METHOD];

/// Headers that the gate writes itself, on sites without organisations at most: so many have room from the start.
const OWN_MAX: usize = 12;

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

/// Where the headers of a request that goes on are written, one after the other.
pub(crate) trait Lines {
    /// Adds a line. There may be others of the same name.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue);

    /// Adds what is told of the caller.
    fn tell(&mut self, told: Told<'_>) {
        told.write(self);
    }
}

impl Lines for HeaderMap {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name.clone(), value.clone());
    }
}

/// Makes a request's headers those that the site may believe. Names go out in lower case, the client's too: that costs
/// half as much as keeping how each was written, which means nothing (RFC 9110 section 5.1).
///
/// # Errors
/// When the target cannot be kept, which is one that the gate lets through.
pub(crate) fn rewrite(
    request: &mut RequestHeader,
    host: Option<&HeaderValue>,
    (origin, withheld): (&Origin<'_>, &Withheld),
    told: Option<Told<'_>>,
    degraded: Option<Degraded>,
) -> Result<()> {
    // The parts keep a target that is text; another one must be put back.
    let target = (!request.raw_path_is_utf8()).then(|| request.raw_path().to_vec());
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(request, nothing));
    let mut headers = HeaderMap::with_capacity(parts.headers.len() + OWN_MAX);
    // Upgrades go on another way. Pingora has said here that one is asked for where the client's `Connection` did not.
    parts.headers.remove(CONNECTION);
    write((&parts.headers, &parts.uri), host, (origin, withheld), told, degraded, &mut headers);
    parts.headers = headers;
    *request = RequestHeader::from(parts);
    target.map_or(Ok(()), |target| request.set_raw_path(&target))
}

/// Writes the headers that the site may believe: the client's without those that only the gate may say, where the request
/// comes from, and who sends it when that is known. A server that has a host of its own is told that one.
pub(crate) fn write(
    (headers, uri): (&HeaderMap, &Uri),
    host: Option<&HeaderValue>,
    (origin, withheld): (&Origin<'_>, &Withheld),
    told: Option<Told<'_>>,
    degraded: Option<Degraded>,
    lines: &mut impl Lines,
) {
    let way = origin.way(headers, uri);
    if let Some(host) = host {
        lines.add(&HOST, host);
    }
    for (name, value) in headers {
        let stays = match writer(name.as_str().as_bytes()) {
            Writer::Anyone => {
                // Upgrades go on another way, which says so itself: Pingora would pass on one that `Connection` does not name.
                *name != COOKIE
                    && *name != UPGRADE
                    && (host.is_none() || *name != HOST)
                    && !withheld.holds(name.as_str().as_bytes())
            }
            Writer::Proxy => origin.is_trusted() && !way.replaces(name),
            Writer::Gate => false,
        };
        if stays {
            lines.add(name, value);
        }
    }
    if let Some(cookies) = cookies(headers) {
        lines.add(&COOKIE, &cookies);
    }
    way.write(lines);
    match (told, degraded) {
        (Some(told), _) => lines.tell(told),
        // It passes although nobody could say who sends it.
        (None, Some(degraded)) => lines.add(&DEGRADED, &HeaderValue::from_static(degraded.as_str())),
        (None, None) => {}
    }
}

/// What is told of a request that passes although nobody could say who sends it, for another gateway to pass on.
pub(crate) fn of_stranger(degraded: Degraded) -> HeaderMap {
    HeaderMap::from_iter([(DEGRADED, HeaderValue::from_static(degraded.as_str()))])
}

/// One line of several, as HTTP/2 may split it (RFC 9113 section 8.2.3): a site that reads only the first, or only the
/// last, would see other cookies than the gate.
fn cookies(headers: &HeaderMap) -> Option<Cow<'_, HeaderValue>> {
    let mut lines = headers.get_all(COOKIE).iter();
    let first = lines.next()?;
    if lines.next().is_none() {
        return Some(Cow::Borrowed(first));
    }
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&lines.join(&b"; "[..])).ok().map(Cow::Owned)
}

/// What the application is told of the caller.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub view: &'a View,
    /// Signed for whoever serves the request; none when it could not be signed.
    pub assertion: Option<&'a HeaderValue>,
    /// All of it but `degraded` as lines of a head, where they were made beforehand.
    pub lines: Option<&'a Block>,
    pub degraded: Option<Degraded>,
}

impl Told<'_> {
    /// The same as headers alone, for another gateway to pass on.
    pub(crate) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.write(&mut headers);
        headers
    }

    pub(crate) fn write(self, lines: &mut (impl Lines + ?Sized)) {
        lines.add(&ACCOUNT, &self.view.account);
        if let Some(user) = &self.view.user {
            lines.add(&USER, user);
        }
        if let Some(plan) = &self.view.plan {
            lines.add(&TIER, &plan.tier);
            lines.add(&STATUS, &plan.status);
            lines.add(&FEATURES, &plan.features);
            if let Some(until) = &plan.valid_until {
                lines.add(&VALID_UNTIL, until);
            }
        }
        if let Some(assertion) = self.assertion {
            lines.add(&ASSERTION, assertion);
        }
        self.write_degraded(lines);
    }

    /// What stands in none of the lines that were made beforehand.
    pub(crate) fn write_degraded(self, lines: &mut (impl Lines + ?Sized)) {
        if let Some(degraded) = self.degraded {
            lines.add(&DEGRADED, &HeaderValue::from_static(degraded.as_str()));
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
