//! What is known of one request as it goes through Pingora's phases.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use entitlement::account::AccountId;
use entitlement::authorize::Permit;

use crate::headers::Degraded;
use crate::ladder::Layer;
use crate::metrics::Verdict;
use crate::routes::Destination;
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
    pub(crate) destination: Destination,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) degraded: Option<Degraded>,
    pub(crate) account: Option<AccountId>,
    pub(crate) layer: Option<(Layer, u64)>,
    pub(crate) verdict: Verdict,
    pub(crate) reason: &'static str,
    /// Tries to connect that failed.
    pub(crate) failed_tries: u32,
    /// Whether the response goes on for an unknown time.
    pub(crate) is_live: bool,
    /// When its headers had arrived.
    pub(crate) began: Option<Instant>,
    /// Bytes of the request's body so far.
    pub(crate) body_bytes: u64,
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
            destination: Destination::Site,
            view: None,
            degraded: None,
            account: None,
            layer: None,
            verdict: Verdict::Refuse,
            reason: "refused",
            failed_tries: 0,
            is_live: false,
            began: None,
            body_bytes: 0,
            plain: None,
        }
    }
}
