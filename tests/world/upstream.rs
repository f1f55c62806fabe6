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
    /// Names as they were written, in order; trailers too.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The first line and the headers as they stood on the wire.
    pub head: String,
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
    answers: Answers,
    stopped: Arc<AtomicBool>,
}

/// Whole answers, head and body, for targets that contain a text.
type Answers = Arc<Mutex<Vec<(String, String)>>>;

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let answers = Answers::default();
        let (record, stop, told) = (Arc::clone(&seen), Arc::clone(&stopped), Arc::clone(&answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (record, told) = (Arc::clone(&record), Arc::clone(&told));
                std::thread::spawn(move || while_open(stream, &record, &told));
            }
        });
        Self { address, seen, answers, stopped }
    }

    /// From now on answers requests whose target contains `part` with these bytes; with none it hangs up.
    pub fn answer(&self, part: &str, bytes: &str) {
        self.answers.lock().expect("no thread panicked").push((part.to_owned(), bytes.to_owned()));
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
fn while_open(stream: TcpStream, record: &Mutex<Vec<Received>>, told: &Mutex<Vec<(String, String)>>) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut requests = BufReader::new(stream);
    while let Some(received) = read(&mut requests) {
        let (head, length) = (received.method == "HEAD", BODY.len());
        let told = wanted(told, &received.target);
        record.lock().expect("no thread panicked").push(received);
        let body = if head { "" } else { BODY };
        let answer = told.unwrap_or_else(|| format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Accept-Encoding\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        if answer.is_empty() || answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The answer that was asked for.
fn wanted(answers: &Mutex<Vec<(String, String)>>, target: &str) -> Option<String> {
    let answers = answers.lock().expect("no thread panicked");
    answers.iter().find(|(part, _)| target.contains(part)).map(|(_, bytes)| bytes.clone())
}

/// Reads one request; none when the connection ends or carries something else.
fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut head = line(stream)?;
    let mut words = ended(&head)?.splitn(3, ' ').map(str::to_owned);
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    version.starts_with("HTTP/1.").then_some(())?;
    let headers = fields(stream, &mut head)?;
    let mut received = Received { method, target, headers, body: Vec::new(), head };
    if let Some(length) = received.header("content-length").and_then(|text| text.parse::<u64>().ok()) {
        stream.take(length).read_to_end(&mut received.body).ok()?;
    } else if received.header("transfer-encoding").is_some() {
        received.body = chunks(stream)?;
        received.headers.extend(fields(stream, &mut received.head)?);
    }
    Some(received)
}

/// Reads header or trailer lines up to and with the empty one, and appends them to `raw` as they stand.
fn fields(stream: &mut impl BufRead, raw: &mut String) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let text = line(stream)?;
        raw.push_str(&text);
        let text = ended(&text)?;
        if text.is_empty() {
            return Some(fields);
        }
        let (name, value) = text.split_once(':')?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads a chunked body up to its last chunk.
fn chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = u64::from_str_radix(ended(&line(stream)?)?.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        stream.take(size).read_to_end(&mut body).ok()?;
        line(stream)?;
    }
}

/// Reads one line, with its end unless the connection ends first.
fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    stream.take(64 * 1024).read_until(b'\n', &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line without its end; none when it has none.
fn ended(line: &str) -> Option<&str> {
    line.strip_suffix('\n').map(|text| text.trim_end_matches('\r'))
}
