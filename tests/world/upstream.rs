//! The site behind the gate: a server that keeps what it received, byte for byte, and answers 200.
//!
//! It reads the socket itself, because an HTTP library would fold names, join lines and hide what the gate sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the site answers with.
pub const BODY: &str = "this is the site\n";

/// One request as it stood on the wire.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names as they were written, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header that must be there once at most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} reached the site twice: {self:?}");
        value
    }

    /// The headers that speak of identity or entitlement, under any spelling.
    pub fn identity(&self) -> Vec<(String, String)> {
        let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        self.headers.iter().filter(|(name, _)| folded(name).starts_with("x-entitlement-")).cloned().collect()
    }
}

/// The recording site.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Received>>>,
    stopped: Arc<AtomicBool>,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (record, stop) = (Arc::clone(&seen), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let record = Arc::clone(&record);
                std::thread::spawn(move || while_open(stream, &record));
            }
        });
        Self { address, seen, stopped }
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.seen.lock().expect("no thread panicked").clone()
    }

    /// The requests whose target contains `part`.
    pub fn received_with(&self, part: &str) -> Vec<Received> {
        self.received().into_iter().filter(|request| request.target.contains(part)).collect()
    }

    /// The one request whose target contains `part`.
    pub fn only(&self, part: &str) -> Received {
        let mut found = self.received_with(part);
        assert_eq!(found.len(), 1, "requests for {part} at the site: {found:?}");
        found.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers the requests of one connection until it closes.
fn while_open(stream: TcpStream, record: &Mutex<Vec<Received>>) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut requests = BufReader::new(stream);
    while let Some(received) = read(&mut requests) {
        let (head, length) = (received.method == "HEAD", BODY.len());
        record.lock().expect("no thread panicked").push(received);
        let body = if head { "" } else { BODY };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Accept-Encoding\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads one request; none when the connection ends or carries something else.
fn read(stream: &mut impl BufRead) -> Option<Received> {
    let first = line(stream)?;
    let mut words = first.splitn(3, ' ').map(str::to_owned);
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    version.starts_with("HTTP/1.").then_some(())?;
    let mut headers = Vec::new();
    loop {
        let text = line(stream)?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut received = Received { method, target, headers, body: Vec::new() };
    if let Some(length) = received.header("content-length").and_then(|text| text.parse::<u64>().ok()) {
        stream.take(length).read_to_end(&mut received.body).ok()?;
    } else if received.header("transfer-encoding").is_some() {
        received.body = chunks(stream)?;
    }
    Some(received)
}

/// Reads a chunked body.
fn chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = u64::from_str_radix(line(stream)?.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            while !line(stream)?.is_empty() {}
            return Some(body);
        }
        stream.take(size).read_to_end(&mut body).ok()?;
        line(stream)?;
    }
}

/// Reads one line, without its end.
fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    stream.take(64 * 1024).read_until(b'\n', &mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.strip_suffix('\n').map(|text| text.trim_end_matches('\r').to_owned())
}
