//! The outcome of a question, as operators are told of it.

use std::sync::atomic::Ordering;

use entitlement::Timestamp;
use tracing::{debug, info, warn};

use super::answer::{Fault, Said};
use super::way::SessionWay;

/// How often it is logged that a site does not answer, in seconds.
const LOGGED_EVERY_SECONDS: u64 = 60;

impl SessionWay {
    /// Counts the outcome of a question, and logs once a minute why there is no answer; once, why an answer names no account, as long as none
    /// has named any.
    pub(super) fn count(&self, said: &Result<Said, Fault>, now: Timestamp) {
        let fault = match said {
            Ok(Said { principal: Some(_), .. }) => {
                self.has_named.store(true, Ordering::Relaxed);
                return self.metrics.account.inc();
            }
            Ok(Said { unread, .. }) => {
                if let Some(refusal) = unread.filter(|_| !self.has_named.swap(true, Ordering::Relaxed)) {
                    let (way, url) = (&self.name, self.site.location());
                    info!(way, %url, reason = refusal.code(), "the site's answer about a session names no account. If its user was signed in: {refusal}");
                }
                return self.metrics.nobody.inc();
            }
            Err(Fault::Busy) => return self.metrics.busy.inc(),
            Err(fault) => fault,
        };
        self.metrics.failed.inc();
        debug!(way = self.name, reason = %fault, "the site does not say whose a session is");
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let logged = self.logged.load(Ordering::Relaxed);
        let is_due = seconds.saturating_sub(logged) >= LOGGED_EVERY_SECONDS;
        if is_due && self.logged.compare_exchange(logged, seconds, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (way, url) = (&self.name, self.site.location());
            warn!(way, %url, reason = %fault, "the site does not say whose sessions are: answers that are kept count on for a while");
        }
    }
}
