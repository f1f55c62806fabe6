//! HTTP/2 as an attacker speaks it: whatever is sent, memory stays bounded and the others are served.
//!
//! Frames are written by hand (RFC 9113 section 4.1), because no client would send them so.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::http2::Secure;
use super::many::resident_kb;

/// The most that memory may grow under one attack, in kB.
const GROWTH_KB_MAX: usize = 32 * 1024;

/// Longest time that an attack is kept up.
const LIMIT: Duration = Duration::from_secs(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const PRIORITY_UPDATE: u8 = 16;

const END_HEADERS: u8 = 4;

/// `:method: GET`, `:scheme: https`, `:path: /`, `:authority: site.test`, in HPACK (RFC 7541).
const HEAD: &[u8] = b"\x82\x87\x84\x41\x09site.test";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field that is not compressed and stays out of the tables (RFC 7541 section 6.2.2), shorter than 127 bytes each.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

struct Attack {
    secure: Secure,
    stream: TlsStream<TcpStream>,
    before: usize,
}

impl Attack {
    async fn start() -> Self {
        let secure = Secure::start().await;
        // What the first requests take once does not count.
        let mut client = secure.identity.http2(secure.address()).await;
        for _ in 0..50 {
            assert_eq!(client.get("/page", None).await.status(), http::StatusCode::OK);
        }
        let before = resident_kb(secure.world.proxy().process.id());
        let mut stream = secure.identity.connect(secure.address(), &["h2"]).await.expect("TLS");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it takes it");
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("it takes it");
        Self { secure, stream, before }
    }

    /// Sends pieces until the server ends the connection or has taken them all; says whether it ended it. What it answers
    /// is thrown away.
    async fn flood(&mut self, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
        let (mut answers, mut requests) = tokio::io::split(&mut self.stream);
        let read = async {
            let mut bytes = [0; 4096];
            while answers.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        };
        let write = async {
            for piece in pieces {
                if requests.write_all(&piece).await.is_err() {
                    return true;
                }
            }
            false
        };
        let attack = async {
            tokio::select! {
                () = read => true,
                ended = write => ended,
            }
        };
        timeout(LIMIT, attack).await.expect("the attack ends")
    }

    /// Sends pieces until the server ends the connection. It may do so when all of them are on their way.
    async fn flood_until_it_ends(&mut self, pieces: impl Iterator<Item = Vec<u8>>) {
        if !self.flood(pieces).await {
            let mut bytes = [0; 4096];
            let read = async { while self.stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
            timeout(LIMIT, read).await.expect("the connection is ended");
        }
    }

    /// Memory is bounded, and others are served.
    async fn does_no_harm(&self) {
        let mut other = self.secure.identity.http2(self.secure.address()).await;
        for _ in 0..20 {
            assert_eq!(other.get("/page", None).await.status(), http::StatusCode::OK);
        }
        let after = resident_kb(self.secure.world.proxy().process.id());
        assert!(after < self.before + GROWTH_KB_MAX, "{} kB before, {after} kB after", self.before);
    }
}

/// The numbers of streams that a client opens.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| number * 2 + 1)
}

#[tokio::test]
async fn rapid_reset() {
    let mut attack = Attack::start().await;
    let reset =
        |stream| [frame(HEADERS, END_HEADERS, stream, HEAD), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    attack.flood(streams(20_000).map(reset)).await;
    attack.does_no_harm().await;
}

#[tokio::test]
async fn a_flood_of_continuations() {
    let mut attack = Attack::start().await;
    let filler: Vec<u8> = (0..100).flat_map(|number| field(&format!("x-{number}"), &"x".repeat(100))).collect();
    let first = frame(HEADERS, 0, 1, HEAD);
    let more = std::iter::repeat_with(move || frame(CONTINUATION, 0, 1, &filler)).take(20_000);
    attack.flood_until_it_ends(std::iter::once(first).chain(more)).await;
    attack.does_no_harm().await;
}

#[tokio::test]
async fn a_flood_of_empty_continuations() {
    let mut attack = Attack::start().await;
    let first = frame(HEADERS, 0, 1, HEAD);
    let more = std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &[]).repeat(1000)).take(2_000);
    attack.flood_until_it_ends(std::iter::once(first).chain(more)).await;
    attack.does_no_harm().await;
}

#[tokio::test]
async fn a_header_list_over_the_limit() {
    let mut attack = Attack::start().await;
    // Each is 12 kB in all; a connection that sends hundreds of them takes no more than one.
    let fields: Vec<u8> = (0..100).flat_map(|number| field(&format!("x-{number}"), &"x".repeat(110))).collect();
    let piece = |stream: u32| {
        let more = (0..7).map(|_| frame(CONTINUATION, 0, stream, &fields)).collect::<Vec<_>>().concat();
        [frame(HEADERS, 0, stream, HEAD), more, frame(CONTINUATION, END_HEADERS, stream, &[])].concat()
    };
    let requests = attack.secure.site.requests();
    attack.flood(streams(300).map(piece)).await;
    assert_eq!(attack.secure.site.requests(), requests, "none of them reached the site");
    attack.does_no_harm().await;
}

#[tokio::test]
async fn a_flood_of_pings() {
    let mut attack = Attack::start().await;
    let many = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    attack.flood(std::iter::repeat_with(|| many.clone()).take(300)).await;
    attack.does_no_harm().await;
}

#[tokio::test]
async fn floods_of_settings_and_of_priorities_and_of_unknown_frames_end_the_connection() {
    let pieces = [
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(SETTINGS, 0, 0, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 15]),
        frame(PRIORITY, 0, 2_001, &[0, 0, 0, 3, 15]),
        frame(PRIORITY_UPDATE, 0, 0, &[0, 0, 0, 1, b'u', b'=', b'1']),
    ];
    for piece in pieces {
        let mut attack = Attack::start().await;
        let many = piece.repeat(100);
        attack.flood_until_it_ends(std::iter::repeat_with(|| many.clone()).take(1000)).await;
        attack.does_no_harm().await;
    }
}

#[tokio::test]
async fn pings_whose_answers_are_not_read() {
    let mut attack = Attack::start().await;
    let many = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    for _ in 0..2000 {
        if !matches!(timeout(Duration::from_millis(500), attack.stream.write_all(&many)).await, Ok(Ok(()))) {
            break;
        }
    }
    attack.does_no_harm().await;
}

#[tokio::test]
async fn a_flood_of_empty_data() {
    let mut attack = Attack::start().await;
    let many = frame(DATA, 0, 1, &[]).repeat(1000);
    let first = frame(HEADERS, END_HEADERS, 1, b"\x83\x87\x84\x41\x09site.test");
    attack.flood(std::iter::once(first).chain(std::iter::repeat_with(|| many.clone()).take(500))).await;
    attack.does_no_harm().await;
}

#[tokio::test]
async fn more_streams_than_are_allowed() {
    let mut attack = Attack::start().await;
    let path = b"\x82\x87\x04\x05/slow\x41\x09site.test";
    attack.flood(streams(2_000).map(|stream| frame(HEADERS, END_HEADERS | 1, stream, path))).await;
    assert!(attack.secure.site.requests() <= 50 + 100, "100 at once reach the site: {}", attack.secure.site.requests());
    attack.does_no_harm().await;
}
