//! A server of a site that keeps the heads that it received, and on which connection, by TCP, under TLS or by a Unix socket.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub connection: usize,
    /// What TLS asked for.
    pub sni: Option<String>,
    pub head: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::protocols::client::header(&self.head, name)
    }
}

/// The running server. Its answers are its name.
pub struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
    address: Option<SocketAddr>,
}

type Record = Arc<Mutex<Vec<Seen>>>;

impl Server {
    pub async fn tcp(name: &'static str) -> Self {
        let (listener, address) = listener().await;
        let seen = Record::default();
        let record = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                connections.spawn(serve(stream, name, (connection, None), Arc::clone(&record)));
            }
        });
        Self { seen, task, address: Some(address) }
    }

    pub async fn tls(name: &'static str, tls: Arc<ServerConfig>) -> Self {
        let (listener, address) = listener().await;
        let seen = Record::default();
        let record = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (tls, record) = (TlsAcceptor::from(Arc::clone(&tls)), Arc::clone(&record));
                connections.spawn(async move {
                    // A client that does not believe the certificate is what is tested.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let sni = stream.get_ref().1.server_name().map(str::to_owned);
                    serve(stream, name, (connection, sni), record).await;
                });
            }
        });
        Self { seen, task, address: Some(address) }
    }

    pub fn unix(name: &'static str, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let seen = Record::default();
        let record = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                connections.spawn(serve(stream, name, (connection, None), Arc::clone(&record)));
            }
        });
        Self { seen, task, address: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address.expect("it is one of TCP")
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The requests whose target contains this.
    pub fn seen_with(&self, part: &str) -> Vec<Seen> {
        let first = |seen: &Seen| seen.head.lines().next().unwrap_or_default().contains(part);
        self.seen().into_iter().filter(first).collect()
    }

    /// The one request whose target contains this.
    pub fn only(&self, part: &str) -> Seen {
        let mut found = self.seen_with(part);
        assert_eq!(found.len(), 1, "requests for {part}: {found:?}");
        found.remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Answers until the client has had enough; `/cut` ends without a word of TLS, `/until-close` with one.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    name: &str,
    (connection, sni): (usize, Option<String>),
    record: Record,
) {
    let mut bytes = Vec::new();
    loop {
        let Some(head) = head(&mut stream, &mut bytes).await else { return };
        let header = |name: &str| crate::protocols::client::header(&head, name).map(str::to_owned);
        let (length, is_upgrade) = (header("content-length"), header("upgrade").is_some());
        let is_chunked = header("transfer-encoding").is_some();
        record.lock().expect("no panic").push(Seen { connection, sni: sni.clone(), head: head.clone() });
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        while bytes.len() < length || (is_chunked && !bytes.ends_with(b"0\r\n\r\n")) {
            if !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                return;
            }
        }
        let taken = if is_chunked { bytes.len() } else { length };
        bytes.drain(..taken);
        if is_upgrade {
            return echo(&mut stream, &bytes).await;
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        if let Some(answer) = unusual(target) {
            if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            continue;
        }
        let is_last = ["/cut", "/until-close"].iter().any(|last| target.contains(last));
        let framing = if is_last { "Connection: close".to_owned() } else { format!("Content-Length: {}", name.len()) };
        let more = if target.contains("/away") { away(&header("host").unwrap_or_default()) } else { String::new() };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{more}{framing}\r\n\r\n{name}");
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if target.contains("/until-close") {
            // The client may be faster.
            let _ = stream.shutdown().await;
        }
        if is_last {
            return;
        }
    }
}

/// Answers with trailers, and those whose end is in two places.
fn unusual(target: &str) -> Option<String> {
    let answers = [
        ("/trailers", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n"),
        ("/two-lengths", "Content-Length: 4\r\nContent-Length: 2\r\n\r\nbody"),
        ("/two-codings", "Transfer-Encoding: chunked, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
    ];
    let (_, answer) = answers.into_iter().find(|(part, _)| target.contains(part))?;
    Some(format!("HTTP/1.1 200 OK\r\n{answer}"))
}

/// The lines of a site that knows only its own host.
fn away(host: &str) -> String {
    let name = host.split(':').next().unwrap_or_default();
    format!("Location: https://{host}/login?next=/\r\nSet-Cookie: sid=1; Domain={name}; Path=/\r\n")
}

async fn head(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = bytes.drain(..end + 4).collect();
            return Some(String::from_utf8(head).expect("text"));
        }
        if !stream.read_buf(bytes).await.is_ok_and(|count| count > 0) {
            return None;
        }
    }
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), early: &[u8]) {
    // RFC 6455 section 1.3: the answer to the sample key.
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let head =
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n\r\n");
    let mut bytes = [head.as_bytes(), early].concat();
    while stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok() {
        bytes.clear();
        if !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
            return;
        }
    }
}
