//! Servers behind a gate that tell what reached them, and a client before it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::world::{Billing, free, settings, start};

pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) billing: Arc<Billing>,
}

/// A server that answers every request with 200 and the raw head of the request as its body.
fn echo(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                while let Some(head) = read_head(&mut stream) {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nServer: {name}\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{head}",
                        head.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// A head up to and with its empty line; none at the end of the connection.
pub(super) fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// One gate for all tests, for as long as they run.
pub(super) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (address, billing) = (free(), Arc::new(Billing::default()));
        let (stop, _) = start(settings(address, vec![echo("site")], echo("billing")), Arc::clone(&billing));
        std::mem::forget(stop);
        World { address, billing }
    })
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header in a raw head.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A connection of a client.
pub(super) struct Client(TcpStream);

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self(stream)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it takes it");
    }

    /// Ends what it sends.
    pub(super) fn say_no_more(&self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("it is open");
    }

    /// Waits until something has come, and reads none of it.
    pub(super) fn waits(&self) {
        assert_ne!(self.0.peek(&mut [0]).expect("something comes"), 0);
    }

    /// Whether these could be sent.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next response; none when the connection is closed.
    pub(super) fn receive(&mut self, method: &str) -> Option<Response> {
        let head = read_head(&mut self.0)?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body).ok()?;
        Some(Response { status, head, body: String::from_utf8(body).ok()? })
    }

    /// One request without a body. `lines` are further header lines.
    pub(super) fn ask(&mut self, method: &str, target: &str, lines: &[&str]) -> Response {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n").as_bytes());
        self.receive(method).expect("a response")
    }
}

/// One request on a connection of its own.
pub(super) fn ask(method: &str, target: &str, lines: &[&str]) -> Response {
    Client::new(world().address).ask(method, target, lines)
}
