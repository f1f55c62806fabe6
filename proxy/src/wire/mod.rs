//! The client's end of an HTTP/1 connection: the one place where bytes of clients are read, whatever carries the request on.
//!
//! Pingora's sessions are given one request: its head, then the bytes of its body, and nothing of what follows it. What
//! the client sends behind a request is kept here for the next one, so nothing is lost and nothing is taken for what it is
//! not. A client that says no more still gets its answer: only what streams without an end is over when it leaves.

mod awaited;
mod body;
pub mod chunks;
mod ending;
pub mod head;
mod io;
pub(crate) mod linger;
mod pace;
mod unchunked;

use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result as IoResult};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Version;
use http::header::EXPECT;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use self::awaited::Awaited;
pub(crate) use self::awaited::Progress;
pub(crate) use self::body::Body;
use self::ending::Trailers;
use self::head::{Behind, HeadEnd};
use self::pace::Pace;
pub(crate) use self::pace::{Begins, TooSlow};
use self::unchunked::Unchunked;
use crate::guard;

/// Most bytes that are read at once where nobody has made room for them.
const READ_MAX: usize = 8 * 1024;

/// Most bytes that are kept of what a client sends behind a request that is being served. It is read to notice that the
/// client has left; more stays where it is.
const BEHIND_MAX: usize = 16 * 1024;

/// Longest body that is read away behind a refusal, in bytes, and how long that may take.
const SHORT_BODY: u64 = 64 * 1024;
const SHORT_BODY_TIME: Duration = Duration::from_secs(5);

/// The client's end of a connection.
pub(crate) struct Wire {
    /// None when it was taken away.
    stream: Option<Stream>,
    /// What was read and belongs to no request yet.
    held: BytesMut,
    /// Whether the client has said that it will send no more.
    has_ended: bool,
    /// Whether anything was written since the last head came, and whether some of it is still kept in a buffer.
    has_answered: bool,
    is_kept_back: bool,
    told: Mutex<Told>,
}

/// What the phases of a request tell, which have the session alone.
#[derive(Default)]
struct Told {
    body: Body,
    /// The body, while nothing is done with it before it is here.
    awaited: Option<Awaited>,
    /// How fast it has to come; any pace will do without one.
    pace: Option<Pace>,
    /// Whether the answer goes on for an unknown time.
    is_live: bool,
    /// Whether the answer was broken off.
    is_broken: bool,
    /// Whether all of the answer is written, or in the hands of what writes it.
    is_answered: bool,
    trailers: Option<Trailers>,
    /// The answer, where it is written without the chunks that Pingora writes.
    unchunked: Option<Unchunked>,
}

impl Told {
    /// Whether an answer is not written as it is.
    const fn is_rewritten(&self) -> bool {
        self.trailers.is_some() || self.unchunked.is_some()
    }
}

