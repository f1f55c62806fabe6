//! Slow clients: they hold no connection to the site while their body is short, and are let go while it is long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::client::{Client, header, status};
use crate::world::{Arrangement, Setup, World, eventually};

/// The bound of the tests on bodies that are taken in first.
const BOUND: usize = 65_536;

/// A site that tells of every connection, and of everything that comes on it, as it comes.
pub struct Watching {
    pub address: std::net::SocketAddr,
    connections: Arc<AtomicUsize>,
    pieces: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Watching {
    /// One that answers each request whose body has come, in chunks or of known length.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, (tell, pieces)) = (Arc::new(AtomicUsize::new(0)), mpsc::unbounded_channel());
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(answer(stream, tell.clone()));
            }
        });
        Self { address, connections, pieces }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Waits until these bytes have come, and returns all that came with them.
    pub async fn receives(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut seen = Vec::new();
        loop {
            if seen.windows(bytes.len()).any(|some| some == bytes) {
                return seen;
            }
            let piece = tokio::time::timeout(Duration::from_secs(20), self.pieces.recv()).await;
            let piece = piece.unwrap_or_else(|_| panic!("{:?} comes", String::from_utf8_lossy(bytes)));
            seen.extend(piece.expect("the site lives"));
        }
    }
}

async fn answer(mut stream: TcpStream, tell: mpsc::UnboundedSender<Vec<u8>>) {
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        match stream.read_buf(&mut seen).await {
            Ok(0) | Err(_) => return,
            Ok(_) => drop(tell.send(seen[before..].to_vec())),
        }
        if let Some(end) = request_end(&seen) {
            seen.drain(..end);
            let body = "served";
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// Where the first request ends, when it is here as a whole.
pub fn request_end(seen: &[u8]) -> Option<usize> {
    let head = seen.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        return seen[head..].windows(5).position(|five| five == b"0\r\n\r\n").map(|at| head + at + 5);
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    (seen.len() >= head + length).then_some(head + length)
}

struct Scene {
    world: World,
    site: Watching,
}

impl Scene {
    async fn with(keys: &[(&str, &str)]) -> Self {
        let site = Watching::start().await;
        let setup = Setup::new(Arrangement::AllPostgres).upstream(site.address);
        Self { world: World::with(keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value))).await, site }
    }

    async fn post(&self, target: &str, lines: &[&str]) -> Client {
        let mut client = Client::connect(self.world.proxy().listen.public).await;
        client.ask("POST", target, None, lines).await;
        client
    }

    /// Other requests are served, by which time whatever went before them has been looked at; the site has heard nothing
    /// of this one.
    async fn serves_others(&mut self, but: &str) {
        let mut other = Client::connect(self.world.proxy().listen.public).await;
        for number in 0..3 {
            let target = format!("/other-{number}");
            assert_eq!(other.get(&target, None).await.map(|(status, _)| status), Some(200));
            let seen = self.site.receives(target.as_bytes()).await;
            assert!(!String::from_utf8_lossy(&seen).contains(but), "{but} is awaited");
        }
    }
}

async fn is_served(client: &mut Client) {
    assert_eq!(client.answer().await, Some((200, "served".into())));
}

/// Chunks of these bytes, without the last one.
fn chunks(bytes: &[u8], each: usize) -> Vec<u8> {
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    bytes.chunks(each).flat_map(chunk).collect()
}

#[tokio::test]
async fn four_slow_posts_hold_no_connection_to_the_site_on_either_way() {
    for fast_path in ["true", "false"] {
        let mut scene = Scene::with(&[("proxy.fast_path", fast_path)]).await;
        let mut slow = Vec::new();
        for _ in 0..4 {
            let mut client = scene.post("/slow", &["Content-Length: 10"]).await;
            client.send(b"012").await;
            slow.push(client);
        }
        scene.serves_others("POST").await;
        assert!(scene.site.connections() <= 1, "one for the others: {}", scene.site.connections());
        for mut client in slow {
            client.send(b"3456").await;
            client.send(b"789").await;
            is_served(&mut client).await;
            let seen = scene.site.receives(b"789").await;
            assert!(seen.ends_with(b"\r\n\r\n0123456789"), "{}", String::from_utf8_lossy(&seen));
        }
    }
}

