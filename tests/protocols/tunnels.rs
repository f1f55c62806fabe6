//! The handshake of a WebSocket: the site's answer arrives whatever it is, nothing that either end says early is lost, and
//! a server that is down or silent is a clear answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{Client, FRAME, WEBSOCKET, header, status, websocket};
use super::site::Site;
use crate::world::{Arrangement, Setup, World, ports};

/// RFC 6455 section 1.3, and a first message right behind it.
const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Other: kept\r\n\r\n\u{1}\u{2}hi";

#[tokio::test]
async fn what_either_end_says_early_is_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let site = listener.local_addr().expect("an address");
    let world = World::with(Setup::new(Arrangement::AllPostgres).upstream(site)).await;
    let address = world.proxy().listen.public;
    let served = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut seen = Vec::new();
            // The gate's health checks say nothing.
            while stream.read_buf(&mut seen).await.is_ok_and(|count| count > 0) {
                if seen.ends_with(b"\r\n\r\n") {
                    stream.write_all(YES.as_bytes()).await.expect("it is taken");
                    seen.clear();
                } else if seen == FRAME {
                    return stream.shutdown().await.expect("it ends");
                }
            }
        }
    });
    let mut client = Client::connect(address).await;
    let request = [
        b"GET /open/socket HTTP/1.1\r\nHost: site.test\r\n".as_slice(),
        WEBSOCKET.join("\r\n").as_bytes(),
        b"\r\n\r\n",
        &FRAME,
    ]
    .concat();
    client.send(&request).await;
    let head = client.head().await;
    assert_eq!(status(&head), 101, "{head}");
    for (name, value) in [("upgrade", "websocket"), ("sec-websocket-protocol", "chat"), ("x-other", "kept")] {
        assert_eq!(header(&head, name), Some(value), "{head}");
    }
    client.receives(b"\x01\x02hi").await;
    client.ends().await;
    served.await.expect("the site got the client's message");
}

#[tokio::test]
async fn a_refusal_arrives_whole() {
    let world = World::start(Arrangement::AllPostgres).await;
    let refusals = [
        ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 5\r\n\r\nhello", 426, "hello"),
        ("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 403, "abcde"),
        ("HTTP/1.0 200 OK\r\n\r\nuntil it closes", 200, "until it closes"),
    ];
    for (number, (answer, expected, body)) in refusals.into_iter().enumerate() {
        let target = format!("/welcome/refusal-{number}");
        world.upstream.answer(&target, answer);
        let mut client = Client::connect(world.proxy().listen.public).await;
        client.ask("GET", &target, None, &WEBSOCKET).await;
        if expected == 200 {
            // Its end is the end of the connection, which the recording site leaves open.
            client.head().await;
            client.receives(body.as_bytes()).await;
            continue;
        }
        let head = client.head().await;
        assert_eq!(status(&head), expected, "{head}");
        assert_eq!(header(&head, "connection"), Some("close"), "{head}");
        for piece in ["hello", "abc", "de"].into_iter().filter(|piece| body.contains(piece)) {
            client.receives(piece.as_bytes()).await;
        }
        client.ends().await;
    }
    // A refusal on a paid page is no one else's to keep.
    let paying = crate::world::stripe::unique("payer");
    let token = crate::world::token(&paying);
    let mut client = Client::connect(world.proxy().listen.public).await;
    client.ask("GET", "/premium/socket", Some(&token), &WEBSOCKET).await;
    assert_eq!(status(&client.head().await), 402);
}

#[tokio::test]
async fn what_is_no_handshake_opens_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (method, line) in [("POST", "Content-Length: 0"), ("GET", "Content-Length: 3")] {
        let mut client = Client::connect(world.proxy().listen.public).await;
        let lines = [&WEBSOCKET[..], &[line]].concat();
        client.ask(method, "/welcome/odd", None, &lines).await;
        assert_eq!(status(&client.head().await), 400, "{method} {line}");
    }
    assert!(world.upstream.received_with("/welcome/odd").is_empty());
}

#[tokio::test]
async fn another_server_of_the_site_is_asked_when_the_first_is_down() {
    let site = Site::start().await;
    let servers = [ports::free().to_string(), site.address.to_string()];
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("site.upstream", &format!("{servers:?}"))).await;
    for _ in 0..4 {
        let mut client = websocket(world.proxy().listen.public, "/open/socket", None).await;
        client.send(&FRAME).await;
        client.receives(&FRAME).await;
    }
}

#[tokio::test]
async fn a_site_that_is_down_or_silent_is_a_clear_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let cases = [
        (ports::free(), 502, "upstream_unreachable"),
        (silent.local_addr().expect("an address"), 504, "upstream_timeout"),
    ];
    for (site, expected, code) in cases {
        let setup = Setup::new(Arrangement::AllPostgres).upstream(site).key("proxy.read", "\"300ms\"");
        let world = World::with(setup).await;
        let mut client = Client::connect(world.proxy().listen.public).await;
        client.ask("GET", "/open/socket", None, &WEBSOCKET).await;
        let (told, body) = client.answer().await.expect("an answer");
        assert_eq!(told, expected, "{body}");
        assert!(body.contains(code), "{body}");
    }
}
