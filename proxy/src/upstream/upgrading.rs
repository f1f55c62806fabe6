//! Connections for requests that ask for another protocol.
//!
//! Pingora ends an upgraded request when its upstream answers 101 before Pingora has noted that the request has no body,
//! which happens when the answer is quick or the machine is busy
//! (<https://github.com/cloudflare/pingora/issues/946>). So nothing is read from such a connection before everything
//! else that is due has been done: its first read waits one turn.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection that was not upgraded after all is kept; nobody else uses it.
const KEPT: Duration = Duration::from_millis(1);

/// Gives a request that asks for another protocol a connection of its own, which may be silent for `quiet`.
pub(super) fn prepare(peer: &mut HttpPeer, quiet: Duration) {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    peer.group_key = COUNT.fetch_add(1, Ordering::Relaxed);
    let limit = peer.options.connection_timeout.unwrap_or(Duration::MAX);
    peer.options.custom_l4 = Some(Arc::new(Connector { limit }));
    peer.options.idle_timeout = Some(KEPT);
    // HTTP/2 has no upgrades (RFC 9113 section 8.6).
    peer.options.set_http_version(1, 1);
    peer.options.read_timeout = Some(quiet);
}

#[derive(Debug)]
struct Connector {
    limit: Duration,
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = address.as_inet().ok_or_else(|| Error::new_up(ErrorType::ConnectError))?;
        match timeout(self.limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(VirtualSocketStream::new(Box::new(Patient { stream, has_waited: false })).into()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Error::e_because(ErrorType::ConnectRefused, "an upgrade", error)
            }
            Ok(Err(error)) => Error::e_because(ErrorType::ConnectError, "an upgrade", error),
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "an upgrade"),
        }
    }
}

/// A socket whose first read waits one turn.
#[derive(Debug)]
struct Patient {
    stream: TcpStream,
    has_waited: bool,
}

impl VirtualSocket for Patient {
    fn set_socket_option(&self, option: VirtualSockOpt) -> std::io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            // Nothing sets others.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if !std::mem::replace(&mut self.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
