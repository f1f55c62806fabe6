//! What comes behind a request, or before it, or in pieces: nothing is lost, and what was executed is answered.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Script, Wire, get, ok, post, rest, statuses};

#[tokio::test]
async fn no_byte_is_lost_whatever_the_segments_of_a_head_are() {
    let head = "GET /seen HTTP/1.1\r\nHost: site.test\r\nX-One: 1\r\nX-Two: 2\r\n\r\n";
    for (way, wire) in Wire::both().await {
        let mut cases: Vec<Vec<String>> = vec![
            vec!["\r\n\r\n".into(), head.into()],
            vec!["\r\n".into(), "\r\n".into(), "\n".into(), head.into()],
            vec!["\r\n\r\n".into(), head[..40].into(), head[40..50].into(), head[50..].into()],
            vec![format!("\r\n\r\n{}", &head[..39]), head[39..51].into(), head[51..].into()],
            vec!["\r".into(), "\n".into(), "\r".into(), format!("\n{head}")],
            vec![head.replace("\r\n", "\n")],
            head.chars().map(String::from).collect(),
        ];
        cases.extend((1..head.len()).map(|cut| vec![format!("\r\n\r\n{}", &head[..cut]), head[cut..].into()]));
        for pieces in cases {
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let answer = wire.in_pieces(&pieces).await;
            assert_eq!(statuses(&answer), [200], "{way} {pieces:?}: {answer}");
            let seen = answer.to_lowercase();
            for line in ["\r\nhost: site.test\r\n", "\r\nx-one: 1\r\n", "\r\nx-two: 2\r\n"] {
                assert!(seen.contains(line), "{way} {pieces:?}: {answer}");
            }
        }
        assert_eq!(wire.site.received().iter().filter(|one| one.target() != "/seen").count(), 0, "{way}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_all_answered_in_order() {
    for (way, wire) in Wire::both().await {
        let paying = format!("{}\r\n", super::super::paying(&wire.world).await);
        for number in 0..6 {
            wire.site.says(&format!("/{number}"), &[&ok(&format!("[{number}]"))]);
            wire.site.says(&format!("/premium/{number}"), &[&ok(&format!("[p{number}]"))]);
        }
        let large = "y".repeat(20_000);
        let cases: [(Vec<String>, &[u16], &[&str]); 7] = [
            (vec![get("/0", ""), get("/1", ""), get("/2", "")], &[200, 200, 200], &["[0]", "[1]", "[2]"]),
            (
                vec![get("/0", "Keep-Alive: 1\r\n"), get("/1", ""), get("/2", "TE: trailers\r\n")],
                &[200, 200, 200],
                &["[0]", "[1]", "[2]"],
            ),
            (
                vec![post("/0", "a=b"), "\r\n".into(), get("/1", ""), post("/2", &large)],
                &[200, 200, 200],
                &["[0]", "[1]", "[2]"],
            ),
            // Each is gated by itself.
            (
                vec![get("/premium/0", &paying), get("/premium/1", ""), get("/premium/2", &paying)],
                &[200, 401, 200],
                &["[p0]", "[p2]"],
            ),
            (
                vec![get("/premium/1", ""), get("/0", ""), get("//", ""), get("/1", "")],
                &[401, 200, 400, 200],
                &["[0]", "[1]"],
            ),
            (
                vec![get("/0", "Connection: keep-alive\r\n"), get("/1", "Connection: close\r\n"), get("/2", "")],
                &[200, 200],
                &["[0]", "[1]"],
            ),
            (
                vec![
                    get("/0", "").replace("GET", "HEAD"),
                    "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".into(),
                    get("/2", ""),
                ],
                &[200, 200, 200],
                &["[1]", "[2]"],
            ),
        ];
        for (requests, expected, bodies) in cases {
            let answer = wire.all(requests.concat()).await;
            assert_eq!(statuses(&answer), expected, "{way} {requests:?}: {answer}");
            let mut from = 0;
            for body in bodies {
                from += answer[from..].find(body).unwrap_or_else(|| panic!("{way} {requests:?}: {body} in {answer}"));
            }
        }
    }
}

/// What a client may do while its POST is served, what is answered then, and whether the connection is over.
const MEANWHILE: [(&str, &[u16], bool); 6] = [
    ("\r\n", &[200], false),
    ("GET /next HTTP/1.1\r\nHost: site.test\r\n\r\n", &[200, 200], false),
    (
        "\r\nGET /next HTTP/1.1\r\nHost: site.test\r\n\r\n\r\nGET /next HTTP/1.1\r\nHost: site.test\r\n\r\n",
        &[200, 200, 200],
        false,
    ),
    ("GET /nex", &[200], false),
    // What cannot be a request ends the connection, and the answer says so.
    ("\0\0\0", &[200], true),
    ("{\"not\": \"http\"}", &[200], true),
];

#[tokio::test]
async fn what_was_executed_is_answered_whatever_the_client_does_meanwhile() {
    for (way, wire) in Wire::both().await {
        let slow = Script { pieces: vec![ok("done").into_bytes()], waits: true, ..Script::default() };
        for (number, (meanwhile, expected, is_over)) in MEANWHILE.iter().enumerate() {
            for half_closes in [false, true] {
                let target = format!("/slow/{number}/{half_closes}");
                wire.site.plays(&target, slow.clone());
                let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
                stream.write_all(post(&target, "a=b").as_bytes()).await.expect("it is sent");
                wire.site.gets(&target).await;
                stream.write_all(meanwhile.as_bytes()).await.expect("it is sent");
                if half_closes {
                    stream.shutdown().await.expect("it is open");
                }
                // Sent first, so that the gate has had every chance to read it: other requests pass meanwhile.
                for _ in 0..20 {
                    assert_eq!(statuses(&wire.all(get("/other", "")).await), [200], "{way}");
                }
                wire.site.go.add_permits(1);
                let mut answer = String::new();
                while statuses(&answer).is_empty() || !answer.contains("done") {
                    let mut bytes = Vec::new();
                    assert_ne!(
                        stream.read_buf(&mut bytes).await.expect("an answer"),
                        0,
                        "{way} {meanwhile:?}: {answer}"
                    );
                    answer += &String::from_utf8_lossy(&bytes);
                }
                let first = answer.to_lowercase();
                assert_eq!(
                    first.contains("connection: close"),
                    *is_over || half_closes && statuses_only(expected),
                    "{way} {meanwhile:?}: {answer}"
                );
                if !half_closes {
                    stream.shutdown().await.expect("it is open");
                }
                answer += &rest(&mut stream).await;
                assert_eq!(statuses(&answer), *expected, "{way} {meanwhile:?} {half_closes}: {answer}");
            }
        }
        assert!(
            wire.site
                .received()
                .iter()
                .all(|one| one.target().starts_with("/slow") || ["/other", "/next"].contains(&one.target())),
            "{way}"
        );
    }
}

/// Whether nothing more is to be answered.
fn statuses_only(expected: &[u16]) -> bool {
    expected.len() == 1
}

#[tokio::test]
async fn an_event_stream_still_ends_when_its_client_says_no_more() {
    for (way, wire) in Wire::both().await {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: welcome\n\n";
        wire.site.says("/events", &[head]);
        let answer = wire.all(get("/events", "")).await;
        assert!(statuses(&answer).first().is_none_or(|status| *status == 200), "{way}: {answer}");
        let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
        stream.write_all(get("/events", "").as_bytes()).await.expect("it is sent");
        let mut seen = Vec::new();
        while !seen.windows(7).any(|some| some == b"welcome") {
            assert_ne!(stream.read_buf(&mut seen).await.expect("an answer"), 0, "{way}");
        }
        stream.shutdown().await.expect("it is open");
        rest(&mut stream).await;
    }
}
