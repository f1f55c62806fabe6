//! A site that speaks HTTP/2: what reaches it of a client's headers and trailers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tokio::net::{TcpListener, TcpStream};

use super::frames::Outcome;
use super::http2::{Secure, request};
use crate::protocols::secure::piece;
use crate::world::http::{RawAnswer, raw};
use crate::world::upstream::BODY;
use crate::world::{Arrangement, Setup, World};

/// One request as the site got it, trailers among the headers.
#[derive(Clone, Debug)]
struct Received {
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The recording site.
#[derive(Clone, Default)]
struct Site {
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Site {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let site = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(site.clone().serve(socket));
            }
        });
        address
    }

    async fn serve(self, socket: TcpStream) {
        let Ok(mut connection) = h2::server::handshake(socket).await else { return };
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            let site = self.clone();
            tokio::spawn(async move {
                let (head, mut stream) = request.into_parts();
                let mut received = Received { uri: head.uri, headers: head.headers, body: Vec::new() };
                while let Some(bytes) = piece(&mut stream).await {
                    received.body.extend(bytes);
                }
                if let Ok(Some(trailers)) = stream.trailers().await {
                    received.headers.extend(trailers);
                }
                let has_trailers = received.uri.path().ends_with("/back");
                site.seen.lock().expect("no panic").push(received);
                let mut sending = answer.send_response(http::Response::new(()), false).expect("a client");
                sending.send_data(Bytes::from_static(BODY.as_bytes()), !has_trailers).expect("a client");
                if has_trailers {
                    let sum = [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("5"))];
                    sending.send_trailers(HeaderMap::from_iter(sum)).expect("a client");
                }
            });
        }
    }

    /// The one request since the last call.
    fn take(&self) -> Received {
        let mut seen = std::mem::take(&mut *self.seen.lock().expect("no panic"));
        assert_eq!(seen.len(), 1, "one request: {seen:?}");
        seen.remove(0)
    }
}

/// Nothing that a client wrote of itself is left.
fn check(received: &Received, target: &str) {
    assert_eq!(received.uri.path_and_query().map(ToString::to_string).as_deref(), Some(target));
    assert_eq!(received.uri.authority().map(ToString::to_string).as_deref(), Some("site.test"));
    for (name, value) in &received.headers {
        let folded = name.as_str().replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
        assert!(!folded.starts_with("x-entitlement"), "{name}: {value:?}");
        assert!(!value.as_bytes().windows(6).any(|some| some == b"spoof!"), "{name}: {value:?}");
    }
    assert_eq!(received.headers["x-forwarded-for"], "127.0.0.1");
    assert!(received.headers.get_all("cookie").iter().count() <= 1, "{received:?}");
}

#[tokio::test]
async fn what_comes_by_http_1_1() {
    let site = Site::default();
    let setup = Setup::new(Arrangement::AllPostgres).upstream(site.start().await).key("proxy.http2", "true");
    let world = World::with(setup).await;
    let spoofs = [
        "X-Entitlement-Tier: spoof!\r\nX_Entitlement_Tier: spoof!",
        "X-Forwarded-For: spoof!\r\nForwarded: for=spoof!\r\nX-Real-IP: spoof!",
        "Cookie: a=1\r\nCookie: b=2",
        "Connection: X-Of-This-Hop, close\r\nX-Of-This-Hop: spoof!\r\nKeep-Alive: spoof!",
        "Upgrade: spoof!\r\nHTTP2-Settings: spoof!\r\nProxy: spoof!",
    ];
    for spoof in spoofs {
        let request = format!("GET /welcome/%61?b HTTP/1.1\r\nHost: site.test\r\n{spoof}\r\nConnection: close\r\n\r\n");
        let answer = crate::world::http::raw_start(world.proxy().listen.public, request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{spoof}: {answer}");
        check(&site.take(), "/welcome/a?b");
    }
    let request = "POST /welcome/trailers HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nX-Entitlement-Tier: spoof!\r\n\r\n";
    assert!(raw(world.proxy().listen.public, request).await.starts_with("HTTP/1.1 200"));
    let received = site.take();
    assert_eq!(received.body, b"hello");
    check(&received, "/welcome/trailers");
}

#[tokio::test]
async fn a_request_without_a_host_is_refused_where_the_site_needs_one() {
    let site = Site::default();
    let address = site.start().await;
    let setup = Setup::new(Arrangement::AllPostgres).upstream(address).key("proxy.http2", "true");
    let world = World::with(setup).await;
    let answer = RawAnswer::parse(raw(world.proxy().listen.public, "GET /welcome/old HTTP/1.0\r\n\r\n").await);
    assert!(answer.status == 400 && answer.text.contains("missing_host"), "{answer:?}");
}

#[tokio::test]
async fn what_comes_by_http_2() {
    let site = Site::default();
    let address = site.start().await;
    let secure = Secure::with(|setup| setup.upstream(address).key("proxy.http2", "true")).await;
    let fields = [
        ("x-entitlement-tier", "spoof!"),
        ("x_entitlement_tier", "spoof!"),
        ("x-forwarded-for", "spoof!"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("proxy", "spoof!"),
    ];
    assert_eq!(secure.get("/welcome/%61?b", &fields).await, Outcome::Passed);
    check(&site.take(), "/welcome/a?b");
    // Trailers pass to a site that knows what they are, so these must be clean, too.
    let trailers = [("x-entitlement-tier", "spoof!"), ("x_entitlement_tier", "spoof!"), ("x-forwarded-for", "spoof!")];
    secure.open().await.ask_with(&request("POST", "/welcome/trailers"), "hello", &trailers).await;
    for received in std::mem::take(&mut *site.seen.lock().expect("no panic")) {
        check(&received, "/welcome/trailers");
    }
    // And what is gated stays gated.
    assert_eq!(secure.get("/premium/one", &[]).await, Outcome::Denied(401));
    assert!(site.seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn what_goes_back_to_older_clients() {
    let site = Site::default();
    let setup = Setup::new(Arrangement::AllPostgres).upstream(site.start().await).key("proxy.http2", "true");
    let world = World::with(setup).await;
    let public = world.proxy().listen.public;
    for target in ["/welcome/plain", "/welcome/back"] {
        // HTTP/1.0 knows no chunks, and no trailers.
        for lines in ["", "Connection: keep-alive\r\n"] {
            let answer = raw(public, format!("GET {target} HTTP/1.0\r\nHost: site.test\r\n{lines}\r\n")).await;
            assert!(answer.ends_with(&format!("\r\n\r\n{BODY}")), "{target}: {answer}");
            let head = answer.to_lowercase();
            assert!(!head.contains("transfer-encoding") && head.contains("connection: close"), "{target}: {answer}");
        }
        let answer =
            raw(public, format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")).await;
        let end = if target.ends_with("back") { "0\r\nx-sum: 5\r\n\r\n" } else { "0\r\n\r\n" };
        assert!(answer.ends_with(&format!("{BODY}\r\n{end}")), "{target}: {answer}");
        let answer = raw(public, format!("HEAD {target} HTTP/1.0\r\nHost: site.test\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{target}: {answer}");
    }
}
