//! A plain request is carried in another way than all others ([`crate::exchange`]): nobody may notice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::world::{Billing, Client, free, header, read_head, settings, start, token};
use crate::Settings;
use crate::forwarded::TrustedProxies;

/// What keeps a request from being plain, and means nothing.
const LONG_WAY: &str = "Keep-Alive: timeout=9\r\n";

/// What a server says to a request for `/N`, and whether it closes then.
const ANSWERS: [(&str, bool); 24] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
    ("HTTP/1.1 200 Fine\r\nX-Odd-CASE: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true),
    ("HTTP/1.0 200 OK\r\n\r\nuntil the end", true),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", true),
    ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n", false),
    ("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnone", true),
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    // More than was announced, and less.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nab", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true),
    // What cannot be believed.
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", false),
    ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true),
    ("nonsense\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nContent-Le", true),
    ("", true),
];

/// Long enough to come in many pieces.
const LARGE: usize = 3_000_000;

/// A server that answers as it is asked, and tells of clients that leave while it thinks.
fn site() -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (left, has_left) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, left) = (stream.expect("a connection"), left.clone());
            thread::spawn(move || {
                while let Some(head) = read_head(&mut stream) {
                    let target = head.split(' ').nth(1).unwrap_or_default();
                    let (answer, closes) = match (target, target[1..].parse::<usize>()) {
                        ("/think", _) => {
                            assert_eq!(stream.read(&mut [0]).ok(), Some(0), "its client leaves");
                            left.send(()).expect("somebody waits");
                            return;
                        }
                        ("/large", _) => {
                            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                            (head + &"x".repeat(LARGE), false)
                        }
                        (_, Ok(index)) => (ANSWERS[index].0.to_owned(), ANSWERS[index].1),
                        _ => {
                            let length = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
                            let mut body = vec![0; length];
                            if stream.read_exact(&mut body).is_err() {
                                return;
                            }
                            let seen = head + &String::from_utf8_lossy(&body);
                            (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{seen}", seen.len()), false)
                        }
                    };
                    if stream.write_all(answer.as_bytes()).is_err() || closes {
                        return;
                    }
                }
            });
        }
    });
    (address, has_left)
}

/// A gate before such a server, for as long as the tests run.
fn gate() -> SocketAddr {
    static GATE: OnceLock<SocketAddr> = OnceLock::new();
    *GATE.get_or_init(|| gate_of(site().0, &[]))
}

/// One for which the account `payer` has paid.
fn gate_of(site: SocketAddr, trusted: &[&str]) -> SocketAddr {
    let (address, billing) = (free(), Arc::new(Billing::default()));
    billing.holds("payer", 1, "paid");
    let trusted_proxies = TrustedProxies::parse(trusted).expect("addresses");
    let (stop, _) = start(Settings { trusted_proxies, ..settings(address, vec![site], free()) }, billing);
    std::mem::forget(stop);
    address
}

/// All that a client can tell of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    heads: Vec<String>,
    body: Vec<u8>,
    /// Whether the body ended as its head had said.
    is_whole: bool,
    stays_open: bool,
}

fn see(method: &str, target: &str, lines: &str) -> Seen {
    see_at(gate(), method, target, lines)
}

fn see_at(gate: SocketAddr, method: &str, target: &str, lines: &str) -> Seen {
    let mut stream = TcpStream::connect(gate).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let request = format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut heads = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream) else {
            return Seen { heads, body: Vec::new(), is_whole: false, stays_open: false };
        };
        let is_last = !head.starts_with("HTTP/1.1 1");
        // Everything but the time.
        heads
            .push(head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n"));
        if is_last {
            break;
        }
    }
    let head = heads.last().expect("a head");
    let has_none = method == "HEAD" || head.starts_with("HTTP/1.1 204") || head.starts_with("HTTP/1.1 304");
    let (body, is_whole) = match (header(head, "transfer-encoding"), header(head, "content-length")) {
        _ if has_none => (Vec::new(), true),
        (Some(_), _) => chunks(&mut stream),
        (None, length) => piece(&mut stream, length.and_then(|length| length.parse().ok()).unwrap_or(0)),
    };
    let again = stream.write_all(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
    let stays_open = again.is_ok() && read_head(&mut stream).is_some_and(|head| head.starts_with("HTTP/1.1 200"));
    Seen { heads, body, is_whole, stays_open }
}

