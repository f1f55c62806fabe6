//! Connections to the site are used again only where nothing can still come on them.

use super::{Script, Wire, get, ok, statuses};

/// What asks on the same connection next would get.
const HIDDEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHIDDEN";

#[tokio::test]
async fn no_answer_is_taken_for_that_of_another_request() {
    for (way, wire) in Wire::both().await {
        let no_content = |lines: &str| format!("HTTP/1.1 204 No Content\r\n{lines}\r\n");
        let cases: [(&str, &str, String); 7] = [
            ("GET", "204", no_content("Content-Length: 44\r\n")),
            ("GET", "204-chunked", no_content("Transfer-Encoding: chunked\r\n")),
            ("HEAD", "204-head", no_content("Content-Length: 44\r\n")),
            ("HEAD", "head", format!("HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n{HIDDEN}")),
            ("GET", "304", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n{HIDDEN}")),
            ("GET", "more", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{HIDDEN}")),
            (
                "GET",
                "closes",
                format!("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok{HIDDEN}"),
            ),
        ];
        for (method, name, answer) in cases {
            let target = format!("/{name}");
            wire.site.says(&target, &[&answer]);
            for _ in 0..3 {
                let first = wire.all(get(&target, "").replace("GET", method)).await;
                assert_eq!(statuses(&first).len(), 1, "{way} {name}: {first}");
                assert!(!first.contains("HIDDEN"), "{way} {name}: {first}");
                let next = wire.all(get("/next", "")).await;
                assert!(next.contains("GET /next") && !next.contains("HIDDEN"), "{way} {name}: {next}");
            }
            let received = wire.site.received();
            let after = received.iter().position(|one| one.target() == target).expect("it came");
            assert_ne!(received[after].connection, received[after + 1].connection, "{way} {name}");
        }
    }
}

#[tokio::test]
async fn a_204_with_a_length_is_the_last_on_its_connection_though_its_body_comes_later() {
    for (way, wire) in Wire::both().await {
        let head = b"HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n".to_vec();
        wire.site.plays("/late", Script { pieces: vec![head, HIDDEN.into()], waits: true, closes: false });
        wire.site.go.add_permits(1);
        assert_eq!(statuses(&wire.all(get("/late", "")).await), [204], "{way}");
        let late = wire.site.gets("/late").await;
        assert!(wire.all(get("/next", "")).await.contains("GET /next"), "{way}");
        assert_ne!(wire.site.gets("/next").await.connection, late.connection, "{way}");
    }
}

#[tokio::test]
async fn a_site_that_says_close_in_a_second_line_is_not_asked_again() {
    // Pingora's pool reads the first line alone, but finds out when the site closes.
    let wire = Wire::with(&[]).await;
    let closing = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    wire.site.says("/closing", &[closing]);
    wire.site.says("/staying", &[&ok("ok")]);
    for target in ["/closing", "/next", "/staying", "/last"] {
        assert_eq!(statuses(&wire.all(get(target, "")).await), [200]);
    }
    let connections: Vec<usize> = wire.site.received().iter().map(|one| one.connection).collect();
    assert!(connections[0] != connections[1] && connections[2] == connections[3], "{connections:?}");
}
