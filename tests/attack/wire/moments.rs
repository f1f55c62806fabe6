//! When things happen on a connection of HTTP/1: what the site has said arrives without what it has not said yet, an answer
//! ends when it is over, and a silent client is let go when it should be.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Script, Wire, get, rest, statuses};
use crate::world::wait::DEADLINE;

/// How long an upload is, and what is sent of it first: more than is awaited before the site is asked.
const LONG: usize = 16_000_000;
const BEGUN: usize = 100_000;

/// Reads until these bytes have come.
async fn receives(stream: &mut TcpStream, bytes: &str) -> String {
    let mut seen = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&seen).contains(bytes) {
            assert_ne!(stream.read_buf(&mut seen).await.expect("an answer"), 0, "it ends before {bytes:?}");
        }
    };
    let in_time = timeout(DEADLINE, read).await.is_ok();
    assert!(in_time, "{bytes:?} comes behind {:?}", String::from_utf8_lossy(&seen));
    String::from_utf8(seen).expect("text")
}

/// A connection on which a request was sent.
async fn asking(wire: &Wire, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
    stream.write_all(get(target, "").as_bytes()).await.expect("it is sent");
    stream
}

/// A connection on which the head of a long upload, and the beginning of its body, was sent.
async fn uploading(wire: &Wire, target: &str, version: &str) -> TcpStream {
    let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
    let head = format!("POST {target} HTTP/{version}\r\nHost: site.test\r\nContent-Length: {LONG}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    stream.write_all(&vec![b'x'; BEGUN]).await.expect("it is sent");
    stream
}

#[tokio::test]
async fn between_requests_a_client_is_let_go_when_the_time_for_that_is_over_whatever_the_time_for_heads() {
    let keys = [("limits.idle", "\"1s\""), ("limits.header_time", "\"10m\"")];
    for (way, wire) in Wire::both_with(&keys).await {
        // Empty lines are no beginning of a request.
        for silence in ["", "\r\n", "\r\n\r\n\n", "\r"] {
            let mut stream = asking(&wire, "/seen").await;
            receives(&mut stream, "GET /seen").await;
            stream.write_all(silence.as_bytes()).await.expect("it is sent");
            assert_eq!(statuses(&rest(&mut stream).await), [0; 0], "{way} {silence:?}");
        }
    }
}

#[tokio::test]
async fn what_has_come_of_an_answer_of_known_length_goes_out_before_the_rest_comes() {
    for (way, wire) in Wire::both_with(&[("limits.read", "\"10m\""), ("limits.body_rate", "0")]).await {
        for kind in ["text/plain", "text/event-stream"] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 15\r\n\r\n");
            let pieces = [head.as_str(), "first", "again", "third"].map(|piece| piece.as_bytes().to_vec()).to_vec();
            let script = Script { pieces, waits: true, ..Script::default() };
            wire.site.plays("/slowly", script.clone());
            wire.site.plays("/early", Script { is_early: true, ..script });
            // An answer that comes early is none to wait for either.
            for is_early in [false, true] {
                let mut stream =
                    if is_early { uploading(&wire, "/early", "1.1").await } else { asking(&wire, "/slowly").await };
                for piece in ["\r\n\r\n", "first", "again", "third"] {
                    wire.site.go.add_permits(1);
                    let seen = receives(&mut stream, piece).await;
                    assert!(seen.ends_with(piece), "{way} {kind}: {seen}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_end_of_an_upload_ends_at_once_and_the_rest_is_read_away() {
    for (way, wire) in Wire::both_with(&[("limits.read", "\"10m\""), ("limits.body_rate", "0")]).await {
        let answers = [
            ("length", "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", "no"),
            ("chunks", "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", "no"),
            ("trailers", "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX: 1\r\n\r\n", "no"),
            ("close", "HTTP/1.1 401 No\r\n\r\nno", "no"),
            ("empty", "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"),
            ("none", "HTTP/1.1 204 No\r\n\r\n", "\r\n\r\n"),
        ];
        for (name, answer, end) in answers {
            let target = format!("/{name}");
            let script = Script { pieces: vec![answer.into()], is_early: true, closes: name == "close", waits: false };
            wire.site.plays(&target, script);
            for version in ["1.0", "1.1"] {
                let mut stream = uploading(&wire, &target, version).await;
                let seen = rest(&mut stream).await;
                let head = seen.to_lowercase();
                // The last chunk, with what stands behind it.
                let body = seen.split("\r\n0\r\n").next().unwrap_or_default();
                assert!(body.ends_with(end) && head.contains("connection: close"), "{way} {name} {version}: {seen:?}");
                if name == "length" {
                    // More than what the buffers of a connection hold: somebody reads it.
                    stream.write_all(&vec![b'x'; LONG - BEGUN]).await.expect("no reset comes");
                }
            }
        }
    }
}
