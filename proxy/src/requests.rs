//! The requests of one HTTP/1 connection, one after the other, each on the way that costs least.
//!
//! Pingora makes room for everything that proxying may need before it has read a word: some fifty KiB that are copied for
//! every request, and held by every connection that waits for one. So heads are awaited here (`wire`), with no room
//! at all, and what turns out to be plain (`exchange`) is served here too, in Pingora's sessions. Everything else
//! goes to Pingora's own proxying, head first: docs/decisions/fast-path.md.

use std::sync::Arc;

use bytes::BytesMut;
use pingora::ErrorType;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::ShutdownWatch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::limits::{self, Limits};
use crate::metrics::Verdict;
use crate::routes::Destination;
use crate::screen::Refused;
use crate::service::Service;
use crate::wire::{self, Body, NoHead, Wire};
use crate::{exchange, respond};

/// How long Pingora waits for the rest of a head, in seconds, where the guard does not end the connection before.
const KEEPALIVE_SECONDS: u64 = 60;

/// Longest head that Pingora reads, in bytes.
const HEAD_BYTES_MAX: usize = 1_048_575;

/// What serves the requests of a connection.
pub(crate) struct Requests<'a> {
    pub(crate) proxy: &'a Arc<HttpProxy<Service>>,
    /// The same as in `proxy`.
    pub(crate) service: &'a Service,
    /// Whether connections are to end after their next answer.
    pub(crate) shutdown: &'a ShutdownWatch,
    /// Whether no more requests are awaited.
    pub(crate) closing: &'a CancellationToken,
}

impl Requests<'_> {
    /// Serves until one side has had enough.
    pub(crate) async fn serve(&self, stream: Stream) {
        let mut wire = Box::new(Wire::new(stream));
        let mut settings = None;
        let max = head_bytes(&self.service.current.load().limits);
        while !self.closing.is_cancelled() {
            let next = match wire.head(max).await {
                Ok(head) => self.request(wire, settings, head).await,
                Err(NoHead::Ended) => return,
                Err(NoHead::TooLong) => {
                    let session = ServerSession::new_http1(wire);
                    return Box::pin(self.refuse(session, &limits::too_long_head())).await;
                }
            };
            let Some(next) = next else { return };
            let (stream, kept) = next.consume();
            let Ok(same) = stream.into_any().downcast() else { return };
            (wire, settings) = (same, kept);
        }
    }

    /// Serves one request on the short way; on the long one when it needs that.
    async fn request(
        &self,
        wire: Box<Wire>,
        settings: Option<HttpPersistentSettings>,
        head: BytesMut,
    ) -> Option<ReusedHttpStream> {
        let mut session = Session::new_h1(wire);
        self.prepare(&mut session, settings, head);
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                // The context has the head, with cookies and tokens: the cause alone is told.
                let reason = error.cause.as_ref().map(ToString::to_string);
                debug!(kind = error.etype().as_str(), reason, "a head that is no request");
                if *error.etype() == ErrorType::InvalidHTTPHeader {
                    let refused = Refused::bad("bad_request", "the request cannot be read");
                    Box::pin(self.refuse(*session.downstream_session, &refused)).await;
                }
                return None;
            }
        }
        wire::of(&session)?.begin(Body::of(&session.req_header().headers));
        let mut context = self.service.new_ctx();
        if context.snapshot.fast_path && context.snapshot.upstreams.speaks_http1(Destination::Site) {
            context.plain = exchange::plain(&mut session).await;
        }
        if context.plain.is_none() {
            return self.long(*session.downstream_session).await;
        }
        if *self.shutdown.borrow() {
            session.set_keepalive(None);
        }
        let answered = self.service.request_filter(&mut session, &mut context).await;
        if let Err(error) = &answered {
            self.service.fail_to_proxy(&mut session, error, &mut context).await;
        }
        self.service.logging(&mut session, answered.as_ref().err().map(AsRef::as_ref), &mut context).await;
        // Half an answer must be seen to be no more than that.
        answered.ok().filter(|is_answered| *is_answered)?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.downstream_session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }

    /// Gives Pingora's proxying a request whose head was read, as if nobody had.
    async fn long(&self, read: ServerSession) -> Option<ReusedHttpStream> {
        let (keepalive, reuses) = (read.get_keepalive(), read.get_keepalive_reuses_remaining());
        let ServerSession::H1(read) = read else { return None };
        let head = BytesMut::from(&read.get_headers_raw_bytes()[..]);
        let mut session = ServerSession::new_http1(read.into_inner());
        session.set_keepalive(keepalive);
        session.set_keepalive_reuses_remaining(reuses);
        session.set_pipelined_prefix(head);
        self.proxy.process_new_http(session, self.shutdown).await
    }

    /// A session that begins with this head, and goes on as the one before it on its connection.
    fn prepare(&self, session: &mut ServerSession, settings: Option<HttpPersistentSettings>, head: BytesMut) {
        if let Some(settings) = settings {
            settings.apply_to_session(session);
        } else {
            session.set_keepalive((!*self.shutdown.borrow()).then_some(KEEPALIVE_SECONDS));
            let options = self.proxy.server_options.as_ref();
            session.set_keepalive_reuses_remaining(options.and_then(|options| options.keepalive_request_limit));
        }
        session.set_pipelined_prefix(head);
    }

    /// Answers what cannot be read as a request, and closes the connection.
    async fn refuse(&self, mut session: ServerSession, refused: &Refused) {
        self.service.metrics.requests("none", Verdict::Refuse, refused.code).inc();
        if let Some(wire) = wire::of(&session) {
            // Where it ends is not known, so more may come.
            wire.begin(Body::Length(u64::MAX));
        }
        if let Err(error) = respond::unread(&mut session, refused.answer()).await {
            debug!(%error, "the client left before it was refused");
        }
    }
}

/// Longest head that is read, in bytes.
fn head_bytes(limits: &Limits) -> usize {
    if limits.header_bytes == 0 { HEAD_BYTES_MAX } else { limits.header_bytes.min(HEAD_BYTES_MAX) }
}
