//! Connections to the site are used again only where nothing can still come on them.

use super::{Script, Wire, get, ok, post, statuses};

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
        wire.site.plays("/late", Script { pieces: vec![head, HIDDEN.into()], waits: true, ..Script::default() });
        wire.site.go.add_permits(1);
        assert_eq!(statuses(&wire.all(get("/late", "")).await), [204], "{way}");
        let late = wire.site.gets("/late").await;
        assert!(wire.all(get("/next", "")).await.contains("GET /next"), "{way}");
        assert_ne!(wire.site.gets("/next").await.connection, late.connection, "{way}");
    }
}

#[tokio::test]
async fn a_site_that_says_close_in_any_line_is_not_asked_again() {
    for (way, wire) in Wire::both_with(&[("proxy.idle", "\"1m\"")]).await {
        let says = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok");
        let closing = [
            "Connection: keep-alive\r\nConnection: close\r\n",
            "Connection: close\r\nConnection: keep-alive\r\n",
            "Connection: x\r\nConnection: keep-alive, Close\r\nX: 1\r\n",
        ];
        wire.site.says("/staying", &[&says("Connection: keep-alive\r\nConnection: x\r\n")]);
        for (number, lines) in closing.iter().enumerate() {
            let targets =
                [format!("/closing-{number}"), format!("/next-{number}"), "/staying".into(), format!("/last-{number}")];
            wire.site.says(&targets[0], &[&says(lines)]);
            let before = wire.site.received().len();
            for target in &targets {
                // The client's own connection stays, and is told of once.
                let answer = wire.all(get(target, "") + get("/again", "").as_str()).await;
                assert_eq!(statuses(&answer), [200, 200], "{way} {lines:?}: {answer}");
                let heads = answer.to_lowercase();
                assert!(heads.matches("\r\nconnection:").count() <= 2 && !heads.contains("\r\nx:"), "{way}: {answer}");
            }
            let connections: Vec<usize> = wire.site.received()[before..].iter().map(|one| one.connection).collect();
            assert_ne!(connections[0], connections[1], "{way} {lines:?}: {connections:?}");
            assert!(connections[1..].iter().all(|one| *one == connections[1]), "{way} {lines:?}: {connections:?}");
        }
    }
}

#[tokio::test]
async fn a_site_that_has_said_anything_is_not_asked_again() {
    let said: [&[&str]; 4] = [
        &["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"],
        &["HTTP/1.1 100 Continue\r\n\r\n"],
        &["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 20"],
        &["HTTP/1.1 200 O"],
    ];
    for (way, wire) in Wire::both().await {
        for method in ["GET", "PUT", "DELETE", "POST"] {
            for (number, pieces) in said.iter().enumerate() {
                // On a connection that was used before.
                assert_eq!(statuses(&wire.all(get("/before", "")).await), [200], "{way}");
                let target = format!("/{method}-{number}");
                let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
                wire.site.plays(&target, Script { pieces, closes: true, ..Script::default() });
                let answer = wire.all(post(&target, "a=b").replace("POST", method)).await;
                assert_eq!(statuses(&answer).last(), Some(&502), "{way} {target}: {answer}");
                let times = wire.site.received().iter().filter(|one| one.target() == target).count();
                assert_eq!(times, 1, "{way} {target}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_site_had_closed_costs_a_request_one_more_try() {
    for (way, wire) in Wire::both().await {
        for (number, method) in ["GET", "POST", "PUT", "DELETE"].iter().enumerate() {
            wire.site
                .plays("/last", Script { pieces: vec![ok("last").into_bytes()], closes: true, ..Script::default() });
            for round in 0..5 {
                let last = wire.all(get("/last", "")).await;
                assert_eq!(statuses(&last), [200], "{way}: {last}");
                let target = format!("/{number}-{round}");
                let answer = wire.all(post(&target, "a=b").replace("POST", method)).await;
                assert_eq!(statuses(&answer), [200], "{way} {method}: {answer}");
                let times = wire.site.received().iter().filter(|one| one.target() == target).count();
                assert_eq!(times, 1, "{way} {method}");
            }
        }
    }
}