fn piece(stream: &mut TcpStream, length: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    let is_read = stream.take(length as u64).read_to_end(&mut body).is_ok();
    let is_whole = is_read && body.len() == length;
    (body, is_whole)
}

fn chunks(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            if stream.read_exact(&mut byte).is_err() {
                return (body, false);
            }
            line.push(byte[0]);
        }
        let line = String::from_utf8_lossy(&line);
        let length = usize::from_str_radix(line.trim(), 16).expect("a length");
        let (data, is_whole) = piece(stream, length + 2);
        body.extend(data.get(..length).unwrap_or(&data));
        if !is_whole || length == 0 {
            return (body, is_whole);
        }
    }
}

#[test]
fn whatever_a_server_says_arrives_alike() {
    for method in ["GET", "HEAD"] {
        for (index, answer) in ANSWERS.iter().enumerate() {
            let target = format!("/{index}");
            let plain = see(method, &target, "");
            assert_eq!(plain, see(method, &target, LONG_WAY), "{method}: {answer:?}");
            assert_eq!(plain, see(method, &target, "Connection: keep-alive\r\n"), "{method}: {answer:?}");
        }
    }
    let large = see("GET", "/large", "");
    assert_eq!((large.body.len(), large.is_whole, large.stays_open), (LARGE, true, true));
}

#[test]
fn half_an_answer_is_never_taken_for_a_whole_one() {
    for (index, (answer, _)) in ANSWERS.iter().enumerate().skip(15).take(3) {
        let seen = see("GET", &format!("/{index}"), "");
        assert!(!seen.is_whole && !seen.stays_open, "{answer:?}: {seen:?}");
    }
    for (index, (answer, _)) in ANSWERS.iter().enumerate().skip(18).filter(|(index, _)| *index != 19) {
        let seen = see("GET", &format!("/{index}"), "");
        assert!(seen.heads[0].starts_with("HTTP/1.1 502"), "{answer:?}: {seen:?}");
    }
}

