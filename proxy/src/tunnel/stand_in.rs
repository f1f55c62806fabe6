//! What Pingora keeps of a request whose connection was taken away: its head and its answer, for the log.

use std::io::{self, Cursor, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A session that has read the same request and sent the same answer, but is connected to nobody.
pub(super) async fn of(session: &Session) -> Result<ServerSession> {
    let head = Nobody(Cursor::new(session.to_h1_raw()));
    let stream = Stream::from(VirtualSocketStream::new(Box::new(head)));
    let mut stand_in = ServerSession::new_http1(Box::new(stream));
    if !stand_in.read_request().await? {
        return Err(Error::explain(ErrorType::InternalError, "a request that was read once"));
    }
    stand_in.req_header_mut().clone_from(session.req_header());
    if let (Some(own), Some(digest)) = (stand_in.digest_mut(), session.digest()) {
        own.clone_from(digest);
    }
    if let Some(answer) = session.response_written() {
        stand_in.write_response_header_ref(answer).await?;
    }
    stand_in.set_keepalive(None);
    Ok(stand_in)
}

/// Says one head, and hears nothing.
#[derive(Debug)]
struct Nobody(Cursor<Bytes>);

impl VirtualSocket for Nobody {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Nobody {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.0.read(buf.initialize_unfilled())?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Nobody {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
