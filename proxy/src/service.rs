//! Pingora's phases. Each only moves a request along; what is decided is decided elsewhere.

use std::borrow::Cow;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use entitlement::authorize::{Basis, Denial, Permit, Policy};
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tracing::{debug, error, warn};

use crate::admission::{Decision, reason};
use crate::census::Census;
use crate::context::{Context, origin, who};
use crate::decide::Door;
use crate::headers::{self, hop, trailers};
use crate::identity::Credential;
use crate::metrics::{Metrics, Verdict};
use crate::respond::{self, Answer, Asked};
use crate::routes::{Destination, Rule};
use crate::routing::{Held, Sought};
use crate::screen::{Refused, host_of, screen};
use crate::snapshot::Snapshot;
use crate::upstream::Connections;
use crate::{access_log, answers, body, clock, exchange, failure, guard, tunnel, wire};

/// For a preflight, which a browser sends without credentials.
static PUBLIC: Policy = Policy::public();

/// The gate as Pingora sees it.
#[derive(Clone)]
pub(crate) struct Service {
    /// What new requests go by.
    pub(crate) current: Arc<ArcSwap<Snapshot>>,
    pub(crate) census: Arc<Census>,
    pub(crate) metrics: &'static Metrics,
    /// For requests that Pingora's own proxying is not needed for.
    pub(crate) connections: Arc<Connections>,
    /// Where its connections come in.
    pub(crate) door: Door,
}

impl Service {
    /// Decides on a screened request: an answer when it may not pass.
    async fn admit(&self, session: &Session, context: &mut Context, now: clock::Moment) -> Result<Option<Answer>> {
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
        let host = if routing.table.has_hosts() { host_of(request) } else { None };
        let (path, query) = (request.uri.path(), request.uri.query());
        let held = match routing.rule(Sought { method: &request.method, host: host.as_deref(), path, query }) {
            Ok(held) => held,
            Err(refused) => return Ok(Some(self.refuse(&refused, context))),
        };
        let asked = Asked { method: &request.method, headers: &request.headers, target: request.raw_path() };
        match self.judge(&snapshot, &held, asked, (context, now)).await? {
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
        request: Asked<'_>,
        (context, now): (&mut Context, clock::Moment),
    ) -> Result<std::result::Result<Permit, Denial>> {
        context.rule = Some(rule.index);
        if let Cow::Owned(policy) = policy {
            context.policy = Some(Box::new(policy.clone()));
        }
        context.destination = rule.destination;
        let credential = match rule.destination {
            Destination::Webhook => Credential::Missing,
            Destination::Site if rule.shared => Credential::Missing,
            Destination::Site | Destination::Billing => snapshot.identity.identify(request.headers, now.time).await,
        };
        let is_preflight = rule.cors.is_preflight(request.method, request.headers);
        let policy = if is_preflight { &PUBLIC } else { policy.as_ref() };
        let decision = snapshot.admission.decide(policy, credential, now).await;
        let Decision { verdict, view, degraded, account, layer } =
            decision.map_err(|error| Error::because(ErrorType::InternalError, "identity headers", error))?;
        if let Some((_, age_ms)) = layer {
            self.metrics.age_seconds.observe(age_ms as f64 / 1e3);
        }
        (context.view, context.degraded, context.account, context.layer) = (view, degraded, account, layer);
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
            Basis::Met | Basis::Fallback => Verdict::Pass,
        };
        match (context.verdict, context.degraded, context.snapshot.passed.get(rule.index)) {
            (Verdict::Pass, None, Some(counter)) => counter.inc(),
            (verdict, ..) => self.metrics.requests(&rule.label, verdict, context.reason).inc(),
        }
    }
}

