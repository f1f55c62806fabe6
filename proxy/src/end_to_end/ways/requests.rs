//! Requests of every shape, on both ways.

use std::thread;
use std::time::Duration;

use super::super::client::Client;
use super::{gate_of, gates, see_at, site, token};

#[test]
fn the_site_gets_the_same_head() {
    let bearer = format!("Authorization: Bearer {}\r\n", token("payer"));
    let unknown = format!("Authorization: Bearer {}\r\n", token("nobody-knows"));
    let others = "Accept: */*\r\nCookie: a=b\r\nX-ODD: 1\r\nX-Odd: 2\r\nCookie: c=d\r\nX-Entitlement-Tier: root\r\n";
    let forwarded = "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Host: other.example\r\n\
                     X-Forwarded-Proto: https\r\nX-Forwarded-User: a\r\nX-Real-IP: 9.9.9.9\r\nForwarded: for=1.2.3.4\r\n";
    let own = [
        "",
        "Connection: Keep-Alive\r\n",
        "Keep-Alive: timeout=5\r\n",
        "TE: trailers\r\n",
        "Trailer: x\r\n",
        "Connection: close\r\n",
        "Connection: x, y\r\n",
        "Connection: x\r\nConnection: te, y\r\n",
        "Upgrade: h2c\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
        "Proxy-Connection: close\r\n",
        "Proxy-Authorization: Basic YQ==\r\n",
        "Proxy-Authenticate: Basic\r\n",
        "HTTP2-Settings: AAAA\r\n",
        "Content_Length: 7\r\nTransfer_Encoding: chunked\r\n",
    ];
    for trusted in [&[][..], &["127.0.0.1"]] {
        let gates = [true, false].map(|fast_path| gate_of(site().0, trusted, fast_path));
        for (target, caller) in [("/seen?a=%20b", ""), ("/premium/seen", bearer.as_str()), ("/account", &unknown)] {
            let others = format!("{caller}{others}{forwarded}");
            let seen = |gate, lines: &str| {
                let body = String::from_utf8(see_at(gate, "GET", target, lines).body).expect("text");
                assert!(body.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{body}");
                // An assertion is made anew each second.
                let unsigned =
                    |line: &str| line.starts_with("x-entitlement-assertion:").then_some("an assertion".to_owned());
                let mut lines: Vec<_> =
                    body.lines().map(|line| unsigned(line).unwrap_or_else(|| line.to_owned())).collect();
                lines.sort();
                lines
            };
            let plain = seen(gates[0], &others);
            for gate in gates {
                // What is of the client's connection stays there, whichever way the rest goes.
                for line in own {
                    assert_eq!(plain, seen(gate, &format!("{line}{others}")), "{line}");
                }
            }
        }
    }
}

#[test]
fn a_head_may_come_in_pieces_or_be_long() {
    let request = "GET /seen HTTP/1.1\r\nHost: read.example\r\nAccept: */*\r\n\r\n";
    for gate in gates() {
        let whole = Client::new(gate).ask("GET", "/seen", &["Accept: */*"]).body;
        for cut in 1..request.len() {
            let mut client = Client::new(gate);
            client.send(&request.as_bytes()[..cut]);
            // The rest is sent when the gate has read the first piece, or before: both must do.
            thread::yield_now();
            client.send(&request.as_bytes()[cut..]);
            assert_eq!(client.receive("GET").expect("an answer").body, whole, "cut at {cut}");
        }
        for length in [8_000, 9_000, 40_000] {
            let line = format!("X-Long: {}", "x".repeat(length));
            let mut client = Client::new(gate);
            for _ in 0..2 {
                let response = client.ask("GET", "/seen", &[&line]);
                assert_eq!((response.status, response.body.len() > length), (200, true), "{length}");
            }
        }
    }
}

#[test]
fn a_body_arrives_as_it_was_sent() {
    let ask = |client: &mut Client, pieces: &[&str]| {
        for piece in pieces {
            client.send(piece.as_bytes());
            thread::yield_now();
        }
        let seen = client.receive("POST").expect("an answer").body;
        let mut lines: Vec<_> = seen.lines().map(str::to_lowercase).collect();
        lines.sort();
        (seen.split_once("\r\n\r\n").expect("a body").1.to_owned(), lines)
    };
    let large = "y".repeat(20_000);
    let bodies = ["", "a=b", "{}\r\n\r\n", "GET /0 HTTP/1.1\r\nHost: x\r\n\r\n", &large];
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"] {
        for body in bodies {
            let line = format!("{method} /seen HTTP/1.1\r\nHost: read.example\r\n");
            let length = format!("Content-Length: {}\r\n", body.len());
            let (first, rest) = body.split_at(body.len() / 2);
            let all = gates().map(|gate| {
                let mut client = Client::new(gate);
                let whole = ask(&mut client, &[&format!("{line}{length}\r\n{body}")]);
                assert_eq!(whole.0, body, "{method}");
                assert_eq!(whole, ask(&mut client, &[&format!("{line}{length}\r\n"), body]), "{method}");
                assert_eq!(whole, ask(&mut client, &[&format!("{line}{length}\r\n{first}"), rest]), "{method}");
                assert_eq!(whole, ask(&mut client, &[&format!("{line}Connection: keep-alive\r\n{length}\r\n{body}")]));
                whole
            });
            assert_eq!(all[0], all[1], "{method}");
        }
    }
}

