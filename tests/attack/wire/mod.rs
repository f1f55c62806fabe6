//! The gate at the wire: bare sockets on both sides of it, on its short way and on its long one.

mod answers;
mod bounds;
mod connections;
mod framing;
mod heads;
mod moments;
mod pipelines;
mod streams;
mod upgrades;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, Setup, World};

/// What the site says to one target.
#[derive(Clone, Default)]
struct Script {
    pieces: Vec<Vec<u8>>,
    /// Whether each piece waits until the test lets it go.
    waits: bool,
    /// Whether the connection is closed behind it.
    closes: bool,
    /// Whether it is said at once, and the body read away behind it.
    is_early: bool,
}

/// A request as it came to the site.
#[derive(Clone, Debug)]
struct Received {
    head: String,
    body: Vec<u8>,
    /// Which of the site's connections it came on.
    connection: usize,
}

impl Received {
    fn target(&self) -> &str {
        self.head.split(' ').nth(1).expect("a target")
    }

    fn has(&self, name: &str) -> bool {
        self.head.to_lowercase().contains(&format!("\r\n{name}:"))
    }
}

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, Script>>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
}

/// A site that says what a test tells it, byte for byte.
struct Scripted {
    address: SocketAddr,
    state: Arc<State>,
    go: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Scripted {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (state, go) = (Arc::new(State::default()), Arc::new(Semaphore::new(0)));
        let (shared, gate) = (Arc::clone(&state), Arc::clone(&go));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (state, go) = (Arc::clone(&shared), Arc::clone(&gate));
                tokio::spawn(async move {
                    // The gate may close it at any time.
                    let _ = serve(stream, &state, &go).await;
                });
            }
        });
        Self { address, state, go, task }
    }

    /// From now on says this to the target.
    fn says(&self, target: &str, pieces: &[&str]) {
        let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        self.plays(target, Script { pieces, ..Script::default() });
    }

    fn plays(&self, target: &str, script: Script) {
        self.state.scripts.lock().expect("no panic").insert(target.to_owned(), script);
    }

    fn received(&self) -> Vec<Received> {
        self.state.received.lock().expect("no panic").clone()
    }

    /// Waits for a request with this target.
    async fn gets(&self, target: &str) -> Received {
        crate::world::eventually(target, async || self.received().into_iter().find(|one| one.target() == target)).await
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream, state: &State, go: &Semaphore) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = state.connections.fetch_add(1, Ordering::AcqRel);
    let mut seen = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(&seen.drain(..end + 4).collect::<Vec<_>>()).into_owned();
            }
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        };
        let target = head.split(' ').nth(1).unwrap_or_default();
        let script = state.scripts.lock().expect("no panic").get(target).cloned();
        let is_early = script.as_ref().is_some_and(|script| script.is_early);
        let body = if is_early { Vec::new() } else { body(&head, &mut seen, &mut stream).await? };
        let received = Received { head, body, connection };
        let seen_by_site = format!("{}{}", received.head, String::from_utf8_lossy(&received.body));
        state.received.lock().expect("no panic").push(received);
        let script =
            script.unwrap_or_else(|| Script { pieces: vec![ok(&seen_by_site).into_bytes()], ..Script::default() });
        for piece in script.pieces {
            if script.waits {
                go.acquire().await.expect("it is open").forget();
            }
            stream.write_all(&piece).await?;
            tokio::task::yield_now().await;
        }
        if script.is_early {
            if script.closes {
                stream.shutdown().await?;
            }
            while stream.read_buf(&mut seen).await? > 0 {
                seen.clear();
            }
            return Ok(());
        }
        if script.closes {
            return Ok(());
        }
    }
}

/// The body behind a head, without its chunks' framing being looked at: to the last chunk.
async fn body(head: &str, seen: &mut Vec<u8>, stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    loop {
        let end = match length {
            _ if lower.contains("transfer-encoding:") => {
                seen.windows(5).position(|five| five == b"0\r\n\r\n").map(|at| at + 5)
            }
            Some(length) => (seen.len() >= length).then_some(length),
            None => Some(0),
        };
        if let Some(end) = end {
            return Ok(seen.drain(..end).collect());
        }
        if stream.read_buf(seen).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// An answer with this body.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A world before a scripted site.
struct Wire {
    world: World,
    site: Scripted,
    public: SocketAddr,
}

impl Wire {
    async fn with(keys: &[(&str, &str)]) -> Self {
        let site = Scripted::start().await;
        let setup = Setup::new(Arrangement::AllPostgres).upstream(site.address);
        let world = World::with(keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value))).await;
        let public = world.proxy().listen.public;
        Self { world, site, public }
    }

    /// The short way, and all on the long one.
    async fn both() -> [(&'static str, Self); 2] {
        Self::both_with(&[]).await
    }

    /// The same with these keys.
    async fn both_with(keys: &[(&str, &str)]) -> [(&'static str, Self); 2] {
        let long = [keys, &[("proxy.fast_path", "false")]].concat();
        [("short", Self::with(keys).await), ("long", Self::with(&long).await)]
    }

    /// All that comes for these bytes when nothing follows them.
    async fn all(&self, bytes: impl AsRef<[u8]>) -> String {
        self.in_pieces(&[bytes.as_ref()]).await
    }

    /// All that comes for these bytes, of which each piece is sent when the one before it has had time to be read.
    async fn in_pieces(&self, pieces: &[&[u8]]) -> String {
        let mut stream = TcpStream::connect(self.public).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            // The gate may have answered and closed.
            let _ = stream.write_all(piece).await;
        }
        let _ = stream.shutdown().await;
        rest(&mut stream).await
    }
}

/// Everything until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = async { while let Ok(1..) = stream.read_buf(&mut answer).await {} };
    let in_time = timeout(DEADLINE, read).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(in_time.is_ok(), "the connection stays open after {answer:?}");
    answer
}

/// A request without a body.
fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n{lines}\r\n")
}

/// A request with a body.
fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: site.test\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The statuses of all heads, in order.
fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.").skip(1).filter_map(|rest| rest.split(' ').nth(1)?.get(..3)?.parse().ok()).collect()
}
