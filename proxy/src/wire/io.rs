//! The client's end of a connection as Pingora wants one.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Body, Wire};

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_kept_back {
            // The client is waited for only when nothing more of the answer is there: the part that is must not wait for the rest.
            this.poll_send(context)?;
        }
        if this.told.get_mut().awaited.is_some() {
            return this.poll_awaited(context);
        }
        this.poll_body(context, buffer)
    }
}

impl Wire {
    /// Sends what is kept in a buffer.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.connection()?.poll_flush(context);
        self.is_kept_back = sent.is_pending();
        sent
    }

    /// Sends what is kept in a buffer, as far as the client takes it in.
    fn poll_send(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.poll_sent(context) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    /// Something was written, which Pingora keeps in a buffer where it knows the length of the answer.
    fn keep_back(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.is_kept_back = true;
        if matches!(self.told.get_mut().body, Body::Over) {
            return Ok(());
        }
        // While the site takes nothing of the body in, nobody waits for the client, who would see to it.
        self.poll_send(context)
    }

    /// The connection, to write an answer on.
    fn connection(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.has_answered = true;
        self.stream.as_mut().map(Pin::new).ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.told.get_mut().is_rewritten() {
            return this.poll_write_rewritten(context, bytes);
        }
        let written = this.connection()?.poll_write(context, bytes);
        this.keep_back(context)?;
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.told.get_mut().is_rewritten() {
            let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| &**piece);
            return this.poll_write_rewritten(context, first);
        }
        let written = this.connection()?.poll_write_vectored(context, pieces);
        this.keep_back(context)?;
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.told.get_mut().is_broken {
            return Poll::Ready(Ok(()));
        }
        this.connection()?.poll_shutdown(context)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("stream", &self.stream).field("held", &self.held.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        if let Some(stream) = self.stream.as_mut().filter(|_| !self.told.get_mut().is_broken) {
            stream.shutdown().await;
        }
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.stream.as_ref().map_or(-1, |stream| stream.id())
    }
}

impl Ssl for Wire {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.as_ref()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.as_ref()?.selected_alpn_proto()
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.as_ref().map_or_else(Vec::new, |stream| stream.get_timing_digest())
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.as_ref()?.get_proxy_digest()
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.as_ref()?.get_socket_digest()
    }
}

impl Peek for Wire {}
