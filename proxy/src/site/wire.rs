//! A connection to a site, as Pingora's client sees it for one exchange: whole heads without what is ambiguous in them, bodies
//! as they are framed, and the end.
//!
//! Pingora's client drops trailers, reads one `Connection` line of several, and takes framings that other servers read
//! otherwise. So it reads here what the reader of the fast path has understood.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::dial::{Course, Failure};
use super::reading::{Part, Reading};
use crate::headers::trailers;
use crate::upstream;

/// What ends a body in chunks.
const LAST_CHUNK: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// The view of one exchange on a connection.
pub(super) struct SiteWire {
    /// None when it was given back.
    stream: Option<Stream>,
    course: Arc<Course>,
    reading: Reading,
    /// What is here for Pingora.
    out: Bytes,
    end: End,
    /// Bytes of the request that were written, and bytes of data that are or were in `out`.
    sent: usize,
    delivered: u64,
    /// Whether Pingora has looked behind the end, which it does where it would use the connection again.
    is_done: bool,
}

/// What is to come behind the data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Nothing,
    LastChunk,
    /// It waits until all before it has passed to the client.
    Held,
}

impl SiteWire {
    pub(super) fn new(stream: Stream, course: Arc<Course>) -> Self {
        let reading = Reading::new(&course.method);
        let (out, end) = (Bytes::new(), End::Nothing);
        Self { stream: Some(stream), course, reading, out, end, sent: 0, delivered: 0, is_done: false }
    }

    /// Makes something to read; ready without it at the end.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out.is_empty() {
            if self.reading.is_over() {
                return self.poll_end(context);
            }
            match self.reading.parse().map_err(refused)? {
                Some(Part::Head(head)) => self.head(&head)?,
                Some(Part::Data(data)) => self.data(data),
                Some(Part::End) => {}
                None if ready!(self.poll_site(context))? => {}
                None => return Poll::Ready(Ok(())),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what the site sends; whether more can come.
    fn poll_site(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        self.reading.reserve();
        match ready!(pin!(stream.read_buf(&mut self.reading.bytes)).poll(context)) {
            Ok(0) => {
                if !self.reading.has_begun() {
                    let is_unheard = upstream::is_unheard(stream, self.sent);
                    self.course.fail(if is_unheard { Failure::Unheard } else { Failure::Unanswered });
                }
                Poll::Ready(Ok(self.reading.ended().is_ok()))
            }
            Ok(_) => Poll::Ready(Ok(true)),
            Err(error) => {
                if !self.reading.has_begun() {
                    self.course.fail(Failure::Unanswered);
                }
                Poll::Ready(Err(error))
            }
        }
    }

    fn head(&mut self, head: &ResponseHeader) -> io::Result<()> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // WebSockets go another way, and no other upgrade is passed on.
            return Err(refused("101, which nobody asked for"));
        }
        self.out = self.reading.take_raw().unwrap_or_else(|| written(head));
        self.end = if self.reading.is_in_chunks() { End::LastChunk } else { End::Nothing };
        Ok(())
    }

    fn data(&mut self, data: Bytes) {
        self.delivered += data.len() as u64;
        self.out = match self.end {
            End::Nothing => data,
            End::LastChunk | End::Held => {
                let mut chunk = BytesMut::with_capacity(data.len() + 2 * "ffffffff\r\n".len());
                chunk.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
                chunk.put_slice(&data);
                chunk.put_slice(b"\r\n");
                chunk.freeze()
            }
        };
    }

    fn poll_end(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        match self.end {
            End::Nothing => {
                self.is_done = true;
                return Poll::Ready(Ok(()));
            }
            End::LastChunk => {
                let lines = self.reading.take_trailers();
                if !lines.is_empty() {
                    self.course.end_with(trailers::for_client(&lines).map_err(refused)?);
                    if self.course.holds_end {
                        self.end = End::Held;
                        return self.poll_end(context);
                    }
                }
            }
            End::Held => ready!(self.course.poll_passed(self.delivered, context)),
        }
        (self.out, self.end) = (LAST_CHUNK, End::Nothing);
        Poll::Ready(Ok(()))
    }

    fn connection(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or(io::ErrorKind::NotConnected.into())
    }
}

/// What is no answer. The kind of the error is none of those after which a request is sent again.
fn refused(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// A head that is written anew.
fn written(head: &ResponseHeader) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(if head.version == Version::HTTP_11 { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    for part in [head.status.as_str(), " ", head.get_reason_phrase().unwrap_or_default(), "\r\n"] {
        bytes.put_slice(part.as_bytes());
    }
    head.header_to_h1_wire(&mut bytes);
    bytes.put_slice(b"\r\n");
    bytes.freeze()
}

impl Drop for SiteWire {
    fn drop(&mut self) {
        if self.is_done
            && self.out.is_empty()
            && self.reading.may_be_followed()
            && let Some(stream) = self.stream.take()
        {
            self.course.give_back(stream);
        }
    }
}

impl AsyncRead for SiteWire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_more(context))?;
        let count = this.out.len().min(buffer.remaining());
        buffer.put_slice(&this.out[..count]);
        this.out.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SiteWire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(this.connection()?.poll_write(context, bytes));
        match &written {
            Ok(count) => this.sent += count,
            Err(_) if this.reading.has_begun() => {}
            Err(_) => this.course.fail(if this.sent == 0 { Failure::Unheard } else { Failure::Unanswered }),
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().connection()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().connection()?.poll_shutdown(context)
    }
}

impl VirtualSocket for SiteWire {
    /// They are set when the connection is made.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SiteWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteWire").field("stream", &self.stream).finish_non_exhaustive()
    }
}
