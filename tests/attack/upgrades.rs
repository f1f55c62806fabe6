//! Upgrades: gated as any request, and no tunnel before the site has agreed to one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::http::{RawAnswer, raw_start};
use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World, eventually};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const HIDDEN: &str = "GET /premium/smuggled HTTP/1.1\r\nHost: site.test\r\nX-Entitlement-Tier: business\r\n\r\n";

#[tokio::test]
async fn an_upgrade_opens_no_page_that_a_request_would_not() {
    // CVE-2026-58172 Ocelot: the branch for WebSockets skipped every check.
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    for target in ["/premium/socket", "/welcome/../premium/socket", "//premium/socket", "/%70remium/socket"] {
        for upgrade in ["websocket", "WebSocket", "h2c", "h2c, websocket", "TLS/1.0", "connect-ip", "x"] {
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
            );
            let answer = RawAnswer::parse(raw_start(public, request).await);
            assert!(matches!(answer.status, 400 | 401), "{target} {upgrade}: {answer:?}");
        }
    }
    assert!(world.upstream.received().is_empty(), "{:?}", world.upstream.received());
}

#[tokio::test]
async fn only_a_websocket_asks_the_site_for_an_upgrade() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let others = ["h2c", "TLS/1.0", "connect-ip", "websocket, h2c", "x"];
    for upgrade in others {
        let path = format!("/welcome/{}", unique("upgrade"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {upgrade}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let answer = RawAnswer::parse(raw_start(public, request).await);
        let received = world.upstream.received_with(&path);
        assert!(answer.status == 200 && received.len() == 1 || received.is_empty(), "{upgrade}: {answer:?}");
        for received in received {
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(received.header(name), None, "{upgrade}: {}", received.head);
            }
        }
    }
    // An `Upgrade` that `Connection` does not name is another connection's (RFC 9110 section 7.8).
    for connection in ["", "Connection: keep-alive\r\n", "Connection: close\r\n", "Connection: x-upgrade\r\n"] {
        let path = format!("/welcome/{}", unique("upgrade"));
        let (_, rest) = WEBSOCKET.split_once("\r\n").expect("lines");
        let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\n{connection}{rest}\r\n");
        let answer = RawAnswer::parse(raw_start(public, request).await);
        assert_eq!(
            (answer.status, world.upstream.only(&path).header("upgrade")),
            (200, None),
            "{connection}: {answer:?}"
        );
    }
    // HTTP/1.0 has no upgrades (RFC 9110 section 7.8).
    let request = format!("GET /welcome/old HTTP/1.0\r\nHost: site.test\r\n{WEBSOCKET}\r\n");
    raw_start(public, request).await;
    for received in world.upstream.received_with("/welcome/old") {
        assert_eq!(received.header("upgrade"), None, "{}", received.head);
    }
}

#[tokio::test]
async fn there_is_no_tunnel_before_the_site_has_agreed() {
    // CVE-2026-2833 Pingora, CVE-2024-23326 and CVE-2026-73548 Envoy, CVE-2026-118264 Echo, CVE-2026-88008 Traefik: what
    // follows a refused upgrade went to the site unseen.
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let refusals = ["200 OK", "204 No Content", "301 Moved", "403 Forbidden", "404 Not Found", "426 Upgrade Required"];
    for refusal in refusals {
        let path = format!("/welcome/{}", unique("refused"));
        let length = if refusal.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
        world.upstream.answer(&path, &format!("HTTP/1.1 {refusal}\r\n{length}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\n{WEBSOCKET}\r\n{HIDDEN}");
        let mut stream = TcpStream::connect(public).await.expect("a connection");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        timeout(DEADLINE, stream.read_buf(&mut answer)).await.expect("an answer in time").expect("an answer");
        // And once more, after the refusal.
        let _ = stream.write_all(HIDDEN.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("this is the site"), "{refusal}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 101"), "{refusal}: {answer}");
    }
    for received in world.upstream.received() {
        assert!(!received.target.contains("smuggled"), "{}", received.head);
    }
}

#[tokio::test]
async fn a_tunnel_belongs_to_the_request_that_opened_it() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let paying = super::paying(&world).await;
    world.upstream.answer(
        "/socket",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    let request = format!("GET /premium/socket HTTP/1.1\r\nHost: site.test\r\n{WEBSOCKET}{paying}\r\n\r\n");
    let mut stream = TcpStream::connect(public).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_buf(&mut answer)).await.expect("an answer in time").expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    // What goes through it is the site's own business, byte for byte; the recording site takes it for a request.
    stream.write_all(b"GET /through/the/tunnel HTTP/1.1\r\n\r\n").await.expect("it is sent");
    let through = eventually("it comes through", async || world.upstream.received_with("/through").pop()).await;
    assert_eq!(through.head, "GET /through/the/tunnel HTTP/1.1\r\n\r\n");
    drop(stream);
    // The next client's request does not go through the same connection.
    let next = RawAnswer::parse(raw_start(public, "GET /welcome/next HTTP/1.1\r\nHost: site.test\r\n\r\n").await);
    assert_eq!(next.status, 200, "{next:?}");
    assert_eq!(world.upstream.only("/welcome/next").header("upgrade"), None);
}
