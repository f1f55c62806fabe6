//! The end of a connection whose client may still be sending: it is read from for a while. A connection that is closed with
//! bytes unread is reset, and the client loses the answer that it has not read yet (RFC 9112 section 9.6).

use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How long what is sent is read away: in all, and from one piece to the next.
pub(crate) const TIME: Duration = Duration::from_secs(30);
pub(crate) const PAUSE: Duration = Duration::from_secs(5);

/// Most connections, and streams of HTTP/2, at once that are read from in this way: others are closed at once.
const CONNECTIONS_MAX: usize = 1024;

/// What is read away at once, in bytes.
const READ: usize = 16 * 1024;

static PLACES: Semaphore = Semaphore::const_new(CONNECTIONS_MAX);

/// A place among those that are read from after their answer.
pub(crate) fn place() -> Option<SemaphorePermit<'static>> {
    PLACES.try_acquire().ok()
}

/// Says that no more is sent, and reads away what still comes, apart from whatever served the connection. Where there is no
/// place for it the connection is closed at once.
pub(super) fn linger(stream: Stream) {
    linger_within(&PLACES, stream);
}

fn linger_within(places: &'static Semaphore, mut stream: Stream) {
    let (Ok(place), Ok(runtime)) = (places.try_acquire(), Handle::try_current()) else { return };
    runtime.spawn(async move {
        let _place = place;
        let read_away = async {
            stream.shutdown().await;
            let mut bytes = vec![0; READ];
            while let Ok(Ok(1..)) = timeout(PAUSE, stream.read(&mut bytes)).await {}
        };
        let _ = timeout(TIME, read_away).await;
    });
}

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream as Socket;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn beyond_the_bound_a_connection_is_closed_at_once() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let pair = async || {
            let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
            let stream: Stream = Box::new(Socket::from(listener.accept().await.expect("a connection").0));
            (client, stream)
        };
        let (mut client, stream) = pair().await;
        linger_within(&ONE, stream);
        let (mut other, stream) = pair().await;
        linger_within(&ONE, stream);
        // Both are told the end, and what the first one sends is still read.
        for client in [&mut client, &mut other] {
            assert_eq!(client.read(&mut [0]).await.expect("an end"), 0);
        }
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..16 {
            client.write_all(&block).await.expect("it is read away");
        }
        let write = async { while other.write_all(&block).await.is_ok() {} };
        write.await;
        assert_eq!(ONE.available_permits(), 0);
        drop(client);
        drop(ONE.acquire().await.expect("its place is free again"));
    }
}