#[test]
fn a_target_that_is_odd_is_read_alike() {
    for target in
        ["/a\"b", "/a<b>|c", "/a b c", "/\u{e4}", "/a\u{7f}b", "/a\tb", "/%", "http://read.example/a", "*", "a", ""]
    {
        for (method, body) in [("GET", ""), ("POST", "abc"), ("POST", "a long body, longer than what escapes may add")]
        {
            let [short, long] = gates().map(|gate| {
                let mut client = Client::new(gate);
                let head = format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n");
                client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
                client.receive(method).map(|answer| (answer.status, answer.body.to_lowercase()))
            });
            assert_eq!(short, long, "{method} {target}");
        }
    }
}

#[test]
fn a_length_that_is_odd_is_read_alike() {
    let lengths = [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: 03",
        "Content-Length: +3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 2",
    ];
    for length in lengths {
        let [short, long] = gates().map(|gate| {
            let mut client = Client::new(gate);
            let head = format!("POST /seen HTTP/1.1\r\nHost: read.example\r\n{length}\r\n\r\n");
            // Chunks are awaited to their end.
            let body = if length.contains("chunked") { "0\r\n\r\n" } else { "abc" };
            client.send(format!("{head}{body}").as_bytes());
            let answer = client.receive("POST").map(|answer| (answer.status, answer.body.to_lowercase()));
            let again = client.try_send(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
            (answer, again && client.receive("GET").is_some())
        });
        assert!(short.0.is_some(), "{length}");
        let is_clear = ["Content-Length: 03", "Content-Length: 2"].contains(&length) || length.contains("chunked");
        assert_eq!(short.0.as_ref().is_some_and(|(status, _)| *status == 200), is_clear, "{length}");
        assert_eq!(short, long, "{length}");
    }
}

#[test]
fn what_comes_behind_a_head_is_not_lost_and_not_taken_for_another_request() {
    // It ends as a head does.
    let body = "x\r\n\r\n";
    for gate in gates() {
        let mut client = Client::new(gate);
        for _ in 0..2 {
            let head = format!("GET /seen HTTP/1.1\r\nHost: read.example\r\nContent-Length: {}\r\n\r\n", body.len());
            client.send((head + body).as_bytes());
            assert!(client.receive("GET").expect("an answer").body.ends_with(body));
        }
        // A client that asks three times at once is answered three times, in order.
        let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: read.example\r\n\r\n");
        client.send((request("/0") + &request("/2") + "\r\n" + &request("/0")).as_bytes());
        let bodies = [(); 3].map(|()| client.receive("GET").expect("an answer").body);
        assert_eq!(bodies, ["hello", "ok", "hello"]);
    }
}

#[test]
fn a_client_that_says_no_more_is_answered() {
    for gate in gates() {
        let mut client = Client::new(gate);
        client.send(b"POST /seen HTTP/1.1\r\nHost: read.example\r\nContent-Length: 1\r\n\r\nx");
        client.say_no_more();
        assert!(client.receive("POST").expect("an answer").body.ends_with('x'));
        assert!(client.receive("GET").is_none());
    }
}

#[test]
fn a_site_that_thinks_learns_that_its_client_has_left() {
    for fast_path in [true, false] {
        let (site, has_left) = site();
        let mut client = Client::new(gate_of(site, &[], fast_path));
        // What is not read resets the connection when it is dropped.
        client.send(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
        client.waits();
        client.send(b"GET /think HTTP/1.1\r\nHost: read.example\r\n\r\n");
        drop(client);
        has_left.recv_timeout(Duration::from_secs(10)).expect("it learns it");
    }
}
