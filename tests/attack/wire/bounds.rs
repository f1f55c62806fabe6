//! Heads are read within their bounds: of bytes, of work and of time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Wire, get, rest, statuses};

const HEADER_BYTES: usize = 8192;

async fn bounded(fast: &str, header_time: &str) -> Wire {
    let keys = [
        ("proxy.fast_path", fast),
        ("limits.header_bytes", "8192"),
        ("limits.header_time", header_time),
        ("limits.idle", "\"10m\""),
    ];
    Wire::with(&keys).await
}

#[tokio::test]
async fn a_head_is_refused_as_soon_as_it_is_too_long() {
    for fast in ["true", "false"] {
        // Longer than this waits for anything: what is answered was refused for its length.
        let wire = bounded(fast, "\"10m\"").await;
        let begun = ["GET / HTTP/1.1\r\nHost: site.test\r\nX-Long: ", "GET /", "\r\n\r\n\r\n", "X /"];
        for begin in begun {
            for before in ["", &get("/before", "")] {
                let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
                stream.write_all(before.as_bytes()).await.expect("it is sent");
                // One byte more than may be, and no end of it: nothing else can be waited for.
                let filling =
                    if begin.starts_with('\r') { "\r\n".repeat(HEADER_BYTES / 2) } else { "x".repeat(HEADER_BYTES) };
                stream.write_all(format!("{begin}{filling}").as_bytes()).await.expect("it is sent");
                let answer = rest(&mut stream).await;
                let refused: &[u16] = if before.is_empty() { &[431] } else { &[200, 431] };
                assert_eq!(statuses(&answer), refused, "{fast} {begin:?}: {answer}");
                assert!(
                    answer.contains("header_too_large") && answer.to_lowercase().contains("connection: close"),
                    "{answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_head_of_a_connection_has_the_time_for_heads_and_no_more() {
    for fast in ["true", "false"] {
        let wire = bounded(fast, "\"2s\"").await;
        for unfinished in ["G", "GET / HTTP/1.1\r\nHost: site.test\r\n"] {
            let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
            stream.write_all(get("/seen", "").as_bytes()).await.expect("it is sent");
            let mut answer = Vec::new();
            while !String::from_utf8_lossy(&answer).contains("GET /seen") {
                assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0);
            }
            stream.write_all(unfinished.as_bytes()).await.expect("it is sent");
            // Idle it might be for ten minutes; this waits for no more than the deadline of all tests.
            assert_eq!(statuses(&rest(&mut stream).await), [0; 0], "{fast} {unfinished:?}");
        }
        wire.world.proxy().has_let_go("header_time", 2.0).await;
    }
}
