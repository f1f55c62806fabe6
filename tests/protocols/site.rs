//! A site that streams: it echoes WebSockets, sends events when it is told to, and counts bodies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;

/// What a download is made of.
const BLOCK: usize = 64 * 1024;

/// The running site.
pub struct Site {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    events: broadcast::Sender<String>,
    /// Requests that have come.
    requests: AtomicUsize,
    /// Streams and sockets that are open.
    open: AtomicUsize,
    /// Lets one slow answer go on.
    go: Semaphore,
}

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            events: broadcast::channel(64).0,
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            go: Semaphore::new(0),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client that leaves is no fault.
                    let _ = serve(stream, &state).await;
                });
            }
        });
        Self { address, state, task }
    }

    /// Sends an event on every open stream.
    pub fn say(&self, text: &str) {
        // Without a stream nobody hears it.
        let _ = self.state.events.send(text.to_owned());
    }

    /// Streams and sockets that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::Acquire)
    }

    /// Requests that have come.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Acquire)
    }

    /// Lets so many answers of `/slow` go on.
    pub fn let_go(&self, count: usize) {
        self.state.go.add_permits(count);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The head of a request.
struct Head {
    path: String,
    length: usize,
    is_chunked: bool,
    upgrades: bool,
}

async fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(4096, stream);
    while let Some(head) = read(&mut stream).await? {
        state.requests.fetch_add(1, Ordering::AcqRel);
        if head.upgrades {
            return open(state, echo(&mut stream)).await;
        }
        if head.path.contains("/events") {
            return open(state, events(&mut stream, state)).await;
        }
        if head.path.contains("/download") {
            download(&mut stream, state, &head.path).await?;
            continue;
        }
        let taken = take(&mut stream, &head).await?;
        if head.path.contains("/slow") {
            state.go.acquire().await.expect("it is never closed").forget();
        }
        let body = format!("{} took {taken} bytes", head.path);
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Counts a stream while it is open.
async fn open(state: &State, stream: impl Future<Output = std::io::Result<()>>) -> std::io::Result<()> {
    state.open.fetch_add(1, Ordering::AcqRel);
    let ended = stream.await;
    state.open.fetch_sub(1, Ordering::AcqRel);
    ended
}

async fn echo(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    // RFC 6455 section 1.3: the answer to the sample key.
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let head =
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).await?;
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        stream.get_mut().write_all(&bytes[..count]).await?;
    }
}

async fn events(stream: &mut BufReader<TcpStream>, state: &State) -> std::io::Result<()> {
    let mut events = state.events.subscribe();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: welcome\n\n";
    stream.get_mut().write_all(head.as_bytes()).await?;
    let mut nothing = [0; 1];
    loop {
        tokio::select! {
            event = events.recv() => {
                let event = format!("data: {}\n\n", event.expect("the site lives"));
                stream.get_mut().write_all(event.as_bytes()).await?;
            }
            _ = stream.read(&mut nothing) => return Ok(()),
        }
    }
}

/// `/download?blocks=N`, of known length. After the first block it waits to be let go.
async fn download(stream: &mut BufReader<TcpStream>, state: &State, path: &str) -> std::io::Result<()> {
    let blocks: usize = path.split("blocks=").nth(1).and_then(|count| count.parse().ok()).expect("a count");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", blocks * BLOCK);
    stream.get_mut().write_all(head.as_bytes()).await?;
    let block = vec![b'x'; BLOCK];
    stream.get_mut().write_all(&block).await?;
    state.go.acquire().await.expect("it is never closed").forget();
    for _ in 1..blocks {
        stream.get_mut().write_all(&block).await?;
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Head>> {
    let (mut first, mut line) = (String::new(), String::new());
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut head = Head { path, length: 0, is_chunked: false, upgrades: false };
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let text = line.trim_end().to_ascii_lowercase();
        match text.split_once(':') {
            None => return Ok(Some(head)),
            Some(("content-length", length)) => head.length = length.trim().parse().expect("a length"),
            Some(("transfer-encoding", _)) => head.is_chunked = true,
            Some(("upgrade", _)) => head.upgrades = true,
            Some(_) => {}
        }
    }
}

/// Takes in a body, and says how long it was.
async fn take(stream: &mut BufReader<TcpStream>, head: &Head) -> std::io::Result<usize> {
    if !head.is_chunked {
        return skip(stream, head.length).await;
    }
    let (mut taken, mut line) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        taken += skip(stream, size).await?;
        stream.read_line(&mut line).await?;
        if size == 0 {
            return Ok(taken);
        }
    }
}

async fn skip(stream: &mut BufReader<TcpStream>, length: usize) -> std::io::Result<usize> {
    let skipped = tokio::io::copy(&mut stream.take(length as u64), &mut tokio::io::sink()).await?;
    if skipped == length as u64 { Ok(length) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}
