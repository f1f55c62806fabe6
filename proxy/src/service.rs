//! Pingora's phases. Each only moves a request along; what is decided is decided elsewhere.

use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, Result};
use tracing::debug;

use crate::census::Census;
use crate::context::{Context, origin, who};
use crate::decide::{self, Door};
use crate::headers::{self, hop, trailers};
use crate::metrics::Metrics;
use crate::routes::Destination;
use crate::screen::screen;
use crate::snapshot::Snapshot;
use crate::upstream::Connections;
use crate::{access_log, answers, body, clock, exchange, failure, guard, tunnel, wire};

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
        let answer = answer.map(|answer| match self.dialect(session, &context.snapshot.routing) {
            Some(dialect) => decide::worded(answer, dialect),
            None => answer,
        });
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
        let snapshot = Arc::clone(&context.snapshot);
        let server = exchange::server(&snapshot, context)?;
        let mut peer = Box::new(server.peer().clone());
        if let Some(timeout) = context.snapshot.rule(context).and_then(|rule| rule.timeout) {
            peer.options.read_timeout = Some(timeout);
        }
        exchange::dial(session, context, (&self.connections, server), &mut peer);
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
        if let Some(path) = context.webhook {
            request.set_raw_path(path.as_bytes())?;
        }
        let (origin, told) = (origin(session, &context.snapshot.routing.trusted_proxies), who(context));
        let withheld = context.snapshot.identity.withheld();
        headers::rewrite(request, context.host.as_ref(), (&origin, withheld), told, context.degraded)
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
        if response.status.is_informational() {
            return Ok(());
        }
        context.is_bodiless = answers::has_no_body(session, response);
        if context.is_bodiless {
            answers::is_over(session);
        }
        if let Some(course) = &context.course {
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
        if context.is_bodiless {
            // HTTP/2 can bring data where there is no body, and its clients would take them for one.
            *body = None;
        }
        if is_end {
            answers::is_over(session);
        }
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
        answers::is_over(session);
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
        if context.failed_tries == 0 && context.snapshot.upstreams.are_many(context) {
            error.set_retry(true);
        }
        context.failed_tries += 1;
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Box<Context>) -> FailToProxy {
        if failure::is_answered(error) {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        wire::break_off(session);
        let answer = failure::answer(error, context.destination);
        let error_code = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        let summary = self.request_summary(session, context);
        match error_code {
            0 => debug!(%error, "the client of {summary} has left"),
            // Anybody can send what cannot be served: the access log and the metrics tell of it.
            status if *error.esource() == ErrorSource::Downstream => {
                debug!(%error, status, "the client of {summary} sends what cannot be served");
            }
            status => failure::tell(error, status, &summary),
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
            failure::tell_retry(error);
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
