//! Sessions about which the site is asked, and their ends.

use std::sync::Arc;

use entitlement::record::forget::Forget;
use http::HeaderMap;
use http::header::HeaderName;

use super::Identity;
use crate::ladder::Ladder;

/// The header with which a site ends all sessions of a browser (Clear Site Data, section 3.1).
pub(crate) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

impl Identity {
    /// Whether the site is asked about sessions.
    pub(crate) const fn asks(&self) -> bool {
        self.asking.is_used()
    }

    /// Forgets the sessions of a request whose cookies the site's answer sets or clears.
    pub(crate) fn end_sessions(&self, request: &HeaderMap, response: &HeaderMap) {
        self.asking.end(request, response);
    }

    /// Forgets that sessions of a request belong to no account.
    pub(crate) fn doubt_sessions(&self, request: &HeaderMap) {
        self.asking.doubt(request);
    }

    /// The ends of sessions are told to this process by `ladder`.
    pub(crate) fn told_by(&self, ladder: &Arc<Ladder>) {
        self.asking.told_by(ladder);
    }

    /// Forgets sessions that the application says have ended.
    pub(crate) fn forget(&self, forget: &Forget) {
        self.asking.forget(forget);
    }
}
