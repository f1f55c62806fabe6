//! A client of one connection that sees every byte, and sees when it ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// What a WebSocket's handshake has beside its first line.
pub const WEBSOCKET: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A text frame, as a client sends one (RFC 6455 section 5.7: a masked "Hello").
pub const FRAME: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// What has come and was not asked for yet.
    seen: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), seen: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it takes it");
    }

    /// Sends one byte, after a while; not when the connection has ended.
    pub async fn trickle(&mut self, byte: u8) -> bool {
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.stream.write_all(&[byte]).await.is_ok() && !self.has_ended()
    }

    fn has_ended(&mut self) -> bool {
        let mut bytes = [0; 256];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => true,
            Ok(count) => {
                self.seen.extend(&bytes[..count]);
                false
            }
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    /// As [`Client::get`], on a connection that may be closed at once.
    pub async fn try_get(&mut self, target: &str) -> Option<(u16, String)> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.ok()?;
        self.answer().await
    }

    /// Sends the head of a request, signed in when there is a token.
    pub async fn ask(&mut self, method: &str, target: &str, token: Option<&str>, lines: &[&str]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: site.test\r\n");
        if let Some(token) = token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        lines.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
        head.push_str("\r\n");
        self.send(head.as_bytes()).await;
    }

    /// The head of the next answer.
    pub async fn head(&mut self) -> String {
        self.try_head().await.expect("an answer")
    }

    /// The head of the next answer; none when the connection ends.
    pub async fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.seen.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.seen.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("text"));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// One request without a body: the status and the body of its answer.
    pub async fn get(&mut self, target: &str, token: Option<&str>) -> Option<(u16, String)> {
        self.ask("GET", target, token, &[]).await;
        self.answer().await
    }

    /// The status and the body of the next answer, whose length must be known.
    pub async fn answer(&mut self) -> Option<(u16, String)> {
        let head = self.try_head().await?;
        let length = header(&head, "content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.seen.len() < length {
            if !self.more().await {
                return None;
            }
        }
        let body: Vec<u8> = self.seen.drain(..length).collect();
        Some((status(&head), String::from_utf8_lossy(&body).into_owned()))
    }

    /// Waits until these bytes have come.
    pub async fn receives(&mut self, bytes: &[u8]) {
        loop {
            if let Some(at) = self.seen.windows(bytes.len()).position(|some| some == bytes) {
                self.seen.drain(..at + bytes.len());
                return;
            }
            assert!(self.more().await, "it ended before {:?} came", String::from_utf8_lossy(bytes));
        }
    }

    /// Waits for the end of the connection.
    pub async fn ends(&mut self) {
        while self.more().await {}
    }

    /// Reads so many bytes, and no more.
    pub async fn takes_exactly(&mut self, count: usize) {
        while self.seen.len() < count {
            assert!(self.more().await, "it ended in the middle of a body");
        }
        self.seen.drain(..count);
    }

    /// Reads until so many bytes have come in all.
    pub async fn takes(&mut self, count: usize) {
        let mut taken = self.seen.len();
        self.seen.clear();
        while taken < count {
            assert!(self.more().await, "it ended after {taken} bytes");
            taken += self.seen.len();
            self.seen.clear();
        }
    }

    /// Whether anything more has come; not when the connection has ended.
    async fn more(&mut self) -> bool {
        let read = timeout(LIMIT, self.stream.read_buf(&mut self.seen)).await;
        // A connection that is reset has ended, too.
        read.expect("something comes, or the connection ends").is_ok_and(|count| count > 0)
    }
}

/// The status in the head of an answer.
pub fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// A header in the head of an answer.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// An open WebSocket.
pub async fn websocket(address: SocketAddr, target: &str, token: Option<&str>) -> Client {
    let mut client = Client::connect(address).await;
    client.ask("GET", target, token, &WEBSOCKET).await;
    let head = client.head().await;
    assert_eq!(status(&head), 101, "{head}");
    client
}

/// An open event stream.
pub async fn events(address: SocketAddr, target: &str, token: Option<&str>) -> Client {
    let mut client = Client::connect(address).await;
    client.ask("GET", target, token, &["Accept: text/event-stream"]).await;
    let head = client.head().await;
    assert_eq!(status(&head), 200, "{head}");
    client.receives(b"data: welcome\n\n").await;
    client
}
