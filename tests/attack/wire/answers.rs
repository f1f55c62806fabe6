//! Answers, as clients of every kind get them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Script, Wire, get, ok, post, statuses};

const TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Server-Timing\r\n\r\n\
                        3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nServer-Timing: db;dur=1\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n";

#[tokio::test]
async fn trailers_of_an_answer_pass() {
    for (way, wire) in Wire::both().await {
        let paying = format!("{}\r\n", super::super::paying(&wire.world).await);
        for pieces in [
            vec![TRAILERS],
            vec![&TRAILERS[..90], &TRAILERS[90..130], &TRAILERS[130..]],
            TRAILERS.split_inclusive('\n').collect(),
        ] {
            for target in ["/trailers", "/premium/trailers"] {
                wire.site.says(target, &pieces);
                for lines in ["", "TE: trailers\r\nConnection: TE\r\n", "Expect: 100-continue\r\n", "X-Long: y\r\n"] {
                    let requests = get(target, &format!("{paying}{lines}")) + get("/next", "").as_str();
                    let answer = wire.all(requests).await;
                    assert_eq!(statuses(&answer), [200, 200], "{way} {lines:?}: {answer}");
                    let (first, _) = answer
                        .split_once("HTTP/1.1 200 OK\r\n")
                        .and_then(|(_, rest)| rest.split_once("HTTP/1.1 200"))
                        .expect("two");
                    assert!(
                        first.ends_with("0\r\nX-Sum: 5\r\nServer-Timing: db;dur=1\r\n\r\n"),
                        "{way} {lines:?}: {first}"
                    );
                    assert!(first.to_lowercase().contains("trailer: x-sum, server-timing\r\n"), "{way}: {first}");
                }
            }
        }
        // Behind a long body, which goes the long way, too, and behind none.
        wire.site.says("/empty", &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 0\r\n\r\n"]);
        for target in ["/trailers", "/empty"] {
            let answer = wire.all(post(target, &"y".repeat(100_000))).await;
            assert!(answer.contains("0\r\nX-Sum: "), "{way} {target}: {answer}");
        }
        for bad in ["X y\r\n", "X: \0\r\n"] {
            let answer = TRAILERS.replace("X-Sum: 5\r\n", bad);
            wire.site.says("/bad", &[&answer]);
            let answer = wire.all(get("/bad", "") + get("/next", "").as_str()).await;
            assert!(!answer.contains("0\r\n\r\n") && !answer.contains("GET /next"), "{way} {bad:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn where_there_is_no_body_nothing_is_said_of_one() {
    let said = [
        "",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: x\r\n",
    ];
    for (way, wire) in Wire::both().await {
        for (number, lines) in said.iter().enumerate() {
            let none = format!("/none-{number}");
            wire.site.says(&none, &[&format!("HTTP/1.1 204 No Content\r\n{lines}X-A: 1\r\n\r\n")]);
            let hinted = format!("/hinted-{number}");
            let hint = format!("HTTP/1.1 103 Early Hints\r\n{lines}X-A: 1\r\n\r\n");
            wire.site.says(&hinted, &[&hint, &format!("HTTP/1.1 100 Continue\r\n{lines}\r\n{}", ok("page"))]);
            let requests = [&none, &hinted, &none].map(|target| get(target, "")).concat() + get("/next", "").as_str();
            let answer = wire.all(requests).await;
            assert_eq!(statuses(&answer), [204, 103, 100, 200, 204, 200], "{way} {lines:?}: {answer}");
            for head in answer.split("HTTP/1.1 ").filter(|head| head.starts_with("204") || head.starts_with('1')) {
                let head = head.split("\r\n\r\n").next().expect("a head").to_lowercase();
                assert!(
                    !head.contains("content-length") && !head.contains("transfer-encoding"),
                    "{way} {lines:?}: {head}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_an_old_site_says_is_said_in_the_gates_own_version() {
    for (way, wire) in Wire::both().await {
        let closing = |head: &str| Script { pieces: vec![head.into()], closes: true, ..Script::default() };
        wire.site.plays("/length", closing("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage"));
        wire.site.plays("/open", closing("HTTP/1.0 200 OK\r\n\r\npage"));
        wire.site
            .plays("/chunks", closing("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n"));
        wire.site.says("/kept", &["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\npage"]);
        for target in ["/length", "/open", "/chunks", "/kept"] {
            let answer = wire.all(get(target, "") + get("/next", "").as_str()).await;
            assert_eq!(statuses(&answer), [200, 200], "{way} {target}: {answer}");
            assert!(!answer.contains("HTTP/1.0 2") && answer.contains("page"), "{way} {target}: {answer}");
        }
        wire.site.plays("/cut", closing("HTTP/1.0 200 OK\r\nContent-Length: 40\r\n\r\npage"));
        let answer = wire.all(get("/cut", "") + get("/next", "").as_str()).await;
        assert!(!answer.contains("GET /next"), "{way}: {answer}");
    }
}

#[tokio::test]
async fn a_framing_that_can_be_read_in_two_ways_is_no_answer() {
    let chunks = "2\r\nok\r\n0\r\n\r\n";
    let cases = [
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks),
        ("Transfer-Encoding: chunked, chunked\r\n", chunks),
        ("Transfer-Encoding: gzip, chunked\r\n", chunks),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", chunks),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", chunks),
        ("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "ok"),
        ("Transfer-Encoding: xchunked\r\n", chunks),
        ("Transfer-Encoding:\r\nContent-Length: 2\r\n", "ok"),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "ok"),
        ("Content-Length: 2,3\r\n", "ok"),
        ("Content-Length: 0x2\r\n", "ok"),
        ("Content-Length: +2\r\n", "ok"),
        ("X: a\0b\r\nContent-Length: 2\r\n", "ok"),
        ("X: a\rb\r\nContent-Length: 2\r\n", "ok"),
        (" X: folded\r\nContent-Length: 2\r\n", "ok"),
    ];
    for (way, wire) in Wire::both().await {
        for (number, (lines, body)) in cases.iter().enumerate() {
            let target = format!("/case-{number}");
            wire.site.says(&target, &[&format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}HTTP/1.1 200 OK\r\n\r\nHIDDEN")]);
            let answer = wire.all(get(&target, "")).await;
            assert_eq!(statuses(&answer), [502], "{way} {lines:?}: {answer}");
            let next = wire.all(get("/next", "")).await;
            assert!(next.contains("GET /next") && !next.contains("HIDDEN"), "{way} {lines:?}: {next}");
        }
        let folded = "HTTP/1.1 200 OK\r\nX-Folded: a\r\n\tb\r\n c\r\nContent-Length: 2\r\n\r\nok";
        wire.site.says("/folded", &[folded]);
        let answer = wire.all(get("/folded", "")).await;
        let line = answer.lines().find(|line| line.to_lowercase().starts_with("x-folded:")).expect("the line");
        assert_eq!(line.split_whitespace().skip(1).collect::<Vec<_>>(), ["a", "b", "c"], "{way}: {answer}");
        let many = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200);
        wire.site.says("/many", &[&format!("{many}{}", ok("page"))]);
        assert_eq!(statuses(&wire.all(get("/many", "")).await).last(), Some(&502), "{way}");
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(2 * 1024 * 1024));
        wire.site.says("/long", &[&long]);
        assert_eq!(statuses(&wire.all(get("/long", "")).await), [502], "{way}");
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
