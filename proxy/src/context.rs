//! What is known of one request as it goes through Pingora's phases.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use entitlement::authorize::{Permit, Policy};
use http::HeaderValue;
use pingora::proxy::Session;

use crate::census::Counted;
use crate::forwarded::{Origin, Scheme, TrustedProxies};
use crate::headers::{Degraded, Told};
use crate::identity::Principal;
use crate::ladder::Layer;
use crate::metrics::Verdict;
use crate::pulse::Pulse;
use crate::routes::Destination;
use crate::site::Course;
use crate::snapshot::Snapshot;
use crate::view::View;

/// What is known of one request as it goes through the phases.
pub(crate) struct Context {
    /// What it goes by, from its beginning to its end.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Without one, no upstream is chosen.
    pub(crate) permit: Option<Permit>,
    /// Index of the rule.
    pub(crate) rule: Option<usize>,
    /// What it has to satisfy, where that is more than its rule.
    pub(crate) policy: Option<Box<Policy>>,
    pub(crate) destination: Destination,
    /// Billing's path for a webhook that is delivered at another one.
    pub(crate) webhook: Option<&'static str>,
    /// Whether its rule lets it in by its address or a token, and whether its own address had one.
    pub(crate) is_let_in: bool,
    pub(crate) had_token: bool,
    /// The place of the site that its host names.
    pub(crate) site: usize,
    /// What its server is told as `Host` in place of what the client asks for.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) degraded: Option<Degraded>,
    pub(crate) principal: Option<Principal>,
    pub(crate) layer: Option<(Layer, u64)>,
    pub(crate) verdict: Verdict,
    pub(crate) reason: &'static str,
    /// Connections that were asked for, on the way of Pingora's proxying.
    pub(crate) tries: usize,
    /// The last of them, where the site speaks HTTP/1.
    pub(crate) course: Option<Arc<Course>>,
    /// Tries to connect that failed.
    pub(crate) failed_tries: usize,
    /// Whether the response goes on for an unknown time.
    pub(crate) is_live: bool,
    /// Whether the answer has no length, and whether it has no body.
    pub(crate) is_in_chunks: bool,
    pub(crate) is_bodiless: bool,
    /// When its headers had arrived.
    pub(crate) began: Option<Instant>,
    /// Bytes of the request's body so far.
    pub(crate) body_bytes: u64,
    /// When parts of the body have come, where that is watched.
    pub(crate) pulse: Option<Arc<Pulse>>,
    /// A place among the requests that hold a connection to the site.
    pub(crate) place: Option<Counted>,
    /// The whole body of a request that is carried by [`crate::exchange`].
    pub(crate) plain: Option<Bytes>,
}

impl Context {
    /// Of a request of which nothing is known: it may go nowhere.
    pub(crate) const fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            permit: None,
            rule: None,
            policy: None,
            destination: Destination::Site,
            webhook: None,
            is_let_in: false,
            had_token: false,
            site: 0,
            host: None,
            view: None,
            degraded: None,
            principal: None,
            layer: None,
            verdict: Verdict::Refuse,
            reason: "refused",
            tries: 0,
            course: None,
            failed_tries: 0,
            is_live: false,
            is_in_chunks: false,
            is_bodiless: false,
            began: None,
            body_bytes: 0,
            pulse: None,
            place: None,
            plain: None,
        }
    }
}

/// What whoever serves the request is told of its sender, when that is known.
pub(crate) fn who(context: &Context) -> Option<Told<'_>> {
    context.view.as_deref().map(|view| told(view, context))
}

pub(crate) fn told<'a>(view: &'a View, context: &'a Context) -> Told<'a> {
    let assertion = context.snapshot.admission.views.assertion(view, context.destination);
    let lines = (context.destination == Destination::Site).then_some(&view.lines);
    Told { view, assertion, lines, degraded: context.degraded }
}

/// The other end of the client's connection.
pub(crate) fn origin<'a>(session: &Session, trusted: &'a TrustedProxies) -> Origin<'a> {
    let peer = session.client_addr().and_then(|address| address.as_inet().copied());
    let is_encrypted = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    Origin::new(peer, if is_encrypted { Scheme::Https } else { Scheme::Http }, trusted)
}