#[tokio::test]
async fn a_body_is_here_first_up_to_the_bound_and_no_further() {
    let x = |count: usize| vec![b'x'; count];
    let length = |count: usize| format!("Content-Length: {count}");
    let in_chunks = "Transfer-Encoding: chunked".to_owned();
    // What is sent first, whether the site hears of it then, and the rest.
    let cases: Vec<(String, Vec<u8>, bool, Vec<u8>)> = vec![
        (length(BOUND), x(BOUND - 1), false, x(1)),
        (length(BOUND + 1), x(3), true, x(BOUND - 2)),
        (in_chunks.clone(), chunks(&x(3), 3), false, b"0\r\n\r\n".to_vec()),
        (in_chunks.clone(), chunks(&x(1000), 1), false, b"0\r\n\r\n".to_vec()),
        (in_chunks.clone(), chunks(&x(BOUND), 1000), false, b"0\r\n\r\n".to_vec()),
        (in_chunks.clone(), [chunks(&x(BOUND), BOUND), b"0\r\n".to_vec()].concat(), false, b"\r\n".to_vec()),
        (in_chunks.clone(), chunks(&x(BOUND + 1), BOUND + 1), true, b"0\r\n\r\n".to_vec()),
        (in_chunks, chunks(&x(BOUND + 1), 4096), true, b"0\r\n\r\n".to_vec()),
    ];
    for fast_path in ["true", "false"] {
        let mut scene = Scene::with(&[("proxy.fast_path", fast_path)]).await;
        for (number, (line, first, is_heard, rest)) in cases.iter().enumerate() {
            let target = format!("/case-{number}");
            let mut client = scene.post(&target, &[line, "Content-Type: text/plain"]).await;
            client.send(first).await;
            if *is_heard {
                scene.site.receives(b"xxx").await;
            } else {
                scene.serves_others(&target).await;
            }
            client.send(rest).await;
            is_served(&mut client).await;
        }
    }
}

#[tokio::test]
async fn what_has_come_of_a_long_body_goes_on_at_once() {
    let mut scene = Scene::with(&[]).await;
    let mut client = scene.post("/long", &["Transfer-Encoding: chunked"]).await;
    client.send(&chunks(&[vec![b'x'; BOUND], b"and the end".to_vec()].concat(), 5000)).await;
    scene.site.receives(b"and the end").await;
    client.send(b"4\r\nmore\r\n").await;
    scene.site.receives(b"more").await;
    client.send(b"0\r\n\r\n").await;
    is_served(&mut client).await;
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it_and_the_site_is_asked_when_the_body_is_here() {
    for line in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let mut scene = Scene::with(&[]).await;
        let mut client = scene.post("/continued", &[line, "Expect: 100-continue"]).await;
        assert_eq!(status(&client.head().await), 100, "{line}");
        scene.serves_others("POST").await;
        assert!(scene.site.connections() <= 1, "{line}");
        client.send(if line.starts_with('T') { b"5\r\nhello\r\n0\r\n\r\n" } else { b"hello" }).await;
        let head = client.head().await;
        assert_eq!((status(&head), header(&head, "connection")), (200, Some("keep-alive")), "{head}");
        client.receives(b"served").await;
        let seen = String::from_utf8_lossy(&scene.site.receives(b"hello").await).to_lowercase();
        assert!(!seen.contains("expect:"), "{seen}");
        assert_eq!(client.get("/next", None).await, Some((200, "served".into())), "and goes on");
    }
}

#[tokio::test]
async fn a_client_that_may_not_pass_is_not_told_to_send() {
    let scene = Scene::with(&[]).await;
    let mut client = scene.post("/premium/page", &["Content-Length: 5", "Expect: 100-continue"]).await;
    assert_eq!(status(&client.head().await), 401);
}

