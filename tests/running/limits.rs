//! Clients that take too much: they are told so, or let go, and the others are served on.

use std::time::{Duration, Instant};

use crate::protocols::client::{Client, FRAME, header, status, websocket};
use crate::protocols::site::Site;
use crate::world::{Arrangement, Setup, World, eventually};

struct Limited {
    world: World,
    site: Site,
}

impl Limited {
    async fn with(keys: &[(&str, &str)]) -> Self {
        let site = Site::start().await;
        let setup = Setup::new(Arrangement::AllPostgres).upstream(site.address);
        let place = |key: &str| if key.contains('.') { key.to_owned() } else { format!("limits.{key}") };
        let setup = keys.iter().fold(setup, |setup, (key, value)| setup.key(&place(key), value));
        Self { world: World::with(setup).await, site }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.world.proxy().listen.public).await
    }

    async fn serves_others(&self) {
        assert_eq!(self.connect().await.get("/page", None).await.map(|(status, _)| status), Some(200));
    }

    async fn refused(&self, limit: &str) -> f64 {
        let label = format!("limit=\"{limit}\"");
        self.world.proxy().metric("tollgate_connections_refused_total", &[&label]).await
    }
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_long_are_refused() {
    let limited = Limited::with(&[("header_bytes", "8192"), ("headers", "40")]).await;
    let long = format!("X-Long: {}", "x".repeat(8192));
    let many: Vec<String> = (0..40).map(|number| format!("X-{number}: x")).collect();
    let within: Vec<String> = (0..30).map(|number| format!("X-{number}: {}", "x".repeat(200))).collect();
    let cases = [(vec![long], 431), (many, 431), (within, 200)];
    for (lines, expected) in cases {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut client = limited.connect().await;
        client.ask("GET", "/page", None, &lines).await;
        let head = client.head().await;
        assert_eq!(status(&head), expected, "{head}");
        if expected == 431 {
            assert_eq!(header(&head, "content-type"), Some("application/problem+json"));
        }
    }
    assert_eq!(limited.site.requests(), 1, "the site heard of the good one alone");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_whether_it_is_announced_or_not() {
    let limited = Limited::with(&[("body_bytes", "100_000")]).await;
    let mut announced = limited.connect().await;
    announced.ask("POST", "/page", None, &["Content-Length: 100001"]).await;
    let head = announced.head().await;
    assert_eq!(status(&head), 413, "{head}");
    assert_eq!(limited.site.requests(), 0, "the site heard nothing of it");

    let mut chunked = limited.connect().await;
    chunked.ask("POST", "/page", None, &["Transfer-Encoding: chunked"]).await;
    let chunk = [b"2710\r\n".as_slice(), &[b'x'; 10_000], b"\r\n"].concat();
    for _ in 0..11 {
        chunked.send(&chunk).await;
    }
    let head = chunked.head().await;
    assert_eq!(status(&head), 413, "{head}");
    chunked.ends().await;

    let mut exact = limited.connect().await;
    exact.ask("POST", "/page", None, &["Content-Length: 100000"]).await;
    exact.send(&[b'x'; 100_000]).await;
    assert_eq!(exact.answer().await, Some((200, "/page took 100000 bytes".to_owned())));
}

#[tokio::test]
async fn headers_that_trickle_are_cut_off_in_time() {
    let limited = Limited::with(&[("header_time", "\"2s\""), ("idle", "\"4s\"")]).await;
    let mut silent = limited.connect().await;
    let mut slow = limited.connect().await;
    let mut idle = limited.connect().await;
    assert_eq!(idle.get("/page", None).await.map(|(status, _)| status), Some(200));
    let start = Instant::now();
    silent.ends().await;
    assert!(start.elapsed() >= Duration::from_secs(1), "it had its time");
    // One byte now and then, which no limit on a single silence would notice.
    for byte in b"GET / HTTP/1.1\r\nHost: site.test\r\nX-Slow: xxxxxxxxxxxxxxxxxxxxxxxxxxx".iter().cycle() {
        if !slow.trickle(*byte).await {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "it is let go");
    }
    limited.world.proxy().has_let_go("header_time", 2.0).await;
    idle.ends().await;
    assert!(start.elapsed() < Duration::from_secs(20), "who says nothing between requests is let go, too");
    limited.serves_others().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_cut_off() {
    let limited = Limited::with(&[("read", "\"1s\"")]).await;
    let mut client = limited.connect().await;
    client.ask("POST", "/page", None, &["Content-Length: 10"]).await;
    client.send(b"half").await;
    let start = Instant::now();
    client.ends().await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    limited.serves_others().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let limited = Limited::with(&[("write", "\"1s\"")]).await;
    let mut client = limited.connect().await;
    client.ask("GET", "/download?blocks=1000", None, &[]).await;
    assert_eq!(status(&client.head().await), 200);
    limited.site.let_go(1);
    let connections = async || limited.world.proxy().metric("tollgate_connections", &[]).await as usize;
    eventually("it is let go", async || (connections().await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_websocket_that_is_silent_for_too_long_is_closed() {
    let limited = Limited::with(&[("quiet", "\"2s\""), ("read", "\"1s\"")]).await;
    let address = limited.world.proxy().listen.public;
    let mut silent = websocket(address, "/socket", None).await;
    let mut spoken = websocket(address, "/socket", None).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        spoken.send(&FRAME).await;
        spoken.receives(&FRAME).await;
    }
    silent.ends().await;
    spoken.send(&FRAME).await;
    spoken.receives(&FRAME).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_others_leave() {
    let limited = Limited::with(&[("connections", "20"), ("connections_per_address", "10")]).await;
    let mut kept = Vec::new();
    for _ in 0..10 {
        let mut client = limited.connect().await;
        assert_eq!(client.get("/page", None).await.map(|(status, _)| status), Some(200));
        kept.push(client);
    }
    limited.connect().await.ends().await;
    assert!(limited.refused("connections_per_address").await >= 1.0);
    kept.truncate(5);
    eventually("there is room again", async || {
        limited.connect().await.try_get("/page").await.filter(|(status, _)| *status == 200)
    })
    .await;
}

#[tokio::test]
async fn an_address_has_a_quarter_of_the_connections_and_is_warned_of_at_three_quarters_of_that() {
    let limited = Limited::with(&[("connections", "40")]).await;
    let log = || limited.world.proxy().process.log();
    let warns = || log().contains("127.0.0.1 has three quarters") && log().contains("proxy.trusted_proxies");
    let mut kept = Vec::new();
    for number in 1..=10 {
        let mut client = limited.connect().await;
        assert_eq!(client.get("/page", None).await.map(|(status, _)| status), Some(200));
        kept.push(client);
        if number < 8 {
            assert!(!warns(), "{number} connections: {}", log());
        } else {
            eventually("it is warned of", async || warns().then_some(())).await;
        }
    }
    limited.connect().await.ends().await;
    assert!(limited.refused("connections_per_address").await >= 1.0);
    assert_eq!(log().matches("has three quarters").count(), 1, "it is warned of once: {}", log());
}

#[tokio::test]
async fn a_trusted_proxy_and_a_gateway_have_as_many_connections_as_there_are() {
    for key in ["proxy.trusted_proxies", "decide.gateways"] {
        let keys = [("connections", "40"), ("connections_per_address", "2"), (key, "[\"127.0.0.0/8\"]")];
        let limited = Limited::with(&keys).await;
        let mut kept = Vec::new();
        for _ in 0..20 {
            let mut client = limited.connect().await;
            assert_eq!(client.get("/page", None).await.map(|(status, _)| status), Some(200), "{key}");
            kept.push(client);
        }
        assert!(!limited.world.proxy().process.log().contains("three quarters"), "{key}");
    }
}
