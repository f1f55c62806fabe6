//! The client's end of an HTTP/2 connection: ends it when frames come that only make work.
//!
//! Every SETTINGS frame is acknowledged, every PRIORITY frame and every unknown one is read and thrown away, and nothing in
//! HTTP/2 bounds how many come. So they are counted against the streams that the client opens, as other proxies do it. The
//! lengths of frames are all that is read here (RFC 9113 section 4.1).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client sends first (RFC 9113 section 3.4), in bytes.
const PREFACE: u64 = 24;

/// Bytes of a frame's head.
const HEAD: usize = 9;

/// Frames that only make work, of which a client may send so many at first, and as many more for each stream.
const PER_STREAM: u64 = 100;

/// The types of frames that carry requests and answers, or that keep a connection going (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// A connection whose frames are counted.
pub(crate) struct Frames {
    stream: Stream,
    count: Count,
}

/// What has come of frames.
struct Count {
    /// Bytes to skip: the preface, or the rest of a frame's payload.
    skip: u64,
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    filled: usize,
    /// Frames that only make work, and how many there may be.
    idle: u64,
    allowed: u64,
}

impl Count {
    const fn new() -> Self {
        Self { skip: PREFACE, head: [0; HEAD], filled: 0, idle: 0, allowed: PER_STREAM }
    }

    /// Counts the frames in what has come; whether there are too many.
    fn is_flood(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD {
                self.filled = 0;
                let [a, b, c, kind, ..] = self.head;
                self.skip = u64::from(u32::from_be_bytes([0, a, b, c]));
                self.note(kind);
            }
        }
        self.idle > self.allowed
    }

    const fn note(&mut self, kind: u8) {
        match kind {
            HEADERS => self.allowed += PER_STREAM,
            DATA | RST_STREAM | PING | GOAWAY | WINDOW_UPDATE | CONTINUATION => {}
            _ => self.idle += 1,
        }
    }
}

impl Frames {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, count: Count::new() }
    }
}

impl AsyncRead for Frames {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if this.count.is_flood(&buffer.filled()[before..]) {
            return Poll::Ready(Err(io::Error::other("a flood of frames that only make work")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("stream", &self.stream).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Frames {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for Frames {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Frames {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Frames {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Frames {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Frames {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

impl Peek for Frames {}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PRIORITY: u8 = 2;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a frame").to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], &vec![0xff; payload]].concat()
    }

    /// Whether these frames, in pieces of any length, are a flood.
    fn is_flood(frames: &[(u8, usize, usize)]) -> bool {
        let mut bytes = vec![b'P'; 24];
        for (kind, payload, times) in frames {
            bytes.extend(frame(*kind, *payload).repeat(*times));
        }
        let floods = [1, 7, 9, 1000, bytes.len()].map(|piece| {
            let mut count = Count::new();
            bytes.chunks(piece).any(|piece| count.is_flood(piece))
        });
        assert!(floods.iter().all(|flood| *flood == floods[0]), "{floods:?}");
        floods[0]
    }

    #[test]
    fn what_only_makes_work_is_counted_against_the_streams() {
        assert!(!is_flood(&[(SETTINGS, 6, 100)]));
        assert!(is_flood(&[(SETTINGS, 6, 101)]));
        assert!(is_flood(&[(SETTINGS, 0, 50), (PRIORITY, 5, 51)]));
        assert!(is_flood(&[(0x10, 20, 101)]), "unknown ones, too");
        assert!(!is_flood(&[(SETTINGS, 6, 100), (HEADERS, 30, 1), (PRIORITY, 5, 100)]));
        assert!(is_flood(&[(SETTINGS, 6, 100), (HEADERS, 30, 1), (PRIORITY, 5, 101)]));
        assert!(!is_flood(&[(DATA, 16_384, 300), (PING, 8, 1000), (WINDOW_UPDATE, 4, 1000)]));
        assert!(is_flood(&[(DATA, 16_384, 300), (SETTINGS, 0, 101)]), "no payload is taken for frames");
    }
}
