//! Connections for plain requests: those that wait for the next one, and how a new one is made.
//!
//! Pingora's pool watches each waiting connection with a task, and asks the kernel for its other end before it is used
//! again. Here a connection is looked at when it is taken, and all of them once a second.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use pingora::Result;
use pingora::protocols::Stream;
use tokio::io::AsyncReadExt;
use tokio::task::unconstrained;
use tokio::time::sleep;

use super::Server;

/// How often waiting connections are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Connections to the servers behind the gate.
pub(crate) struct Connections {
    /// By the number of their server, the one that has waited longest first.
    waiting: Mutex<HashMap<u64, Vec<Waiting>>>,
    /// Most that wait for one server.
    max: usize,
}

struct Waiting {
    stream: Stream,
    /// When it has waited too long.
    until: Instant,
}

impl Connections {
    /// None yet; at most `max` will wait for one server.
    pub(crate) fn new(max: usize) -> Self {
        Self { waiting: Mutex::default(), max }
    }

    /// A connection to a server, and whether it was used before; on another try a new one, as those that wait may be of no
    /// more use than the first.
    ///
    /// # Errors
    /// When a new one is needed and cannot be made.
    pub(crate) async fn get(&self, server: &Server, tries: usize) -> Result<(Stream, bool)> {
        let waiting = if tries <= 1 { self.take(server.id(), Instant::now()) } else { None };
        match waiting {
            Some(stream) => Ok((stream, true)),
            None => Ok((Box::pin(server.connect()).await?, false)),
        }
    }

    /// Takes back a connection that can be used again: an answer has been read to its end.
    pub(crate) fn give_back(&self, stream: Stream, server: &Server) {
        self.keep(server.id(), stream, server.peer().options.idle_timeout.unwrap_or_default());
    }

    /// The connection that was used last, if its server has neither closed it nor said anything.
    fn take(&self, server: u64, now: Instant) -> Option<Stream> {
        loop {
            let mut last = self.waiting.lock().get_mut(&server)?.pop()?;
            if last.is_usable(now) {
                return Some(last.stream);
            }
        }
    }

    fn keep(&self, server: u64, stream: Stream, idle: Duration) {
        if idle.is_zero() {
            return;
        }
        let mut waiting = self.waiting.lock();
        let waiting = waiting.entry(server).or_default();
        if waiting.len() < self.max {
            waiting.push(Waiting { stream, until: Instant::now() + idle });
        }
    }

    /// Closes what is of no use any more.
    fn look(&self, now: Instant) {
        let mut over = Vec::new();
        self.waiting.lock().retain(|_, waiting| {
            over.extend(waiting.extract_if(.., |each| !each.is_usable(now)));
            !waiting.is_empty()
        });
        // Closing them holds nobody up.
        drop(over);
    }

    /// Looks again and again, for as long as there is something to look at.
    pub(crate) async fn watch(connections: Weak<Self>) {
        while let Some(connections) = connections.upgrade() {
            connections.look(Instant::now());
            drop(connections);
            sleep(LOOK).await;
        }
    }
}

impl Waiting {
    /// Whether a server can be asked on it: it has not waited too long, and there is nothing to be read, not even the end.
    fn is_usable(&mut self, now: Instant) -> bool {
        let mut read = || unconstrained(self.stream.read(&mut [0])).now_or_never();
        now < self.until && read().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pingora::connectors::{ConnectorOptions, TransportConnector};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::Settings;
    use super::*;

    const MAX: usize = 3;
    const IDLE: Duration = Duration::from_secs(4);

    struct World {
        connections: Connections,
        listener: TcpListener,
        server: Server,
    }

    async fn world() -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let transport = Arc::new(TransportConnector::new(Some(ConnectorOptions::new(1))));
        let server = Server::billing(address, &Settings::of(vec![address.into()]), &transport);
        World { connections: Connections::new(MAX), listener, server }
    }

    impl World {
        fn server(&self) -> u64 {
            self.server.id()
        }

        /// A new connection that waits, and the server's end of it.
        async fn one(&self) -> TcpStream {
            let stream = self.server.connect().await.expect("a connection");
            let (theirs, _) = self.listener.accept().await.expect("a connection");
            self.connections.keep(self.server(), stream, IDLE);
            theirs
        }

        fn count(&self) -> usize {
            self.connections.waiting.lock().get(&self.server()).map_or(0, Vec::len)
        }
    }

    #[tokio::test]
    async fn the_last_one_used_is_taken_and_no_more_wait_than_may() {
        let world = world().await;
        let mut theirs = Vec::new();
        for _ in 0..=MAX {
            theirs.push(world.one().await);
        }
        assert_eq!(world.count(), MAX, "one was too many");
        let mut taken = world.connections.take(world.server(), Instant::now()).expect("a connection");
        taken.write_all(b"!").await.expect("it is open");
        taken.flush().await.expect("it is open");
        let mut heard = [0];
        theirs[MAX - 1].read_exact(&mut heard).await.expect("a word");
        assert_eq!((world.count(), &heard), (MAX - 1, b"!"));
        assert!(world.connections.take(world.server() + 1, Instant::now()).is_none(), "of another server");
    }

    #[tokio::test]
    async fn one_that_its_server_has_closed_or_spoken_on_is_of_no_use() {
        for says in [&b""[..], b"?"] {
            let world = world().await;
            let mut theirs = world.one().await;
            theirs.write_all(says).await.expect("it is open");
            drop(theirs);
            let told = async {
                while world.count() > 0 {
                    world.connections.look(Instant::now());
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), told).await.expect("it is noticed");
            let waits = world.connections.waiting.lock().len();
            assert_eq!(waits, 0, "nothing is kept of a server with no connections");
        }
    }

    #[tokio::test]
    async fn one_that_has_waited_too_long_is_closed() {
        let world = world().await;
        let mut theirs = world.one().await;
        let late = Instant::now() + IDLE;
        world.connections.look(late - Duration::from_secs(1));
        assert_eq!(world.count(), 1);
        world.connections.look(late);
        assert_eq!(world.count(), 0);
        assert_eq!(theirs.read(&mut [0]).await.expect("an end"), 0);
        world.one().await;
        let late = Instant::now() + IDLE;
        assert!(world.connections.take(world.server(), late).is_none(), "nor is it used before it is looked at");
    }
}
