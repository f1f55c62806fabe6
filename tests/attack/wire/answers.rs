//! Answers, as clients of every kind get them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Script, Wire, get, ok, statuses};

const TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Server-Timing\r\n\r\n\
                        3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nServer-Timing: db;dur=1\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n";

#[tokio::test]
async fn trailers_of_an_answer_pass() {
    let wire = Wire::with(&[]).await;
    let paying = format!("{}\r\n", super::super::paying(&wire.world).await);
    for pieces in [
        vec![TRAILERS],
        vec![&TRAILERS[..90], &TRAILERS[90..130], &TRAILERS[130..]],
        TRAILERS.split_inclusive('\n').collect(),
    ] {
        for target in ["/trailers", "/premium/trailers"] {
            wire.site.says(target, &pieces);
            for lines in ["", "TE: trailers\r\nConnection: TE\r\n", "Keep-Alive: timeout=5\r\n"] {
                let requests = get(target, &format!("{paying}{lines}")) + get("/next", "").as_str();
                let answer = wire.all(requests).await;
                assert_eq!(statuses(&answer), [200, 200], "{lines:?}: {answer}");
                let (first, _) = answer
                    .split_once("HTTP/1.1 200 OK\r\n")
                    .and_then(|(_, rest)| rest.split_once("HTTP/1.1 200"))
                    .expect("two");
                assert!(first.ends_with("0\r\nX-Sum: 5\r\nServer-Timing: db;dur=1\r\n\r\n"), "{lines:?}: {first}");
                assert!(first.to_lowercase().contains("trailer: x-sum, server-timing\r\n"), "{first}");
            }
        }
    }
}

#[tokio::test]
async fn an_old_client_gets_no_chunks_and_no_informational_answers() {
    for (way, wire) in Wire::both().await {
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        wire.site.says("/chunks", &[TRAILERS]);
        wire.site.says("/hinted", &[&format!("{hint}{}", ok("page"))]);
        let open = format!("{hint}HTTP/1.1 200 OK\r\n\r\nuntil the end").into_bytes();
        wire.site.plays("/open", Script { pieces: vec![open], closes: true, ..Script::default() });
        for (target, body) in [("/chunks", "abcde"), ("/hinted", "page"), ("/open", "until the end")] {
            for lines in ["", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n"] {
                let request = format!("GET {target} HTTP/1.0\r\nHost: site.test\r\n{lines}\r\n");
                let answer = wire.all(request).await;
                assert_eq!(statuses(&answer), [200], "{way} {target}: {answer}");
                assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{way} {target}: {answer}");
                let head = answer.to_lowercase();
                assert!(!head.contains("transfer-encoding") && !head.contains("trailer:"), "{way} {target}: {answer}");
                let stays = lines.contains("keep-alive") && target == "/hinted";
                assert!(stays || head.contains("connection: close"), "{way} {target} {lines:?}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_site_says_of_its_own_connection_stays_there() {
    let lines = "Connection: X-Hop\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Hop: 1\r\nX-Kept: 2\r\n\
                 Connection: keep-alive, x-other\r\nX-Other: 3\r\nUpgrade: h2c\r\nTE: trailers\r\nProxy-Authenticate: Basic\r\n";
    let kept = |answer: &str, way: &str| {
        let head = answer.split("\r\n\r\n").next().expect("a head").to_lowercase();
        for name in ["keep-alive:", "proxy-connection:", "x-hop:", "x-other:", "te:", "proxy-authenticate:"] {
            assert!(!head.lines().any(|line| line.starts_with(name)), "{way}: {answer}");
        }
        assert!(head.contains("x-kept: 2"), "{way}: {answer}");
        assert!(head.lines().filter(|line| line.starts_with("connection:")).count() <= 1, "{way}: {answer}");
    };
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (way, wire) in Wire::both().await {
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok");
        wire.site.says("/hops", &[&answer]);
        wire.site.says("/refused", &[&answer]);
        kept(&wire.all(get("/hops", "")).await, way);
        kept(&wire.all(get("/hops", "").replace("1.1", "1.0")).await, way);
        kept(&wire.all(get("/refused", websocket)).await, way);
        let opened = lines
            .replace("Connection: X-Hop", "Connection: Upgrade, X-Hop")
            .replace("Upgrade: h2c", "Upgrade: websocket");
        let opened = format!(
            "HTTP/1.1 101 Switching Protocols\r\n{opened}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        wire.site.plays("/opened", Script { pieces: vec![opened.into_bytes()], closes: true, ..Script::default() });
        let answer = wire.all(get("/opened", websocket)).await;
        assert_eq!(statuses(&answer), [101], "{way}: {answer}");
        kept(&answer, way);
    }
}

#[tokio::test]
async fn every_connection_line_of_a_request_counts() {
    for (way, wire) in Wire::both().await {
        for lines in [
            "Connection: keep-alive\r\nConnection: close\r\n",
            "Connection: close\r\nConnection: keep-alive\r\n",
            "Connection: x-a\r\nConnection: Close, x-b\r\n",
        ] {
            let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
            let request = get("/lines", &format!("{lines}X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"));
            stream.write_all(request.as_bytes()).await.expect("it is sent");
            let answer = super::rest(&mut stream).await;
            assert!(
                answer.to_lowercase().split("\r\n\r\n").next().expect("a head").contains("connection: close"),
                "{way} {lines:?}: {answer}"
            );
        }
        for one in wire.site.received().into_iter().filter(|one| one.target() == "/lines").skip(2) {
            assert!(!one.has("x-a") && !one.has("x-b") && one.has("x-c"), "{way}: {}", one.head);
        }
    }
}

#[tokio::test]
async fn connect_is_answered_alike() {
    let mut answers = Vec::new();
    for (way, wire) in Wire::both().await {
        for lines in ["", "Keep-Alive: 1\r\n", "Content-Length: 3\r\n"] {
            for target in ["site.test:443", "/premium/x", "*"] {
                let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
                let request = format!("CONNECT {target} HTTP/1.1\r\nHost: site.test:443\r\n{lines}\r\nabc");
                stream.write_all(request.as_bytes()).await.expect("it is sent");
                let mut answer = Vec::new();
                while !String::from_utf8_lossy(&answer).contains('}') {
                    assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "{way} {target}: {answer:?}");
                }
                let answer = String::from_utf8_lossy(&answer).into_owned();
                assert!(
                    statuses(&answer)[0] == 405 && answer.contains("method_not_allowed"),
                    "{way} {target}: {answer}"
                );
                answers.push((format!("{target} {lines}"), answer.split("\r\n\r\n").nth(1).map(str::to_owned)));
            }
        }
        assert!(wire.site.received().is_empty(), "{way}");
    }
    let (short, long) = answers.split_at(answers.len() / 2);
    assert_eq!(short, long);
}
