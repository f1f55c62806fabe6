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

/// Says that no more is sent, and reads away what still comes, apart from whatever served the connection.
pub(super) fn linger(mut stream: Stream) {
    let (Some(place), Ok(runtime)) = (place(), Handle::try_current()) else { return };
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
