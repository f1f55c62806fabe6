//! An HTTP/2 client that writes frames itself (RFC 9113, RFC 7541), because no library would write such requests.
//!
//! Its fields are never compressed, and of an answer it reads the body, in which the gate and the site say enough.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::protocols::secure::Identity;
use crate::world::wait::DEADLINE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The site has answered.
    Passed,
    /// The gate has answered with this status.
    Denied(u16),
    /// The stream or the connection is closed, or answered without a word.
    Refused,
}

/// A field of a request, with any bytes.
pub type Field<'a> = (&'a str, &'a str);

/// A connection on which one request is made.
pub struct Connection {
    stream: TlsStream<TcpStream>,
}

impl Connection {
    /// Connects and begins HTTP/2.
    pub async fn open(address: SocketAddr, identity: &Identity) -> Self {
        let mut stream = identity.connect(address, &["h2"]).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "it speaks HTTP/2");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is sent");
        let mut connection = Self { stream };
        connection.send(SETTINGS, 0, 0, &[]).await;
        connection
    }

    /// A request without a body.
    pub async fn ask(mut self, fields: &[Field<'_>]) -> Outcome {
        self.send(HEADERS, END_HEADERS | END_STREAM, 1, &encoded(fields)).await;
        self.outcome().await
    }

    /// A request with a body, and with trailers when there are some.
    pub async fn ask_with(mut self, fields: &[Field<'_>], body: &str, trailers: &[Field<'_>]) -> Outcome {
        self.send(HEADERS, END_HEADERS, 1, &encoded(fields)).await;
        let last = if trailers.is_empty() { END_STREAM } else { 0 };
        self.send(DATA, last, 1, body.as_bytes()).await;
        if !trailers.is_empty() {
            self.send(HEADERS, END_HEADERS | END_STREAM, 1, &encoded(trailers)).await;
        }
        self.outcome().await
    }

    /// Sends a frame. The gate may have closed the connection already: what then comes of it is seen when reading.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Reads until the answer is complete, or nothing more comes.
    async fn outcome(mut self) -> Outcome {
        let mut body = Vec::new();
        while let Some((kind, flags, payload)) =
            timeout(DEADLINE, frame(&mut self.stream)).await.expect("an answer in time")
        {
            match kind {
                DATA => body.extend(payload),
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                RST_STREAM | GOAWAY => break,
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                break;
            }
        }
        if body == crate::world::upstream::BODY.as_bytes() {
            return Outcome::Passed;
        }
        let problem: Option<Value> = serde_json::from_slice(&body).ok();
        let status = problem.and_then(|problem| problem["status"].as_u64());
        status.map_or(Outcome::Refused, |status| Outcome::Denied(u16::try_from(status).expect("a status")))
    }
}

/// Reads one frame: its type, its flags and what it carries. None at the end of the connection.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

/// A block of fields, each literal and never indexed (RFC 7541 section 6.2.2).
fn encoded(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A length with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(value: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(127) else {
        return block.push(u8::try_from(value).expect("seven bits"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128 + 128).expect("eight bits"));
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("seven bits"));
}