#[test]
fn the_site_gets_the_same_head() {
    let bearer = format!("Authorization: Bearer {}\r\n", token("payer"));
    let unknown = format!("Authorization: Bearer {}\r\n", token("nobody-knows"));
    let others = "Accept: */*\r\nCookie: a=b\r\nX-ODD: 1\r\nX-Odd: 2\r\nCookie: c=d\r\nX-Entitlement-Tier: root\r\n";
    let forwarded = "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Host: other.example\r\n\
                     X-Forwarded-Proto: https\r\nX-Forwarded-User: a\r\nX-Real-IP: 9.9.9.9\r\nForwarded: for=1.2.3.4\r\n";
    let own = [
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Connection: close",
        "Connection: x, y",
        "Upgrade: h2c",
        "Proxy-Connection: close",
        "Proxy-Authorization: Basic YQ==",
        "HTTP2-Settings: AAAA",
    ];
    for gate in [gate(), gate_of(site().0, &["127.0.0.1"])] {
        for (target, caller) in [("/seen?a=%20b", ""), ("/premium/seen", bearer.as_str()), ("/account", &unknown)] {
            let others = format!("{caller}{others}{forwarded}");
            let seen = |lines: &str| {
                let body = String::from_utf8(see_at(gate, "GET", target, lines).body).expect("text");
                assert!(body.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{body}");
                let mut lines: Vec<_> = body.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            let plain = seen(&others);
            assert_eq!(plain, seen(&format!("{others}{LONG_WAY}")));
            assert_eq!(plain, seen(&format!("Connection: Keep-Alive\r\n{others}")));
            // What is of the client's connection stays there, whichever way the rest goes.
            for line in own {
                assert_eq!(plain, seen(&format!("{line}\r\n{others}")), "{line}");
            }
        }
    }
}

#[test]
fn a_head_may_come_in_pieces_or_be_long() {
    let request = "GET /seen HTTP/1.1\r\nHost: read.example\r\nAccept: */*\r\n\r\n";
    let whole = Client::new(gate()).ask("GET", "/seen", &["Accept: */*"]).body;
    for cut in [1, 3, 4, 12, 30, request.len() - 3, request.len() - 1] {
        let mut client = Client::new(gate());
        client.send(&request.as_bytes()[..cut]);
        // The rest is sent when the gate has read the first piece, or before: both must do.
        thread::yield_now();
        client.send(&request.as_bytes()[cut..]);
        assert_eq!(client.receive("GET").expect("an answer").body, whole, "cut at {cut}");
    }
    for length in [8_000, 9_000, 40_000] {
        let line = format!("X-Long: {}", "x".repeat(length));
        let mut client = Client::new(gate());
        for _ in 0..2 {
            let response = client.ask("GET", "/seen", &[&line]);
            assert_eq!((response.status, response.body.len() > length), (200, true), "{length}");
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
            let mut client = Client::new(gate());
            let whole = ask(&mut client, &[&format!("{line}{length}\r\n{body}")]);
            assert_eq!(whole.0, body, "{method}");
            assert_eq!(whole, ask(&mut client, &[&format!("{line}{length}{LONG_WAY}\r\n{body}")]), "{method}");
            assert_eq!(whole, ask(&mut client, &[&format!("{line}{length}\r\n"), body]), "{method}");
            let (first, rest) = body.split_at(body.len() / 2);
            assert_eq!(whole, ask(&mut client, &[&format!("{line}{length}\r\n{first}"), rest]), "{method}");
            assert_eq!(whole, ask(&mut client, &[&format!("{line}Connection: keep-alive\r\n{length}\r\n{body}")]));
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
            let [plain, long] = ["", LONG_WAY].map(|marker| {
                let mut client = Client::new(gate());
                let head = format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n{marker}");
                client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
                client.receive(method).map(|answer| (answer.status, answer.body.to_lowercase()))
            });
            assert_eq!(plain, long, "{method} {target}");
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
        let [plain, long] = ["", LONG_WAY].map(|marker| {
            let mut client = Client::new(gate());
            let head = format!("POST /seen HTTP/1.1\r\nHost: read.example\r\n{marker}{length}\r\n\r\n");
            client.send(format!("{head}abc").as_bytes());
            let answer = client.receive("POST").map(|answer| (answer.status, answer.body.to_lowercase()));
            let again = client.try_send(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
            (answer, again && client.receive("GET").is_some())
        });
        assert!(plain.0.is_some(), "{length}");
        let is_clear = ["Content-Length: 03", "Content-Length: 2"].contains(&length) || length.contains("chunked");
        assert_eq!(plain.0.as_ref().is_some_and(|(status, _)| *status == 200), is_clear, "{length}");
        assert_eq!(plain, long, "{length}");
    }
}

#[test]
fn what_comes_behind_a_head_is_not_lost_and_not_taken_for_another_request() {
    // It ends as a head does.
    let body = "x\r\n\r\n";
    let mut client = Client::new(gate());
    for _ in 0..2 {
        let head = format!("GET /seen HTTP/1.1\r\nHost: read.example\r\nContent-Length: {}\r\n\r\n", body.len());
        client.send((head + body).as_bytes());
        assert!(client.receive("GET").expect("an answer").body.ends_with(body));
    }
    // A client that asks three times at once is answered three times, in order.
    for first in ["", LONG_WAY] {
        let mut client = Client::new(gate());
        let request = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n");
        client.send((request("/0", first) + &request("/2", "") + "\r\n" + &request("/0", first)).as_bytes());
        let bodies = [(); 3].map(|()| client.receive("GET").expect("an answer").body);
        assert_eq!(bodies, ["hello", "ok", "hello"], "{first:?}");
    }
}

#[test]
fn a_client_that_says_no_more_is_answered() {
    for lines in ["", LONG_WAY] {
        let mut client = Client::new(gate());
        client
            .send(format!("POST /seen HTTP/1.1\r\nHost: read.example\r\n{lines}Content-Length: 1\r\n\r\nx").as_bytes());
        client.say_no_more();
        assert!(client.receive("POST").expect("an answer").body.ends_with('x'), "{lines:?}");
        assert!(client.receive("GET").is_none(), "{lines:?}");
    }
}

#[test]
fn a_site_that_thinks_learns_that_its_client_has_left() {
    let (site, has_left) = site();
    let gate = gate_of(site, &[]);
    for lines in ["", LONG_WAY] {
        let mut client = Client::new(gate);
        // What is not read resets the connection when it is dropped.
        client.send(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
        client.waits();
        client.send(format!("GET /think HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n").as_bytes());
        drop(client);
        has_left.recv_timeout(Duration::from_secs(10)).expect("it learns it");
    }
}
