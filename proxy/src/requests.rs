//! The requests of one HTTP/1 connection, one after the other, each on the way that costs least.
//!
//! Pingora makes room for everything that proxying may need before it has read a word: some fifty KiB that are copied for
//! every request, and held by every connection that waits for one. So the first bytes are awaited here, with no room at
//! all, and what turns out to be plain (`exchange`) is served here too, in Pingora's sessions. Everything else
//! goes to Pingora with its bytes, as if nobody had seen them.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use memchr::memmem;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::exchange;
use crate::routes::Destination;
use crate::service::Service;

/// Most bytes that are read at first. A head that is longer goes the long way.
const FIRST_BYTES_MAX: usize = 8 * 1024;

/// What a head ends with.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How long Pingora waits for the rest of a head, in seconds, where the guard does not end the connection before.
const KEEPALIVE_SECONDS: u64 = 60;

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
    pub(crate) async fn serve(&self, mut stream: Stream) {
        let mut settings = None;
        while !self.closing.is_cancelled()
            && let Some(bytes) = first_bytes(&mut stream).await
        {
            let next = if is_whole(&bytes) {
                self.short(stream, settings, bytes).await
            } else {
                let mut session = ServerSession::new_http1(stream);
                self.prepare(&mut session, settings, bytes);
                self.proxy.process_new_http(session, self.shutdown).await
            };
            let Some(next) = next else { return };
            (stream, settings) = next.consume();
        }
    }

    /// The short way; the long one when the request needs it after all.
    async fn short(
        &self,
        stream: Stream,
        settings: Option<HttpPersistentSettings>,
        bytes: BytesMut,
    ) -> Option<ReusedHttpStream> {
        let again = bytes.clone();
        let mut session = Session::new_h1(stream);
        self.prepare(&mut session, settings, bytes);
        let mut context = self.service.new_ctx();
        if matches!(session.read_request().await, Ok(true))
            && context.snapshot.upstreams.speaks_http1(Destination::Site)
        {
            context.plain = exchange::plain(&mut session, again.len()).await;
        }
        if context.plain.is_none() {
            return self.long(*session.downstream_session, again).await;
        }
        if *self.shutdown.borrow() {
            session.set_keepalive(None);
        }
        let answered = self.service.request_filter(&mut session, &mut context).await;
        if let Err(error) = &answered {
            self.service.fail_to_proxy(&mut session, error, &mut context).await;
        }
        self.service.logging(&mut session, answered.as_ref().err().map(AsRef::as_ref), &mut context).await;
        // Whoever got half an answer must see that it is no more than that.
        answered.ok().filter(|is_answered| *is_answered)?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.downstream_session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }

    /// Gives Pingora the bytes of a request that was read once.
    async fn long(&self, read: ServerSession, bytes: BytesMut) -> Option<ReusedHttpStream> {
        let (keepalive, reuses) = (read.get_keepalive(), read.get_keepalive_reuses_remaining());
        let ServerSession::H1(read) = read else { return None };
        let mut session = ServerSession::new_http1(read.into_inner());
        session.set_keepalive(keepalive);
        session.set_keepalive_reuses_remaining(reuses);
        session.set_pipelined_prefix(bytes);
        self.proxy.process_new_http(session, self.shutdown).await
    }

    /// A session that begins with these bytes, and goes on as the one before it on its connection.
    fn prepare(&self, session: &mut ServerSession, settings: Option<HttpPersistentSettings>, bytes: BytesMut) {
        if let Some(settings) = settings {
            settings.apply_to_session(session);
        } else {
            session.set_keepalive((!*self.shutdown.borrow()).then_some(KEEPALIVE_SECONDS));
            let options = self.proxy.server_options.as_ref();
            session.set_keepalive_reuses_remaining(options.and_then(|options| options.keepalive_request_limit));
        }
        session.set_pipelined_prefix(bytes);
    }
}

/// Waits for the first bytes of a request; none when there will be no more.
async fn first_bytes(stream: &mut Stream) -> Option<BytesMut> {
    poll_fn(|context| {
        // On the stack, so that who waits has none.
        let mut bytes = [const { MaybeUninit::uninit() }; FIRST_BYTES_MAX];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
        let filled = buffer.filled();
        Poll::Ready((read.is_ok() && !filled.is_empty()).then(|| BytesMut::from(filled)))
    })
    .await
}

/// Whether there is a whole head here.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.ends_with(HEAD_END) || memmem::find(bytes, HEAD_END).is_some()
}
