//! An answer for a client of HTTP/1.0, which knows no chunks, where Pingora writes some: of a site that speaks HTTP/2 it puts
//! them in behind every filter. The data is written as it is, to the end of the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use pingora::protocols::Stream;
use tokio::io::AsyncWrite;

use super::chunks::{Chunks, Step};

const CODING: &[u8] = b"transfer-encoding:";

/// An answer that is written without its chunks.
#[derive(Default)]
pub(super) struct Unchunked {
    /// None before the head.
    chunks: Option<Chunks>,
    /// What stands for the bytes that are being written.
    pending: BytesMut,
    is_taken: bool,
}

impl Unchunked {
    /// Writes what stands for these bytes.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_taken {
            self.take(bytes);
            self.is_taken = true;
        }
        while !self.pending.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, &self.pending))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(count);
        }
        self.is_taken = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(chunks) = &mut self.chunks else {
            // Pingora writes it in one piece.
            let is_coding =
                |line: &[u8]| line.get(..CODING.len()).is_some_and(|name| name.eq_ignore_ascii_case(CODING));
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .filter(|line| !is_coding(line))
                .for_each(|line| self.pending.extend(line));
            self.chunks = Some(Chunks::default());
            return;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match chunks.step(rest) {
                Ok(Step::Data(count)) => {
                    self.pending.extend_from_slice(&rest[..count]);
                    &rest[count..]
                }
                Ok(Step::Framing(count) | Step::Trailer(count) | Step::End(count)) => &rest[count..],
                Err(_) => return,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_alone_is_left_of_chunks_however_they_are_written() {
        let head = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nC: d\r\n\r\n";
        let body = "5\r\nhello\r\n3\r\n0\r\n\r\n0\r\n\r\n";
        for piece in 1..=body.len() {
            let mut answer = Unchunked::default();
            answer.take(head.as_bytes());
            body.as_bytes().chunks(piece).for_each(|bytes| answer.take(bytes));
            assert_eq!(answer.pending, "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\nhello0\r\n", "in pieces of {piece}");
        }
    }
}
