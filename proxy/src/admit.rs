//! Whether a screened request may pass: its rule, the verdict, and what is counted of it.

use std::borrow::Cow;
use std::sync::Arc;

use entitlement::authorize::{Basis, Caller, Denial, Permit, Policy, authorize};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::admission::{Admission, Decision, reason};
use crate::context::{Context, origin};
use crate::decide::Door;
use crate::forwarded::Origin;
use crate::identity::{Credential, Sender};
use crate::metrics::Verdict;
use crate::respond::{self, Answer, Asked};
use crate::routes::{Allow, Destination, Rule};
use crate::routing::{Held, Sought};
use crate::screen::{Refused, host_of};
use crate::service::Service;
use crate::snapshot::Snapshot;
use crate::target::HostRefusal;
use crate::{clock, guests};

/// For a preflight, which a browser sends without credentials.
static PUBLIC: Policy = Policy::public();

impl Service {
    /// Decides on a screened request: an answer when it may not pass.
    pub(crate) async fn admit(
        &self,
        session: &mut Session,
        context: &mut Context,
        now: clock::Moment,
    ) -> Result<Option<Answer>> {
        let snapshot = Arc::clone(&context.snapshot);
        let request = session.req_header();
        let routing = &snapshot.routing;
        if self.door == Door::Decide || routing.decide.covers(request.uri.path()) {
            match self.asks(session, routing) {
                Ok(false) => {}
                Ok(true) => return Box::pin(self.decide(session, context, now)).await.map(Some),
                Err(refused) => return Ok(Some(self.refuse(&refused, context))),
            }
        }
        let is_named = routing.table.has_hosts() || snapshot.upstreams.have_hosts();
        let host = if is_named { host_of(request) } else { None };
        let (path, query) = (request.uri.path(), request.uri.query());
        let held = match routing.rule(Sought { method: &request.method, host: host.as_deref(), path, query }) {
            Ok(held) => held,
            Err(refused) => return Ok(Some(self.refuse(&refused, context))),
        };
        if held.rule.destination == Destination::Site {
            match snapshot.upstreams.site_for(host.as_deref()) {
                Some(site) => context.site = site,
                None => return Ok(Some(self.refuse(&Refused::host(), context))),
            }
        }
        // HTTP/2 has no request without a host, and HTTP/1.0 may have had none.
        if !snapshot.upstreams.speaks_http1(held.rule.destination) && host_of(request).is_none() {
            let missing = HostRefusal::Missing;
            return Ok(Some(self.refuse(&Refused::bad(missing.code(), missing), context)));
        }
        if routing.table.has_guests() {
            guests::receive(session, context, &held, routing)?;
        }
        let request = session.req_header();
        let asked = Asked { method: &request.method, headers: &request.headers, target: request.raw_path() };
        let origin = origin(session, &routing.trusted_proxies);
        match self.judge(&snapshot, &held, (asked, origin), (context, now)).await? {
            Ok(permit) => {
                context.permit = Some(permit);
                Ok(None)
            }
            Err(denial) => {
                let answer = respond::denial(&denial, asked, &snapshot.links);
                Ok(Some(answer.and(held.rule.cors.told(&request.headers))))
            }
        }
    }

    /// What a rule says to a request.
    pub(crate) async fn judge(
        &self,
        snapshot: &Snapshot,
        Held { rule, policy }: &Held<'_>,
        (request, origin): (Asked<'_>, Origin<'_>),
        (context, now): (&mut Context, clock::Moment),
    ) -> Result<std::result::Result<Permit, Denial>> {
        context.rule = Some(rule.index);
        let mut policy = Cow::Borrowed(policy.as_ref());
        if snapshot.admission.ladder.lacks(&policy.require) {
            policy.to_mut().is_known = false;
        }
        if !std::ptr::eq(policy.as_ref(), &rule.policy) {
            context.policy = Some(Box::new(policy.as_ref().clone()));
        }
        (context.destination, context.webhook) = (rule.destination, rule.webhook);
        let sender = Sender { headers: request.headers, origin: Some(origin), now };
        let credential = match rule.destination {
            Destination::Webhook => Credential::Missing,
            Destination::Site if rule.shared => Credential::Missing,
            Destination::Site | Destination::Billing => snapshot.identity.identify(sender).await,
        };
        let is_preflight = rule.cors.is_preflight(request.method, request.headers);
        let policy = if is_preflight { &PUBLIC } else { policy.as_ref() };
        // An older answer of the site must not send a visitor to sign in who has just done so.
        let credential = match credential {
            Credential::Missing | Credential::Rejected
                if snapshot.identity.asks()
                    // Billing's pages send visitors to sign in, too.
                    && (rule.destination == Destination::Billing
                        || authorize(Caller::Anonymous, policy, now.time).is_err()) =>
            {
                Box::pin(snapshot.identity.insist(sender)).await
            }
            credential => credential,
        };
        let decision = snapshot.admission.decide(policy, credential, now).await;
        let decision = decision.map_err(|error| Error::because(ErrorType::InternalError, "identity headers", error))?;
        let is_let_in = context.is_let_in && decision.verdict.as_ref().is_err_and(Allow::overcomes);
        let decision = if is_let_in { Admission::let_in(policy, now) } else { decision };
        let Decision { verdict, view, degraded, principal, layer } = decision;
        if let Some((_, age_ms)) = layer {
            self.metrics.age_seconds.observe(age_ms as f64 / 1e3);
        }
        (context.view, context.degraded, context.principal, context.layer) = (view, degraded, principal, layer);
        match verdict {
            Ok(permit) => {
                self.count_pass(rule, &permit, context);
                Ok(Ok(permit))
            }
            Err(denial) => {
                (context.verdict, context.reason) = (Verdict::Deny, denial.code());
                if matches!(denial, Denial::Unknown) {
                    self.metrics.degraded("unknown").inc();
                }
                self.metrics.requests(&rule.label, Verdict::Deny, denial.code()).inc();
                Ok(Err(denial))
            }
        }
    }

    /// Answers what is refused whatever the rule.
    pub(crate) fn refuse(&self, refused: &Refused, context: &mut Context) -> Answer {
        context.reason = refused.code;
        self.metrics.requests("none", Verdict::Refuse, refused.code).inc();
        refused.answer()
    }

    fn count_pass(&self, rule: &Rule, permit: &Permit, context: &mut Context) {
        context.reason = reason(permit, context.degraded);
        if let Some(degraded) = context.degraded {
            self.metrics.degraded(degraded.as_str()).inc();
        }
        context.verdict = match permit.basis() {
            Basis::Shadow(_) => Verdict::Shadow,
            Basis::Met | Basis::Fallback | Basis::LetIn => Verdict::Pass,
        };
        let usual = context.snapshot.passed.get(rule.index).filter(|_| *permit.basis() != Basis::LetIn);
        match (context.verdict, context.degraded, usual) {
            (Verdict::Pass, None, Some(counter)) => counter.inc(),
            (verdict, ..) => self.metrics.requests(&rule.label, verdict, context.reason).inc(),
        }
    }
}
