//! Requests hidden in requests: whatever a body claims to be, the site receives one request, or none.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::http::raw;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World};

/// What an attacker hides behind a request: the site must never see it.
const HIDDEN: &str = "GET /premium/smuggled HTTP/1.1\r\nHost: site.test\r\nX-Entitlement-Tier: business\r\n\r\n";

/// Ways to say how long a body is; `$` stands for the length of what follows the head.
const FRAMINGS: [&str; 40] = [
    // Both, in all orders and spellings (RFC 9112 section 6.1).
    "Content-Length: $\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: $",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "content-length: $\r\ntransfer-encoding: CHUNKED",
    "Content-Length: $\r\nTransfer-Encoding: identity",
    "Content-Length: $\r\nTransfer-Encoding: gzip",
    "Content-Length: $\r\nTransfer-Encoding:",
    "Content-Length: $\r\nTransfer-Encoding: xchunked",
    "Content-Length: $\r\nTransfer-Encoding: chunked, identity",
    "Content-Length: $\r\nTransfer-Encoding: \"chunked\"",
    "Content-Length: $\r\nTransfer_Encoding: chunked",
    "Content-Length: $\r\nTransfer-Encoding : chunked",
    "Content-Length: $\r\n Transfer-Encoding: chunked",
    "Content-Length: $\r\nTransfer-Encoding\t: chunked",
    "Content-Length: $\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Content-Length: $\r\nX: y\nTransfer-Encoding: chunked",
    "Content-Length: $\r\nX: y\rTransfer-Encoding: chunked",
    // An encoding alone.
    "Transfer-Encoding: chunked",
    "Transfer-Encoding:\u{b}chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding\r\n : chunked",
    // A length alone.
    "Content-Length: 0\r\nContent-Length: $",
    "Content-Length: $\r\nContent-Length: 0",
    "Content-Length: 0, $",
    "Content-Length: +0",
    "Content-Length: -1",
    "Content-Length: 0x0",
    "Content-Length: 00",
    "Content-Length: 0 0",
    "Content-Length:",
    "Content-Length: 99999999999999999999",
    "Content-Length: 0\u{b}",
    "Content_Length: $",
    "Content-Length : $",
    // None.
    "X-Nothing: at-all",
];

/// What follows the head, before what is hidden.
const BODIES: [&str; 12] = [
    "",
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    // Chunk extensions and sizes that are read in more ways than one (RFC 9112 section 7.1.1).
    "5;a=b\r\nhello\r\n0;c=\"d\r\n\r\n\"\r\n\r\n",
    "5;\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\r\nhello0\r\n\r\n",
    "FFFFFFFFFFFFFFFF1\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0\r\nX-Entitlement-Tier: business\r\n\r\n",
];

#[tokio::test]
async fn no_framing_hides_a_second_request_from_the_gate() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let mut requests = Vec::new();
    for (version, framing) in FRAMINGS.iter().map(|framing| ("1.1", framing)).chain([("1.0", &FRAMINGS[18])]) {
        for body in BODIES {
            let rest = format!("{body}{HIDDEN}");
            let framing = framing.replace('$', &rest.len().to_string());
            for connection in ["", "Connection: close\r\n"] {
                requests.push(format!(
                    "POST /welcome/outer HTTP/{version}\r\nHost: site.test\r\n{connection}{framing}\r\n\r\n{rest}"
                ));
            }
        }
    }
    for batch in requests.chunks(128) {
        let sent = batch.iter().map(|request| async move {
            let answer = exchange(public, request.as_bytes()).await;
            (request, answer)
        });
        for (request, answer) in futures_util::future::join_all(sent).await {
            let opened = answer.contains("this is the site") && answer.matches("HTTP/1.1 200").count() > 1;
            assert!(!opened, "{request:?} was answered twice: {answer}");
        }
    }
    let received = world.upstream.received();
    assert!(received.len() > 50, "many of them are ordinary requests: {}", received.len());
    for request in received {
        assert_eq!(request.target, "/welcome/outer", "{}", request.head);
        assert_eq!(request.identity(), [], "{}", request.head);
        let lengths = request.headers.iter().filter(|(name, _)| name == "content-length").count();
        let encodings = request.headers.iter().filter(|(name, _)| name == "transfer-encoding").count();
        assert!(lengths + encodings <= 1, "one framing: {}", request.head);
    }
}

#[tokio::test]
async fn a_denied_request_with_a_body_leaves_nothing_behind() {
    // As RUSTSEC-2025-0037 Pingora: a body that was not read became the next request.
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let length = HIDDEN.len();
    let heads = [
        format!("POST /premium/outer HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("GET /premium/outer HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("HEAD /premium/outer HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("POST //premium HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!(
            "POST /premium/outer HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"
        ),
        format!(
            "POST /premium/outer HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"
        ),
        // Promises more than it sends.
        format!("POST /premium/outer HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100000\r\n\r\n{HIDDEN}"),
    ];
    for head in heads {
        for follow_up in ["", HIDDEN] {
            let answer = exchange(public, format!("{head}{follow_up}").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{head:?}: {answer}");
            // A follow-up of its own may be answered, but as what it is: a stranger's.
            assert!(!answer.contains("HTTP/1.1 200"), "{head:?}: {answer}");
        }
    }
    assert!(world.upstream.received().is_empty(), "{:?}", world.upstream.received());
}

#[tokio::test]
async fn a_pipelined_request_is_gated_by_itself() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let paying = super::paying(&world).await;
    let first = format!("GET /premium/first HTTP/1.1\r\nHost: site.test\r\n{paying}\r\n\r\n");
    let answer = exchange(public, format!("{first}{HIDDEN}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "who asks first pays for nobody else: {answer}");
    assert!(world.upstream.received_with("smuggled").is_empty());
    // And on a connection that stays: the second request is as anonymous as it looks.
    let mut stream = TcpStream::connect(public).await.expect("a connection");
    for (request, status) in [(first.as_str(), "200"), (HIDDEN, "401"), (first.as_str(), "200")] {
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        let answer = answer_of(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

/// How long the gate is silent when it waits for more of a request, or for the next one. All that it does before takes
/// a few milliseconds; if it took longer, a case would be judged by a part of its answer.
const QUIET: Duration = Duration::from_millis(300);

/// Sends bytes and reads until the gate closes or waits for more.
async fn exchange(public: SocketAddr, bytes: &[u8]) -> String {
    let Ok(mut stream) = TcpStream::connect(public).await else { return String::new() };
    // The gate may answer and close before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    while let Ok(Ok(1..)) = timeout(QUIET, stream.read_buf(&mut answer)).await {}
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer with a length.
async fn answer_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if length.is_some_and(|length| body.len() >= length) {
                    return text;
                }
            }
            assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "it is cut off: {text}");
        }
    };
    timeout(DEADLINE, read).await.expect("an answer in time")
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_for_the_site_as_for_the_gate() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    raw(public, "GET /welcome/lf HTTP/1.1\nHost: site.test\nX-Entitlement-Tier: business\nConnection: close\n\n").await;
    raw(
        public,
        "GET /welcome/mixed HTTP/1.1\r\nHost: site.test\nX_Entitlement_Tier: business\r\nConnection: close\n\r\n",
    )
    .await;
    for received in world.upstream.received() {
        assert!(!received.head.replace("\r\n", "").contains(['\r', '\n']), "written anew: {:?}", received.head);
        assert_eq!(received.identity(), [], "{:?}", received.head);
    }
}
