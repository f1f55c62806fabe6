//! Pingora's phases. Each only moves a request along; what is decided is decided elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::authorize::{Basis, Permit};
use http::Version;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use prometheus::IntCounter;
use tracing::{debug, info};

use crate::admission::{Admission, Decision, reason};
use crate::context::Context;
use crate::headers::{self, Told};
use crate::identity::{Credential, Identity};
use crate::metrics::{Metrics, Verdict};
use crate::respond::{self, Answer, Asked, Links};
use crate::routes::{Destination, Rule, Table};
use crate::settings::LogRequests;
use crate::target::{self, Refusal};
use crate::upstream::Upstreams;
use crate::{caching, clock, failure};

/// Seconds that an idle connection of a client is kept.
const KEEPALIVE_SECONDS: u64 = 75;

/// How long a client may refuse to take in more of a response.
const CLIENT_WRITE: Duration = Duration::from_secs(60);

/// The gate as Pingora sees it.
pub(crate) struct Service {
    pub(crate) table: Table,
    pub(crate) identity: Identity,
    pub(crate) admission: Admission,
    pub(crate) upstreams: Upstreams,
    pub(crate) links: Links,
    pub(crate) log_requests: LogRequests,
    pub(crate) metrics: &'static Metrics,
    /// What passing requests count, by the index of their rule.
    pub(crate) passed: Vec<IntCounter>,
}

/// Why a request is refused before any rule is read.
struct Refused {
    code: &'static str,
    detail: String,
}

impl Service {
    /// Refuses what could be read in two ways. Afterwards the request's path is canonical, here and on the wire.
    fn screen(session: &mut Session) -> Result<Option<Refused>> {
        let request = session.req_header_mut();
        let rewritten = match target::canonical(request.raw_path()) {
            Ok(target) => target.rewritten(),
            Err(refusal) => return Ok(Some(Refused { code: Refusal::CODE, detail: refusal.to_string() })),
        };
        if let Some(target) = rewritten {
            request.set_raw_path(&target)?;
        }
        // RFC 9112 section 3.2; Pingora has refused several hosts already.
        let host = request.headers.get(http::header::HOST);
        if request.version == Version::HTTP_11 && host.is_none_or(|host| host.as_bytes().trim_ascii().is_empty()) {
            return Ok(Some(Refused { code: "missing_host", detail: "the request has no host".to_owned() }));
        }
        if headers::nominates_ours(&request.headers) {
            let detail = "the Connection header names a header that is not hop-by-hop".to_owned();
            return Ok(Some(Refused { code: "connection_header", detail }));
        }
        Ok(None)
    }

    /// Decides on a screened request: an answer when it may not pass.
    async fn admit(&self, session: &Session, context: &mut Context, now: clock::Moment) -> Result<Option<Answer>> {
        let request = session.req_header();
        let rule = self.table.find(&request.method, request.uri.path());
        context.rule = Some(rule.index);
        context.destination = rule.destination;
        let credential = match rule.destination {
            Destination::Webhook => Credential::Missing,
            Destination::Site | Destination::Billing => self.identity.identify(&request.headers, now.time),
        };
        let decision = self.admission.decide(&rule.policy, credential, now).await;
        let Decision { verdict, view, degraded, account, layer } =
            decision.map_err(|error| Error::because(ErrorType::InternalError, "identity headers", error))?;
        if let Some((_, age_ms)) = layer {
            self.metrics.age_seconds.observe(age_ms as f64 / 1e3);
        }
        (context.view, context.degraded, context.account, context.layer) = (view, degraded, account, layer);
        match verdict {
            Ok(permit) => {
                self.count_pass(rule, &permit, context);
                context.permit = Some(permit);
                Ok(None)
            }
            Err(denial) => {
                (context.verdict, context.reason) = (Verdict::Deny, denial.code());
                self.metrics.requests(&rule.label, Verdict::Deny, denial.code()).inc();
                let asked = Asked { method: &request.method, headers: &request.headers, target: request.raw_path() };
                Ok(Some(respond::denial(&denial, asked, &self.links)))
            }
        }
    }

