//! Handshakes of WebSockets: they count as the requests that they are, a yes has to fit, and everything else is an answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Script, Wire, get, statuses};
use crate::protocols::client::{Client, FRAME, WEBSOCKET, header, status};

/// RFC 6455 section 1.3: the answer to the sample key.
const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn asking(target: &str, lines: &str) -> String {
    get(target, &format!("{}\r\n{lines}", WEBSOCKET.join("\r\n")))
}

#[tokio::test]
async fn a_handshake_counts_among_the_requests_at_once_until_it_is_answered() {
    for fast in ["true", "false"] {
        let wire = Wire::with(&[("proxy.fast_path", fast), ("limits.upstream_connections", "1")]).await;
        let waiting = |bytes: &str| Script { pieces: vec![bytes.into()], waits: true, ..Script::default() };
        wire.site.plays("/socket", waiting(YES));
        wire.site.plays("/slow", waiting("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"));
        let mut socket = Client::connect(wire.public).await;
        socket.ask("GET", "/socket", None, &WEBSOCKET).await;
        wire.site.gets("/socket").await;
        for (target, lines) in [("/page", &[][..]), ("/other-socket", &WEBSOCKET)] {
            let mut other = Client::connect(wire.public).await;
            other.ask("GET", target, None, lines).await;
            let head = other.head().await;
            assert_eq!((status(&head), header(&head, "retry-after")), (503, Some("1")), "{fast} {target}: {head}");
            other.receives(b"upstream_busy").await;
        }
        wire.site.go.add_permits(1);
        assert_eq!(status(&socket.head().await), 101, "{fast}");
        // An open one holds no place.
        let mut slow = Client::connect(wire.public).await;
        slow.ask("GET", "/slow", None, &[]).await;
        wire.site.gets("/slow").await;
        let mut other = Client::connect(wire.public).await;
        other.ask("GET", "/third-socket", None, &WEBSOCKET).await;
        assert_eq!(status(&other.head().await), 503, "{fast}");
        wire.site.go.add_permits(1);
        assert_eq!(slow.answer().await, Some((200, "slow".into())), "{fast}");
        assert!(wire.site.received().iter().all(|one| ["/socket", "/slow"].contains(&one.target())), "{fast}");
    }
}

#[tokio::test]
async fn an_upgrade_that_connection_does_not_name_is_passed_on_by_neither_line() {
    for (way, wire) in Wire::both().await {
        for (number, lines) in ["", "Connection: keep-alive\r\n", "Connection: close, x\r\n"].into_iter().enumerate() {
            let target = format!("/page-{number}");
            let asked = format!("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{lines}");
            let answer = wire.all(get(&target, &asked)).await;
            assert_eq!(statuses(&answer), [200], "{way} {lines:?}: {answer}");
            let seen = wire.site.gets(&target).await;
            assert!(!seen.has("connection") && !seen.has("upgrade"), "{way} {lines:?}: {}", seen.head);
        }
    }
}

#[tokio::test]
async fn a_yes_that_does_not_fit_opens_nothing() {
    let cases = [
        YES.replace("Connection: Upgrade\r\n", ""),
        YES.replace("Connection: Upgrade", "Connection: keep-alive"),
        YES.replace("Upgrade: websocket\r\n", ""),
        YES.replace("Upgrade: websocket", "Upgrade: h2c"),
        YES.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ=="),
        YES.replace("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""),
    ];
    for (way, wire) in Wire::both().await {
        for (number, answer) in cases.iter().enumerate() {
            let target = format!("/case-{number}");
            wire.site.says(&target, &[answer, "SECRET"]);
            let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
            stream.write_all(asking(&target, "").as_bytes()).await.expect("it is sent");
            let told = super::rest(&mut stream).await;
            assert_eq!(statuses(&told), [502], "{way} {answer}: {told}");
            assert!(!told.contains("SECRET"), "{way} {answer}: {told}");
        }
        // A fitting one opens both directions, whatever else it says.
        let fitting = YES.replace("Connection: Upgrade", "Connection: x, UPGRADE\r\nContent-Length: 3\r\nX: 1");
        wire.site.says("/fitting", &[&format!("HTTP/1.1 103 Early Hints\r\n\r\n{fitting}early")]);
        let mut client = Client::connect(wire.public).await;
        client.ask("GET", "/fitting", None, &WEBSOCKET).await;
        let mut head = client.head().await;
        if status(&head) == 103 {
            head = client.head().await;
        }
        assert_eq!((status(&head), header(&head, "content-length")), (101, None), "{way}: {head}");
        assert_eq!((header(&head, "connection"), header(&head, "x")), (Some("Upgrade"), None), "{way}: {head}");
        client.receives(b"early").await;
        client.send(&FRAME).await;
    }
}

#[tokio::test]
async fn an_answer_that_opens_nothing_is_framed_and_filtered_like_any() {
    for (way, wire) in Wire::both().await {
        let paying = format!("{}\r\n", super::super::paying(&wire.world).await);
        let open = |head: &str| Script { pieces: vec![head.into()], closes: true, ..Script::default() };
        let cases = [
            ("open", open("HTTP/1.1 200 OK\r\nCache-Control: public\r\n\r\nno socket"), "9\r\nno socket\r\n0\r\n\r\n"),
            ("old", open("HTTP/1.0 200 OK\r\nCache-Control: public\r\n\r\nno socket"), "9\r\nno socket\r\n0\r\n\r\n"),
            ("length", open("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno socket"), "\r\n\r\nno socket"),
            (
                "trailers",
                open("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX-Sum: 1\r\n\r\n"),
                "2\r\nno\r\n0\r\nX-Sum: 1\r\n\r\n",
            ),
            (
                "hinted",
                open("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
                "\r\n\r\nok",
            ),
            ("none", open("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), "\r\n\r\n"),
        ];
        for (name, script, expected) in cases {
            let target = format!("/premium/{name}");
            wire.site.plays(&target, script);
            let answer = wire.all(asking(&target, &paying)).await;
            let (heads, _) = answer.rsplit_once("\r\n\r\n").expect("a head");
            let head = answer.rsplit_once("HTTP/1.1 ").expect("a head").1.to_lowercase();
            assert!(answer.ends_with(expected), "{way} {name}: {answer}");
            assert!(
                head.contains("connection: close") && head.contains("cache-control: private"),
                "{way} {name}: {answer}"
            );
            assert!(!heads.contains("HTTP/1.0") && !head.contains("public"), "{way} {name}: {answer}");
            assert!(name != "none" || !head.contains("content-length"), "{way} {name}: {answer}");
        }
        let cut = open("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno");
        wire.site.plays("/cut", cut);
        let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
        stream.write_all(asking("/cut", "").as_bytes()).await.expect("it is sent");
        let mut answer = Vec::new();
        // Cut off, or reset.
        while stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {}
        assert!(!String::from_utf8_lossy(&answer).contains("502"), "{way}");
    }
}