/// A request is answered whose body has not come whole: no more of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is answered already")]
pub(crate) struct Answered;

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// There will be no more requests.
    Ended,
    /// It is longer than may be.
    TooLong,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream: Some(stream),
            held: BytesMut::new(),
            has_ended: false,
            has_answered: false,
            is_kept_back: false,
            told: Mutex::default(),
        }
    }

    /// Waits for the head of the next request, of `max` bytes at most.
    pub(crate) async fn head(&mut self, max: usize) -> Result<BytesMut, NoHead> {
        let (mut end, mut empty) = (HeadEnd::default(), 0);
        *self.told.get_mut() = Told::default();
        self.has_answered = false;
        loop {
            let skipped = head::empty_lines(&self.held);
            if skipped > 0 {
                self.held.advance(skipped);
                empty += skipped;
                end = HeadEnd::default();
            }
            if let Some(length) = end.find(&self.held) {
                if length + empty > max {
                    return Err(NoHead::TooLong);
                }
                let is_all = length == self.held.len();
                return Ok(if is_all { std::mem::take(&mut self.held) } else { self.held.split_to(length) });
            }
            if self.held.len() + empty > max {
                return Err(NoHead::TooLong);
            }
            // Half an empty line is none of a request yet.
            if !matches!(&self.held[..], [] | [b'\r']) {
                guard::wait_for_head();
            }
            if self.has_ended || !poll_fn(|context| self.poll_more(context)).await.is_ok_and(|has_come| has_come) {
                return Err(NoHead::Ended);
            }
        }
    }

    /// Tells where the request ends whose head was taken.
    pub(crate) fn begin(&self, body: Body) {
        self.told.lock().body = body;
    }

    /// Whether the whole body of the request is here, if its length is known.
    pub(crate) fn has_body(&self) -> bool {
        match self.told.lock().body {
            Body::Over => true,
            Body::Length(left) => self.held.len() as u64 >= left,
            Body::Chunks(_) => false,
        }
    }

    /// From now on the body has to come at this pace, in bytes a second.
    pub(crate) fn keep_pace(&self, rate: u64, begins: Begins) {
        self.told.lock().pace = Some(Pace::new(rate, begins));
    }

    /// The answer goes on for an unknown time: it is over when the client says no more.
    pub(crate) fn be_live(&self) {
        self.told.lock().is_live = true;
    }

    /// The answer is written to its end before anything more of the request is read. Who is still sending it reads the answer and
    /// its end at once: the rest of the body is read away apart from the request ([`linger`]).
    pub(crate) fn be_answered(&self) {
        self.told.lock().is_answered = true;
    }

    /// Writes these lines behind the last chunk of the answer, of which no chunk is half written, and perhaps no head.
    pub(crate) fn end_with(&self, trailers: &[u8], has_head: bool) {
        self.told.lock().trailers = Some(Trailers::new(trailers, has_head));
    }

    /// Writes an answer without its chunks.
    pub(crate) fn unchunk(&self) {
        self.told.lock().unchunked = Some(Unchunked::default());
    }

    /// Whether another request can follow the one that is being answered.
    fn goes_on(&self) -> bool {
        if !matches!(self.told.lock().body, Body::Over) {
            // What is held belongs to this one.
            return true;
        }
        if self.held.is_empty() {
            return !self.has_ended;
        }
        match head::behind(&self.held) {
            Behind::Request => true,
            Behind::Begun | Behind::Nothing => !self.has_ended,
            Behind::Other => false,
        }
    }

    /// The connection itself, and what has come on it that no request was given.
    pub(crate) fn into_parts(mut self) -> Option<(Stream, Bytes)> {
        Some((self.stream.take()?, std::mem::take(&mut self.held).freeze()))
    }

    /// Whether the client may lose an answer, because it is sending what nobody reads.
    fn is_being_sent(&mut self) -> bool {
        if self.has_ended || !self.has_answered {
            return false;
        }
        if !self.held.is_empty() || !matches!(self.told.get_mut().body, Body::Over) {
            return true;
        }
        let mut context = Context::from_waker(Waker::noop());
        matches!(self.poll_more(&mut context), Poll::Ready(Ok(true)))
    }

    fn poll_stream(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_read(context, buffer),
            None => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    /// Reads behind what is held; whether anything has come.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<IoResult<bool>> {
        // On the stack, so that a connection that waits has no room for it.
        let mut bytes = [const { MaybeUninit::uninit() }; READ_MAX];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(self.poll_stream(context, &mut buffer))?;
        let filled = buffer.filled();
        self.has_ended = filled.is_empty();
        if self.held.is_empty() {
            self.held = BytesMut::from(filled);
        } else {
            self.held.extend_from_slice(filled);
        }
        Poll::Ready(Ok(!self.has_ended))
    }

    /// Behind the request: waits until the client leaves, without an end where only its own words end.
    fn poll_behind(&mut self, context: &mut Context<'_>) -> Poll<IoResult<()>> {
        loop {
            if self.has_ended {
                return if self.told.get_mut().is_live { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            if self.held.len() >= BEHIND_MAX {
                return Poll::Pending;
            }
            ready!(self.poll_more(context))?;
        }
    }

    /// The next bytes of a body, and what has come behind it.
    fn poll_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        let before = buffer.filled().len();
        let told = self.told.get_mut();
        if told.is_answered && !matches!(told.body, Body::Over) {
            return Poll::Ready(Err(Error::other(Answered)));
        }
        let read = match told.body {
            Body::Over => return self.poll_behind(context),
            Body::Length(left) => self.poll_length(left, context, buffer),
            Body::Chunks(_) => self.poll_chunks(context, buffer),
        };
        let Some(pace) = &mut self.told.get_mut().pace else { return read };
        if read.is_pending() {
            return pace.poll_wait(context);
        }
        pace.note(buffer.filled().len() - before);
        read
    }

    /// The next bytes of a body of which so many are to come.
    fn poll_length(&mut self, left: u64, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        let before = buffer.filled().len();
        if self.held.is_empty() {
            let Some(stream) = &mut self.stream else { return Poll::Ready(Err(ErrorKind::NotConnected.into())) };
            ready!(Pin::new(&mut stream.take(left)).poll_read(context, buffer))?;
        } else {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.held.len()).min(buffer.remaining());
            buffer.put_slice(&self.held[..count]);
            self.held.advance(count);
        }
        let count = buffer.filled().len() - before;
        self.has_ended = count == 0 && buffer.remaining() > 0;
        let left = left - count as u64;
        self.told.get_mut().body = if left == 0 { Body::Over } else { Body::Length(left) };
        Poll::Ready(Ok(()))
    }

    /// The next bytes of a body in chunks.
    fn poll_chunks(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        if self.held.is_empty() {
            let before = buffer.filled().len();
            ready!(self.poll_stream(context, buffer))?;
            let read = &buffer.filled()[before..];
            self.has_ended = read.is_empty();
            let count = Self::advance(self.told.get_mut(), read)?;
            if count < read.len() {
                self.held = BytesMut::from(&read[count..]);
                buffer.set_filled(before + count);
            }
        } else {
            let count = self.held.len().min(buffer.remaining());
            let count = Self::advance(self.told.get_mut(), &self.held[..count])?;
            buffer.put_slice(&self.held[..count]);
            self.held.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// How many of these bytes belong to the body.
    fn advance(told: &mut Told, bytes: &[u8]) -> IoResult<usize> {
        let Body::Chunks(chunks) = &mut told.body else { return Ok(0) };
        let (count, is_over) =
            chunks.advance(bytes).map_err(|malformed| Error::new(ErrorKind::InvalidData, malformed))?;
        if is_over {
            told.body = Body::Over;
        }
        Ok(count)
    }

    /// Writes a part of an answer that has trailers, or has no chunks.
    fn poll_write_rewritten(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<IoResult<usize>> {
        let Told { trailers, unchunked, .. } = self.told.get_mut();
        if let (Some(unchunked), Some(stream)) = (unchunked, &mut self.stream) {
            return unchunked.poll_write(stream, context, bytes);
        }
        let (Some(some), Some(stream)) = (&mut *trailers, &mut self.stream) else { return Poll::Ready(Ok(0)) };
        let (count, may_follow) = ready!(some.poll_write(stream, context, bytes))?;
        if !may_follow {
            *trailers = None;
        }
        Poll::Ready(Ok(count))
    }
}

/// Before an answer of the gate's own: a short body is read away behind it, and the connection stays. After a longer one it
/// ends, and so it does where the client may not send its body at all.
pub(crate) fn read_short_body_away(session: &mut Session) {
    let is_short = of(session).is_some_and(|wire| matches!(wire.told.lock().body, Body::Length(1..=SHORT_BODY)));
    if is_short && !session.req_header().headers.contains_key(EXPECT) {
        session.set_close_on_response_before_downstream_finish(false);
        session.set_total_drain_timeout(Some(SHORT_BODY_TIME));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.stream.is_some() && !self.told.get_mut().is_broken && self.is_being_sent() {
            self.stream.take().into_iter().for_each(linger::linger);
        }
    }
}

/// The client's end of a session; none for HTTP/2.
pub(crate) fn of(session: &ServerSession) -> Option<&Wire> {
    session.as_http1()?.stream().as_any().downcast_ref()
}

/// When an answer is broken off whose end is that of its connection: that ends without a word. Under TLS this tells half an answer
/// from a whole one; without TLS nothing can (RFC 9112 section 8).
pub(crate) fn break_off(session: &Session) {
    let ends_with_it = session.req_header().version < Version::HTTP_11;
    let has_begun = session.response_written().is_some_and(|head| !head.status.is_informational());
    if let Some(wire) = of(session).filter(|_| ends_with_it && has_begun) {
        wire.told.lock().is_broken = true;
    }
}

/// Before the head of an answer: says that it is the last one when no other request can follow.
pub(crate) fn close_unless_it_goes_on(session: &mut Session) {
    if of(session).is_some_and(|wire| !wire.goes_on()) {
        session.set_keepalive(None);
    }
}