    fn count_pass(&self, rule: &Rule, permit: &Permit, context: &mut Context) {
        context.reason = reason(permit, context.degraded);
        if let Some(degraded) = context.degraded {
            self.metrics.degraded(degraded.as_str()).inc();
        }
        context.verdict = match permit.basis() {
            Basis::Shadow(_) => Verdict::Shadow,
            Basis::Met | Basis::Fallback => Verdict::Pass,
        };
        match (context.verdict, context.degraded, self.passed.get(rule.index)) {
            (Verdict::Pass, None, Some(counter)) => counter.inc(),
            (verdict, ..) => self.metrics.requests(&rule.label, verdict, context.reason).inc(),
        }
    }

    fn rule(&self, context: &Context) -> Option<&Rule> {
        self.table.rules().get(context.rule?)
    }
}

#[async_trait]
impl ProxyHttp for Service {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new()
    }

    /// None: the gate changes no body.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let now = clock::moment();
        bound(session);
        let answer = match Self::screen(session)? {
            Some(Refused { code, detail }) => {
                context.reason = code;
                self.metrics.requests("none", Verdict::Refuse, code).inc();
                Some(respond::refusal(code, &detail))
            }
            None => self.admit(session, context, now).await?,
        };
        self.metrics.gate_seconds.observe(now.tick.elapsed().as_secs_f64());
        let Some(answer) = answer else { return Ok(false) };
        if let Err(error) = answer.write(session).await {
            debug!(%error, "the client left before it was answered");
            session.set_keepalive(None);
        }
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        if context.permit.is_none() {
            return Err(Error::explain(ErrorType::InternalError, "a request without a permit"));
        }
        match context.destination {
            Destination::Billing | Destination::Webhook => Ok(self.upstreams.billing()),
            Destination::Site => self
                .upstreams
                .site()
                .ok_or_else(|| Error::explain(ErrorType::ConnectNoRoute, "no server of the site is healthy").into_up()),
        }
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        headers::strip(request);
        let Some(view) = &context.view else { return Ok(()) };
        let assertion = self.admission.views.assertion(view, context.destination);
        headers::inject(request, Told { view, assertion, degraded: context.degraded })
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if response.status.is_informational() || !self.rule(context).is_some_and(Rule::is_gated) {
            return Ok(());
        }
        caching::keep_private(response)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing has been sent: another server may take the request, once.
        if self.upstreams.are_many() && context.destination == Destination::Site && context.failed_tries == 0 {
            error.set_retry(true);
        }
        context.failed_tries += 1;
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
        let answer = failure::answer(error, context.destination);
        let error_code = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        if let Some(answer) = answer {
            session.set_keepalive(None);
            if let Err(error) = answer.write(session).await {
                debug!(%error, "the client left before it was told of a failure");
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Context) {
        let wanted = match self.log_requests {
            LogRequests::All => true,
            LogRequests::Denied => context.verdict != Verdict::Pass,
            LogRequests::None => false,
        };
        if !wanted {
            return;
        }
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let route = self.rule(context).map_or("none", |rule| rule.label.as_str());
        let (verdict, reason) = (context.verdict.as_str(), context.reason);
        info!(
            account = context.account.as_ref().map(AccountId::as_str),
            route,
            verdict,
            reason,
            layer = context.layer.map(|(layer, _)| layer.as_str()),
            age_ms = context.layer.map(|(_, age_ms)| age_ms),
            method = session.req_header().method.as_str(),
            status,
            "request on {route}: {verdict} ({reason})"
        );
    }

    /// For Pingora's own log lines. The query stays out: it may hold secrets.
    fn request_summary(&self, session: &Session, _: &Context) -> String {
        let request = session.req_header();
        format!("{} {}", request.method, request.uri.path())
    }
}

/// Bounds what a client may take its time for.
fn bound(session: &mut Session) {
    // Absent when the connection is to be closed anyway.
    if session.get_keepalive().is_some() {
        session.set_keepalive(Some(KEEPALIVE_SECONDS));
    }
    session.set_write_timeout(Some(CLIENT_WRITE));
}
