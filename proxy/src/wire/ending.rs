//! Trailers behind an answer in chunks, which Pingora's HTTP/1 does not write: they take the place of the last chunk.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use pingora::protocols::Stream;
use tokio::io::AsyncWrite;

use super::chunks::Chunks;

/// What ends a body in chunks that has no trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Trailers that are to be written with the last chunk of an answer.
pub(super) struct Trailers {
    written: Written,
    /// What is written in place of the last chunk.
    ending: Bytes,
}

/// What of an answer is written.
enum Written {
    /// Heads; of this one so many bytes are still to be written, and it may be the last.
    Heads {
        left: usize,
        is_final: bool,
    },
    Chunks(Chunks),
}

impl Written {
    /// Notes that so many of these bytes were written; whether they were what is awaited.
    fn note(&mut self, bytes: &[u8], count: usize) -> bool {
        match self {
            Self::Heads { left, is_final } => {
                if *left == 0 {
                    // Each is written in one piece.
                    (*left, *is_final) = (bytes.len(), !bytes.starts_with(b"HTTP/1.1 1"));
                }
                *left = left.saturating_sub(count);
                if *left == 0 && *is_final {
                    *self = Self::Chunks(Chunks::default());
                }
                true
            }
            Self::Chunks(chunks) => chunks.advance(&bytes[..count]).is_ok(),
        }
    }

    /// Whether a chunk may be written next.
    fn is_between(&self) -> bool {
        matches!(self, Self::Chunks(chunks) if chunks.is_between())
    }
}

impl Trailers {
    /// These lines, behind chunks of which none is half written; nor is a head, if there is none yet.
    pub(super) fn new(lines: &[u8], has_head: bool) -> Self {
        let heads = Written::Heads { left: 0, is_final: false };
        let written = if has_head { Written::Chunks(Chunks::default()) } else { heads };
        Self { written, ending: Bytes::from([b"0\r\n", lines, b"\r\n"].concat()) }
    }

    /// Writes these bytes of an answer, the trailers with the last chunk: how many were written, and whether trailers may
    /// follow still.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<(usize, bool)>> {
        if bytes != LAST_CHUNK || !self.written.is_between() {
            let count = ready!(Pin::new(stream).poll_write(context, bytes))?;
            // Without chunks there are no trailers.
            return Poll::Ready(Ok((count, self.written.note(bytes, count))));
        }
        while !self.ending.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, &self.ending))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.ending.advance(count);
        }
        Poll::Ready(Ok((bytes.len(), false)))
    }
}
