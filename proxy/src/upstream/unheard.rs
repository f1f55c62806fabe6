//! Whether a server that has closed a kept connection can have read anything of the request that was sent on it.
//!
//! A server may close in the very moment in which a request is on its way. What such a request asks for must not be done
//! twice, so it is sent again only if it cannot have been heard: its end of the connection was closed in an orderly way
//! without one byte of the request acknowledged. The kernel acknowledges, with the end itself, everything that the server
//! could have read before it closed (RFC 9293 section 3.10.7.4). After a reset nothing is known.

use pingora::protocols::Stream;

/// The first segment of a connection counts as one byte that is acknowledged.
const FIRST_SEGMENT: u64 = 1;

/// Whether none of the last `count` bytes that were sent has reached a server whose end of the connection was read.
pub(crate) fn is_unheard(stream: &Stream, count: usize) -> bool {
    let info = stream.get_socket_digest().and_then(|socket| socket.tcp_info());
    info.is_some_and(|info| {
        let sent = info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans);
        let acknowledged = info.tcpi_bytes_acked.saturating_sub(FIRST_SEGMENT);
        count > 0 && sent.saturating_sub(acknowledged) >= count as u64
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use pingora::connectors::{ConnectorOptions, TransportConnector};
    use pingora::upstreams::peer::HttpPeer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection on which one exchange has gone well, and the server's end of it.
    async fn used() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = HttpPeer::new(listener.local_addr().expect("an address"), false, String::new());
        let mut ours = TransportConnector::new(Some(ConnectorOptions::new(1))).new_stream(&peer).await.expect("one");
        let (mut theirs, _) = listener.accept().await.expect("a connection");
        ours.write_all(b"question").await.expect("it is open");
        ours.flush().await.expect("it is open");
        theirs.read_exact(&mut [0; 8]).await.expect("a question");
        theirs.write_all(b"answer").await.expect("it is open");
        ours.read_exact(&mut [0; 6]).await.expect("an answer");
        (ours, theirs)
    }

    async fn ask(stream: &mut Stream) {
        // It may be refused at once.
        let _ = stream.write_all(b"another question").await;
        let _ = stream.flush().await;
    }

    #[tokio::test]
    async fn a_server_that_had_closed_before_has_heard_nothing() {
        let (mut ours, theirs) = used().await;
        drop(theirs);
        ask(&mut ours).await;
        assert_eq!(ours.read(&mut [0]).await.expect("an end"), 0);
        assert!(is_unheard(&ours, b"another question".len()));
    }

    #[tokio::test]
    async fn a_server_that_closes_after_it_has_read_something_may_have_heard_all() {
        for read in [1, 16] {
            let (mut ours, mut theirs) = used().await;
            ask(&mut ours).await;
            theirs.read_exact(&mut vec![0; read]).await.expect("a question");
            drop(theirs);
            // What it has not read makes it a reset.
            let end = ours.read(&mut [0]).await;
            assert!(!matches!(end, Ok(0)) || !is_unheard(&ours, b"another question".len()), "{read}: {end:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_answers_has_heard() {
        let (mut ours, mut theirs) = used().await;
        ask(&mut ours).await;
        theirs.read_exact(&mut [0; 16]).await.expect("a question");
        theirs.write_all(b"!").await.expect("it is open");
        ours.read_exact(&mut [0]).await.expect("an answer");
        assert!(!is_unheard(&ours, b"another question".len()));
    }
}
