//! A plain request is carried on a way of its own ([`crate::exchange`]), on which nothing may come out differently than by
//! Pingora's proxying.

mod requests;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::client::{header, read_head};
use super::world::{Billing, free, settings, start, token};
use crate::Settings;
use crate::forwarded::TrustedProxies;

/// What a server says to a request for `/N`, and whether it closes then.
const ANSWERS: [(&str, bool); 48] = [
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
    // More than one head.
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    (
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        false,
    ),
    (
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nCache-Control: public, s-maxage=60\r\nContent-Length: 2\r\n\r\nok",
        false,
    ),
    ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end", true),
    ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nSurrogate-Control: max-age=9\r\n\r\n", false),
    // What a site says of its own connection, and of caches.
    ("HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok", false),
    (
        "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x\r\nX: 1\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        true,
    ),
    ("HTTP/1.1 200 OK\r\nCDN-Cache-Control: public\r\nVary: Accept\r\nContent-Length: 5, 5\r\n\r\nhello", false),
    (
        "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        false,
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil the end", true),
    // Where there is no body, nothing is said of one; and what an old server says is said in the gate's words.
    ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", true),
    ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
    (
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
    ),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold", false),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", false),
    // More than was announced, and less.
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nab", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true),
    // What cannot be believed.
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", false),
    ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nbehind it", false),
    ("HTTP/3 200 OK\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nno header\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true),
    ("nonsense\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nContent-Le", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
    ("", true),
];

/// Where answers begin that are cut off, and where those that are none.
const CUT: usize = 32;
const NO_ANSWER: usize = 35;

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
                    let (answer, closes) = match (target, target.trim_start_matches("/premium")[1..].parse::<usize>()) {
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
                            if header(&head, "transfer-encoding").is_some() {
                                let mut byte = [0];
                                while !body.ends_with(b"0\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                                    body.extend(byte);
                                }
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

/// Two gates before such servers, for as long as the tests run: on the short way, and by Pingora's proxying alone.
fn gates() -> [SocketAddr; 2] {
    static GATES: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *GATES.get_or_init(|| [true, false].map(|fast_path| gate_of(site().0, &[], fast_path)))
}

/// A gate for which the account `payer` has paid.
fn gate_of(site: SocketAddr, trusted: &[&str], fast_path: bool) -> SocketAddr {
    let (address, billing) = (free(), Arc::new(Billing::default()));
    billing.holds("payer", 1, "paid");
    let trusted_proxies = TrustedProxies::parse(trusted).expect("addresses");
    let (stop, _) = start(Settings { trusted_proxies, fast_path, ..settings(address, vec![site], free()) }, billing);
    std::mem::forget(stop);
    address
}

/// All that a client can tell of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    heads: Vec<String>,
    body: Vec<u8>,
    trailers: Vec<u8>,
    /// Whether the body ended as its head had said.
    is_whole: bool,
    stays_open: bool,
}

fn see_at(gate: SocketAddr, method: &str, target: &str, lines: &str) -> Seen {
    let mut stream = TcpStream::connect(gate).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let request = format!("{method} {target} HTTP/1.1\r\nHost: read.example\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut heads = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream) else {
            return Seen { heads, body: Vec::new(), trailers: Vec::new(), is_whole: false, stays_open: false };
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
    let mut trailers = Vec::new();
    let (body, is_whole) = match (header(head, "transfer-encoding"), header(head, "content-length")) {
        _ if has_none => (Vec::new(), true),
        (Some(_), _) => chunks(&mut stream, &mut trailers),
        (None, length) => piece(&mut stream, length.and_then(|length| length.parse().ok()).unwrap_or(0)),
    };
    let again = stream.write_all(b"GET /0 HTTP/1.1\r\nHost: read.example\r\n\r\n");
    let stays_open = again.is_ok() && read_head(&mut stream).is_some_and(|head| head.starts_with("HTTP/1.1 200"));
    Seen { heads, body, trailers, is_whole, stays_open }
}

fn piece(stream: &mut TcpStream, length: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    let is_read = stream.take(length as u64).read_to_end(&mut body).is_ok();
    let is_whole = is_read && body.len() == length;
    (body, is_whole)
}

fn chunks(stream: &mut TcpStream, trailers: &mut Vec<u8>) -> (Vec<u8>, bool) {
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
        if length == 0 {
            return (body, read_trailers(stream, trailers));
        }
        let (data, is_whole) = piece(stream, length + 2);
        body.extend(data.get(..length).unwrap_or(&data));
        if !is_whole {
            return (body, false);
        }
    }
}

/// Whether trailers have come to their end.
fn read_trailers(stream: &mut TcpStream, trailers: &mut Vec<u8>) -> bool {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        if stream.read_exact(&mut byte).is_err() {
            return false;
        }
        line.push(byte[0]);
        if line == b"\r\n" {
            return true;
        }
        if line.ends_with(b"\r\n") {
            trailers.append(&mut line);
        }
    }
}

#[test]
fn whatever_a_server_says_arrives_alike_on_gated_and_public_paths() {
    let bearer = format!("Authorization: Bearer {}\r\n", token("payer"));
    let [short, long] = gates();
    for method in ["GET", "HEAD", "POST"] {
        for (index, (answer, _)) in ANSWERS.iter().enumerate() {
            for target in [format!("/{index}"), format!("/premium/{index}")] {
                let seen = see_at(short, method, &target, &bearer);
                assert_eq!(seen, see_at(long, method, &target, &bearer), "{method} {target}: {answer:?}");
                let line = format!("{bearer}Connection: keep-alive\r\nTE: trailers\r\n");
                assert_eq!(seen, see_at(short, method, &target, &line), "{method} {target}: {answer:?}");
                if target.starts_with("/premium") && index < NO_ANSWER {
                    let head = seen.heads.last().expect("a head").to_lowercase();
                    let is_private = head.contains("cache-control: private") || head.contains("no-store");
                    assert!(is_private && !head.contains("public"), "{method} {target}: {head}");
                }
            }
        }
    }
    for gate in [short, long] {
        let large = see_at(gate, "GET", "/large", "");
        assert_eq!((large.body.len(), large.is_whole, large.stays_open), (LARGE, true, true));
    }
}

#[test]
fn half_an_answer_is_never_taken_for_a_whole_one() {
    for gate in gates() {
        for (index, (answer, _)) in ANSWERS.iter().enumerate().take(NO_ANSWER).skip(CUT) {
            let seen = see_at(gate, "GET", &format!("/{index}"), "");
            assert!(!seen.is_whole && !seen.stays_open, "{answer:?}: {seen:?}");
        }
        for (index, (answer, _)) in
            ANSWERS.iter().enumerate().skip(NO_ANSWER).filter(|(index, _)| *index != NO_ANSWER + 1)
        {
            let seen = see_at(gate, "GET", &format!("/{index}"), "");
            assert!(seen.heads[0].starts_with("HTTP/1.1 502"), "{answer:?}: {seen:?}");
        }
    }
}