#[async_trait]
impl ProxyHttp for Service {
    /// Boxed, because Pingora moves it with each of its futures.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(self.current.load_full()))
    }

    /// None: the gate changes no body.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Box<Context>) -> Result<bool> {
        let now = clock::moment();
        guard::begin();
        context.began = Some(now.tick);
        context.snapshot.limits.bound(session);
        if session.req_header().version < Version::HTTP_11 {
            // It would take one for the answer.
            session.set_ignore_info_resp(true);
        }
        if hop::closes(&session.req_header().headers) {
            session.set_keepalive(None);
        }
        let refused = match context.snapshot.limits.refuse(session) {
            Some(refused) => Some(refused),
            None => screen(session.req_header_mut(), &context.snapshot.routing)?,
        };
        let answer = match refused {
            Some(refused) => Some(self.refuse(&refused, context)),
            None => self.admit(session, context, now).await?,
        };
        self.metrics.gate_seconds.observe(now.tick.elapsed().as_secs_f64());
        // What follows stands apart, so that a request that passes takes less memory.
        let answer = match answer {
            None if tunnel::is_asked(session) && context.destination == Destination::Site => {
                return Box::pin(self.tunnel(session, context)).await.map(|()| true);
            }
            None if context.plain.is_none() || context.snapshot.limits.upstream_connections > 0 => {
                Box::pin(self.take_in(session, context)).await?
            }
            answer => answer,
        };
        let Some(answer) = answer else {
            if context.plain.is_some() {
                return Box::pin(self.exchange(session, context)).await.map(|()| true);
            }
            return Ok(false);
        };
        wire::read_short_body_away(session);
        wire::close_unless_it_goes_on(session);
        if let Err(error) = Box::pin(answer.write(session, &context.snapshot.pages)).await {
            debug!(%error, "the client left before it was answered");
            session.set_keepalive(None);
        }
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Box<Context>) -> Result<Box<HttpPeer>> {
        let mut peer = Box::new(exchange::peer(&context.snapshot, context)?.into_owned());
        if let Some(timeout) = context.snapshot.rule(context).and_then(|rule| rule.timeout) {
            peer.options.read_timeout = Some(timeout);
        }
        exchange::dial(session, context, &self.connections, &mut peer);
        Ok(peer)
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: RawFd,
        digest: Option<&Digest>,
        context: &mut Box<Context>,
    ) -> Result<()> {
        let socket = match &context.course {
            Some(course) => course.socket(),
            None => digest.and_then(|digest| digest.socket_digest.clone()),
        };
        if let (Some(pulse), Some(socket)) = (&context.pulse, socket) {
            pulse.goes_to(socket);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        let (origin, told) = (origin(session, &context.snapshot.routing.trusted_proxies), who(context));
        headers::rewrite(request, &origin, told, context.degraded)
    }

    /// Counts what passes. A future that captures nothing takes no memory: this is called for every request.
    fn request_body_filter<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 mut Session,
        part: &'life2 mut Option<Bytes>,
        is_end: bool,
        context: &'life3 mut Box<Context>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        context.pass_on(part.as_ref(), is_end);
        if context.is_live || !context.snapshot.limits.is_too_long(context.body_bytes) {
            return Box::pin(async { Ok(()) });
        }
        Box::pin(async { Err(body::too_long()) })
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        self.make_ready(session, response, context)?;
        if let Some(course) = context.course.as_ref().filter(|_| !response.status.is_informational()) {
            course.pass_head();
        }
        Ok(())
    }

    /// Pingora reads no trailers of a site that speaks HTTP/1.1: they have come beside the body, and go out behind it.
    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        context: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        let course = context.course.as_ref();
        if let Some(lines) = course.and_then(|course| course.pass(body.as_ref().map_or(0, Bytes::len), is_end)) {
            answers::end_with(session, context, &lines)?;
        }
        Ok(None)
    }

    /// Pingora writes no trailers over HTTP/1.1: those of a site that speaks HTTP/2 are written where its chunks are.
    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        trailers: &mut HeaderMap,
        context: &mut Box<Context>,
    ) -> Result<Option<Bytes>> {
        trailers::strip(trailers);
        if !session.is_http2() {
            answers::end_with(session, context, &trailers::lines(trailers))?;
        }
        Ok(None)
    }

    /// A request is sent once more only where the site cannot have acted on it, as on the fast path.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Box<Context>,
        is_reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        exchange::decide_retry(&mut error, session, context, is_reused);
        error
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Box<Context>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing has been sent: another server may take the request, once.
        if context.snapshot.upstreams.are_many()
            && context.destination == Destination::Site
            && context.failed_tries == 0
        {
            error.set_retry(true);
        }
        context.failed_tries += 1;
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Box<Context>) -> FailToProxy {
        wire::break_off(session);
        let answer = failure::answer(error, context.destination);
        let error_code = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        let summary = self.request_summary(session, context);
        match error_code {
            0 => debug!(%error, "the client of {summary} has left"),
            status => error!(%error, status, "cannot serve {summary}"),
        }
        if let Some(answer) = answer {
            session.set_keepalive(None);
            if let Err(error) = answer.write(session, &context.snapshot.pages).await {
                debug!(%error, "the client left before it was told of a failure");
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// The errors of both ways are logged alike, by [`Self::fail_to_proxy`].
    fn suppress_error_log(&self, _: &Session, _: &Box<Context>, _: &Error) -> bool {
        true
    }

    /// What Pingora tries again, in the words of the short way.
    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Box<Context>,
        error: &Error,
        about: ProxyWarnLogContext,
    ) -> bool {
        if about == ProxyWarnLogContext::UpstreamRetry {
            warn!(%error, "a server cannot be reached, or closed a connection that was idle: tried again");
        }
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Box<Context>) {
        guard::finish();
        if context.is_live {
            guard::release();
        }
        access_log::write(session, context);
    }

    /// For Pingora's own log lines. The query stays out: it may hold secrets.
    fn request_summary(&self, session: &Session, _: &Box<Context>) -> String {
        let request = session.req_header();
        format!("{} {}", request.method, request.uri.path())
    }
}