#[tokio::test]
async fn there_is_no_grpc_over_http1_whatever_a_type_says() {
    for fast_path in ["true", "false"] {
        let mut scene = Scene::with(&[("proxy.fast_path", fast_path), ("limits.body_rate", "1000")]).await;
        let mut slow = Vec::new();
        for kind in ["application/grpc", "application/grpc+proto", "Application/GRPC-web"] {
            let kind = format!("Content-Type: {kind}");
            let mut client = scene.post("/slow/call", &[&kind, "Transfer-Encoding: chunked"]).await;
            client.send(b"5\r\nhello\r\n").await;
            slow.push(client);
        }
        scene.serves_others("POST").await;
        assert!(scene.site.connections() <= 1, "one for the others: {}", scene.site.connections());
        for mut client in slow {
            client.send(b"0\r\n\r\n").await;
            is_served(&mut client).await;
        }
        let mut long = scene.post("/long", &["Content-Type: application/grpc", "Content-Length: 100000"]).await;
        long.send(&vec![b'x'; BOUND]).await;
        let start = Instant::now();
        while long.trickle(b'x').await {
            assert!(start.elapsed() < Duration::from_secs(40), "it is let go");
        }
    }
}

#[tokio::test]
async fn without_a_bound_everything_streams() {
    let mut scene = Scene::with(&[("proxy.buffer_body", "0"), ("limits.body_rate", "0")]).await;
    for (line, sent, rest) in [
        ("Content-Length: 10", &b"01234"[..], &b"56789"[..]),
        ("Transfer-Encoding: chunked", b"5\r\n01234\r\n", b"0\r\n\r\n"),
    ] {
        let mut client = scene.post("/streamed", &[line]).await;
        client.send(sent).await;
        scene.site.receives(b"01234").await;
        client.send(rest).await;
        is_served(&mut client).await;
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_is_told_so_and_the_site_never_hears_of_it() {
    for (line, sent) in [("Content-Length: 10", &b"012"[..]), ("Transfer-Encoding: chunked", b"3\r\n012\r\n")] {
        let mut scene = Scene::with(&[("limits.read", "\"1s\"")]).await;
        let mut client = scene.post("/silent", &[line]).await;
        client.send(sent).await;
        let head = client.head().await;
        assert_eq!((status(&head), header(&head, "connection")), (408, Some("close")), "{line}: {head}");
        client.ends().await;
        scene.serves_others("POST").await;
        assert!(scene.site.connections() <= 1, "{line}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_or_malformed_or_too_long_never_reaches_the_site() {
    let mut scene = Scene::with(&[("limits.body_bytes", "1000")]).await;
    let cases: [(&[u8], Option<u16>); 3] =
        [(b"5\nhello\n", Some(400)), (b"5\r\nhello\r\nz\r\n", Some(400)), (b"5\r\nhello0\r\n\r\n", Some(400))];
    for (sent, expected) in cases {
        let mut client = scene.post("/bad", &["Transfer-Encoding: chunked"]).await;
        client.send(sent).await;
        let head = client.try_head().await;
        assert_eq!(head.as_deref().map(status), expected, "{:?}", String::from_utf8_lossy(sent));
    }
    let mut long = scene.post("/bad", &["Transfer-Encoding: chunked"]).await;
    long.send(&chunks(&[b'x'; 1001], 100)).await;
    assert_eq!(status(&long.head().await), 413);
    let mut gone = scene.post("/bad", &["Content-Length: 10"]).await;
    gone.send(b"012").await;
    drop(gone);
    scene.serves_others("POST").await;
    assert!(scene.site.connections() <= 1, "{}", scene.site.connections());
}

#[tokio::test]
async fn a_long_body_that_trickles_is_let_go() {
    let mut scene = Scene::with(&[("limits.body_rate", "1000")]).await;
    for lines in [&["Content-Length: 100000"][..], &["Transfer-Encoding: chunked"]] {
        let mut client = scene.post("/trickle", lines).await;
        client.send(&chunks(&vec![b'x'; BOUND + 1], BOUND + 1)).await;
        scene.site.receives(b"xxx").await;
        let start = Instant::now();
        while client.trickle(b'x').await {
            assert!(start.elapsed() < Duration::from_secs(40), "it is let go");
        }
    }
    eventually("both are gone", async || {
        (scene.world.proxy().metric("tollgate_connections", &[]).await as usize == 0).then_some(())
    })
    .await;
}
