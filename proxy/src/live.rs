//! Responses that go on for an unknown time (WebSockets, event streams, gRPC): decided at their start like any other, and
//! ended when the account may not have them any more.
//!
//! A response of known length runs to its end: who began a download while it was paid for gets all of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use entitlement::Timestamp;
use entitlement::account::{AccountId, UserId};
use entitlement::authorize::{Denial, Policy};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use tokio::time::timeout;
use tracing::info;

use crate::admission::Admission;
use crate::clock::{self, Moment};
use crate::context::Context;
use crate::service::Service;
use crate::settings::LogRequests;
use crate::{guard, wire};

/// Media types that are sent in pieces for as long as something happens.
const STREAMED: [&[u8]; 4] =
    [b"text/event-stream", b"application/grpc", b"application/x-ndjson", b"multipart/x-mixed-replace"];

/// Shortest pause between two looks, so that no setting makes streams busy.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// Whether a response goes on for an unknown time.
pub(crate) fn is_live(response: &ResponseHeader) -> bool {
    let is_streamed = |kind: &[u8]| {
        STREAMED.iter().any(|known| kind.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known)))
    };
    // Of several, in one line or in more, a client may take any.
    let kinds =
        |line: &HeaderValue| line.as_bytes().split(|byte| *byte == b',').any(|kind| is_streamed(kind.trim_ascii()));
    response.headers.get_all(CONTENT_TYPE).iter().any(kinds)
}

impl Service {
    /// Lets a response that goes on for an unknown time end when the account may not have it any more.
    pub(crate) fn hold(&self, session: &mut Session, context: &mut Context) {
        context.is_live = true;
        context.place = None;
        if let Some(pulse) = &context.pulse {
            pulse.stop();
        }
        if let Some(wire) = wire::of(session) {
            wire.be_live();
        }
        let snapshot = &context.snapshot;
        session.set_read_timeout(Some(snapshot.limits.quiet));
        let counted = self.census.live();
        let lease = self.lease(context);
        guard::hold(Box::pin(async move {
            let _counted = counted;
            match lease {
                Some(lease) => lease.over().await,
                None => std::future::pending().await,
            }
        }));
    }

    /// The right to a response that goes on; none where everybody has it.
    pub(crate) fn lease(&self, context: &Context) -> Option<Lease> {
        let snapshot = &context.snapshot;
        let gated = snapshot.rule(context).filter(|rule| rule.is_gated());
        context.principal.clone().zip(gated).map(|(principal, rule)| Lease {
            admission: Arc::clone(&snapshot.admission),
            policy: context.policy.as_deref().unwrap_or(&rule.policy).clone(),
            user: principal.user().cloned(),
            account: principal.account,
            route: rule.label.clone(),
            log_requests: snapshot.log_requests,
        })
    }
}

/// The right to a response that goes on.
pub(crate) struct Lease {
    pub(crate) admission: Arc<Admission>,
    pub(crate) policy: Policy,
    pub(crate) account: AccountId,
    /// The user who acts for it; for the log.
    pub(crate) user: Option<UserId>,
    /// For the log.
    pub(crate) route: String,
    pub(crate) log_requests: LogRequests,
}

impl Lease {
    /// Waits until the right is over, and says why, here and in the log: the request that it cuts off logs nothing more.
    pub(crate) async fn over(self) -> &'static str {
        let reason = self.watch().await;
        if self.log_requests != LogRequests::None {
            let (account, route) = (self.account.as_str(), self.route.as_str());
            let user = self.user.as_ref().map(UserId::as_str);
            info!(account, user, route, reason, "response on {route} is ended: {reason}");
        }
        reason
    }

    /// Waits until the right is over, by a change that is pushed or by time alone, and says why. What nobody can say ends
    /// nothing before it is as old as any record may be.
    async fn watch(&self) -> &'static str {
        let follower = self.admission.ladder.follow_account(&self.account);
        let mut known = clock::moment();
        loop {
            let mut change = pin!(follower.change());
            // From here on no change is missed.
            change.as_mut().enable();
            let now = clock::moment();
            // Apart, so that its memory is held only while it looks.
            let (verdict, until) = Box::pin(self.admission.standing(&self.policy, &self.account, now)).await;
            match verdict {
                Ok(_) => known = now,
                Err(Denial::Unknown) if now.tick - known.tick <= self.admission.ladder.stale_if_error() => {}
                Err(denial) => return denial.code(),
            }
            // A change and the end of the pause both mean: look again.
            let _ = timeout(pause(until, now, self.admission.ladder.max_staleness()), change).await;
        }
    }
}

/// How long nothing need be looked at: not past the moment when the record changes by itself, and not much longer than a
/// lost push may go unnoticed. Many streams do not look at once.
fn pause(until: Option<Timestamp>, now: Moment, max_staleness: Duration) -> Duration {
    let regular = max_staleness.max(PAUSE_MIN).mul_f64(rand::random_range(0.5..1.0));
    match until.map(|until| (until - now.time).to_std()) {
        // A moment later, lest the clock's last digit makes it a moment early.
        Some(Ok(left)) => regular.min(left + Duration::from_millis(1)),
        // It is over already, and the next look will say so.
        Some(Err(_)) => Duration::from_millis(1),
        None => regular,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told_by_its_type() {
        let cases = [
            (&["text/event-stream"][..], true),
            (&["text/html", "text/event-stream"], true),
            (&["text/event-stream", "text/html"], true),
            (&["text/html, text/event-stream"], true),
            (&["Text/Event-Stream; charset=utf-8"], true),
            (&["application/grpc+proto"], true),
            (&["text/html"], false),
            (&["text/event"], false),
            (&[], false),
        ];
        for (kinds, expected) in cases {
            let mut response = ResponseHeader::build(200, None).expect("a status");
            for kind in kinds {
                response.append_header("Content-Type", *kind).expect("a header");
            }
            assert_eq!(is_live(&response), expected, "{kinds:?}");
        }
    }

    #[test]
    fn a_pause_ends_with_the_segment_and_is_never_none() {
        let (now, staleness) = (clock::moment(), Duration::from_secs(5));
        let at = |ms| Some(now.time + chrono::Duration::milliseconds(ms));
        assert_eq!(pause(at(100), now, staleness), Duration::from_millis(101));
        assert_eq!(pause(at(-100), now, staleness), Duration::from_millis(1));
        for until in [at(3_600_000), None] {
            let pause = pause(until, now, staleness);
            assert!(staleness / 2 <= pause && pause < staleness, "{pause:?}");
        }
        assert!(pause(None, now, Duration::ZERO) >= PAUSE_MIN / 2);
    }
}
