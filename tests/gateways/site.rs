//! What real sites send and answer passes a gateway as it is.

use std::net::SocketAddr;

use super::ask::{asked, header};
use crate::protocols::client::{Client, WEBSOCKET, status};
use crate::world::World;
use crate::world::http::{client, raw_head, send};

/// More than nginx takes by default.
const UPLOAD: usize = 3 << 20;

pub async fn works(world: &World, gateway: SocketAddr, buyer: &str) {
    sockets(world, gateway, buyer).await;
    answers(world, gateway, buyer).await;
    requests(world, gateway, buyer).await;
}

async fn sockets(world: &World, gateway: SocketAddr, buyer: &str) {
    // RFC 6455 section 1.3.
    let yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
               Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfrom the site";
    world.upstream.answer("/socket?begin", yes);
    for (target, said) in [("/open/socket?begin", "/said-in-the-open"), ("/premium/socket?begin", "/said-for-money")] {
        let mut socket = Client::connect(gateway).await;
        let lines: Vec<&str> = WEBSOCKET.into_iter().chain([buyer]).collect();
        socket.ask("GET", target, None, &lines).await;
        let head = socket.head().await;
        assert_eq!(status(&head), 101, "{target}: {head}");
        socket.receives(b"from the site").await;
        // Whatever goes through the tunnel arrives: the recording site reads on.
        socket.ask("GET", said, None, &[]).await;
        socket.receives(crate::world::upstream::BODY.as_bytes()).await;
        assert_eq!(world.upstream.only(said).method, "GET");
    }
    let mut refused = Client::connect(gateway).await;
    refused.ask("GET", "/premium/socket-refused", None, &WEBSOCKET).await;
    assert_eq!(status(&refused.head().await), 401);
    assert!(world.upstream.received_with("/socket-refused").is_empty());
    // No other protocol begins.
    let lines = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"];
    for target in ["/open/h2c", "/assets/h2c"] {
        asked(gateway, "GET", target, &lines).await;
        let seen = world.upstream.received_with(target);
        assert_eq!(seen.iter().find_map(|seen| seen.header("upgrade")), None, "{seen:?}");
    }
}

async fn answers(world: &World, gateway: SocketAddr, buyer: &str) {
    let large = "x".repeat(14 * 1024);
    let cases = [
        ("cookies", "200 OK", "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\n".to_owned(), "hello"),
        ("large", "200 OK", format!("X-A: {large}\r\nX-B: {large}\r\nX-C: {large}\r\n"), "hello"),
        ("part", "206 Partial Content", "Content-Range: bytes 0-4/9\r\nAccept-Ranges: bytes\r\n".to_owned(), "hello"),
        ("moved", "302 Found", "Location: http://site.test:8443/next?a=b\r\n".to_owned(), ""),
        ("near", "307 Temporary Redirect", "Location: /next\r\n".to_owned(), ""),
        ("missing", "404 Not Found", "X-Of: the-site\r\n".to_owned(), "the site's own"),
        ("denied", "401 Unauthorized", "X-Of: the-site\r\n".to_owned(), "the site's own"),
        ("forbidden", "403 Forbidden", "X-Of: the-site\r\n".to_owned(), "the site's own"),
        ("broken", "500 Internal Server Error", "X-Of: the-site\r\n".to_owned(), "the site's own"),
        ("busy", "503 Service Unavailable", "X-Of: the-site\r\nRetry-After: 7\r\n".to_owned(), "the site's own"),
    ];
    for (name, status, lines, body) in cases {
        let target = format!("/premium/{name}?of=site");
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
        world.upstream.answer(&target, &answer);
        let answer = asked(gateway, "GET", &target, &[buyer]).await;
        assert!(status.starts_with(&answer.status.to_string()), "{name}: {answer:?}");
        assert!(answer.text.contains(body), "{name}: {answer:?}");
        let lowered = answer.text.to_lowercase();
        for line in lines.lines() {
            assert!(lowered.contains(&line.to_lowercase()), "{name} lost {line}: {answer:?}");
        }
    }
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    world.upstream.answer("/premium/chunks", chunks);
    world.upstream.answer("/premium/unchanged", "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
    // An event stream that never ends: each event arrives when it is sent.
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                  f\r\ndata: welcome\n\n\r\n";
    world.upstream.answer("/premium/events", events);
    let mut stream = Client::connect(gateway).await;
    stream.ask("GET", "/premium/events", None, &[buyer, "Accept: text/event-stream"]).await;
    assert_eq!(status(&stream.head().await), 200);
    stream.receives(b"data: welcome\n\n").await;
    drop(stream);
    let token = buyer.strip_prefix("Authorization: ").expect("a header");
    let get = |target: &str| client().get(format!("http://{gateway}{target}")).header("authorization", token);
    assert_eq!(send(get("/premium/chunks")).await.body, "hello world");
    let unchanged = send(get("/premium/unchanged").header("if-none-match", "\"v1\"")).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, "\"v1\""));
    assert_eq!(world.upstream.only("/premium/unchanged").header("if-none-match"), Some("\"v1\""));
}

async fn requests(world: &World, gateway: SocketAddr, buyer: &str) {
    let cookies = format!("Cookie: a=1; long={}", "y".repeat(12 * 1024));
    for target in ["/open/caf%C3%A9/%E6%97%A5?q=%2F%3F&r=a+b&s", "/open/a%20b/@me/~x,y=z?url=https://a.test//b"] {
        let lines = [buyer, &cookies, "Range: bytes=0-4", "Accept-Encoding: br", "X-Request-Id: mine"];
        let answer = asked(gateway, "GET", target, &lines).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = world.upstream.received().pop().expect("it arrived");
        assert_eq!(seen.target, target);
        assert_eq!(seen.header("cookie"), cookies.strip_prefix("Cookie: "), "{target}");
        for line in [lines[2], lines[3]] {
            let (name, value) = line.split_once(": ").expect("a header");
            assert_eq!(seen.header(name), Some(value), "{target}");
        }
        assert_eq!(seen.header("host"), Some("site.test"));
    }
    let body = vec![b'z'; UPLOAD];
    let upload = client().put(format!("http://{gateway}/open/upload")).body(body.clone());
    assert_eq!(send(upload).await.status, 200);
    assert_eq!(world.upstream.only("/open/upload").body.len(), UPLOAD);
    let mut chunked =
        b"PUT /open/chunked HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for part in body.chunks(UPLOAD / 4) {
        chunked.extend(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend(part);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(raw_head(gateway, chunked).await.status, 200);
    assert_eq!(world.upstream.only("/open/chunked").body.len(), UPLOAD);
    // The gate's bound, told by the length alone.
    for target in ["/open/too-long", "/decide/premium/too-long"] {
        let lines = format!("Host: site.test\r\n{buyer}\r\nConnection: close\r\nContent-Length: 1073741825");
        let answer = raw_head(gateway, format!("PUT {target} HTTP/1.1\r\n{lines}\r\n\r\n")).await;
        assert_eq!((answer.status, header(&answer, "x-entitlement-assertion")), (413, ""), "{target} {answer:?}");
    }
    assert!(world.upstream.received_with("/too-long").is_empty());
}
