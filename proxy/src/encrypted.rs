//! A connection under TLS, as Pingora wants one.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;

/// A connection under TLS, of a client or to a server.
pub(crate) struct Encrypted {
    stream: TlsStream<Stream>,
    protocol: ALPN,
    digest: Arc<SslDigest>,
}

impl Encrypted {
    pub(crate) fn new(stream: TlsStream<Stream>) -> Self {
        let connection: &CommonState = stream.get_ref().1;
        let is_http2 = connection.alpn_protocol().is_some_and(|name| name == b"h2");
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let digest = SslDigest::new(suite.unwrap_or("unknown"), version, None, None, Vec::new());
        let protocol = if is_http2 { ALPN::H2 } else { ALPN::H1 };
        Self { stream, protocol, digest: Arc::new(digest) }
    }

    /// Whether both ends have agreed on HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.protocol == ALPN::H2
    }

    fn socket(&self) -> &Stream {
        self.stream.get_ref().0
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Encrypted {
    async fn shutdown(&mut self) {
        // The other end may be gone already.
        let _ = AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Encrypted {
    fn id(&self) -> UniqueIDType {
        self.socket().id()
    }
}

impl Ssl for Encrypted {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        Some(Arc::clone(&self.digest))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(self.protocol.clone())
    }
}

impl Peek for Encrypted {}

impl GetTimingDigest for Encrypted {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket().get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.socket().get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.socket().get_write_pending_time()
    }
}

impl GetProxyDigest for Encrypted {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket().get_proxy_digest()
    }
}

impl GetSocketDigest for Encrypted {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket().get_socket_digest()
    }
}
