//! Clients that leave, at any point and over any protocol, are no error in the log.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, status};
use super::http2::Secure;
use super::secure::NAME;
use super::site::Site;
use crate::world::{Arrangement, Setup, World, eventually};

/// Waits until nobody is connected, and reads the log.
async fn nothing_in_the_log(world: &World) {
    let proxy = world.proxy();
    eventually("all clients have left", async || {
        (proxy.metric("tollgate_connections", &[]).await == 0.0).then_some(())
    })
    .await;
    let log = proxy.process.log();
    assert!(log.lines().any(|line| line.contains("is running")), "{log}");
    let faults: Vec<&str> =
        log.lines().filter(|line| line.contains("\"ERROR\"") || line.contains("\"WARN\"")).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn over_http2_clients_leave_without_a_line_of_error() {
    for fast in ["true", "false"] {
        let secure = Secure::with(&[("proxy.fast_path", fast)]).await;
        for round in 0..6 {
            let client = secure.identity.http2(secure.address()).await;
            let mut streams = Vec::new();
            for number in 0..8 {
                let mut requests = client.requests.clone().ready().await.expect("a connection");
                let path = ["/slow", "/download?blocks=64", "/upload", "/slow/other"][number % 4];
                let request = http::Request::post(format!("https://{NAME}{path}")).body(()).expect("a request");
                let is_upload = path == "/upload";
                let (response, mut body) = requests.send_request(request, !is_upload).expect("a stream");
                if is_upload {
                    // More than is awaited before a connection to the site is taken.
                    body.reserve_capacity(16_384);
                    body.send_data(Bytes::from(vec![0; 16_384]), false).expect("it is sent");
                }
                streams.push((response, body));
            }
            let seen = secure.site.requests();
            eventually("the site is asked", async || {
                (secure.site.requests() >= seen.max(4 * (round + 1))).then_some(())
            })
            .await;
            // Some are reset, and the others end with their connection.
            streams.truncate(5);
            drop(streams);
            tokio::task::yield_now().await;
            drop(client);
        }
        secure.site.let_go(1000);
        nothing_in_the_log(&secure.world).await;
    }
}

#[tokio::test]
async fn clients_that_send_what_cannot_be_served_write_no_line_of_error() {
    for fast in ["true", "false"] {
        let site = Site::start().await;
        let setup = Setup::new(Arrangement::AllPostgres)
            .upstream(site.address)
            .key("proxy.fast_path", fast)
            .key("limits.read", "\"1s\"")
            .key("limits.body_bytes", "1_000_000");
        let world = World::with(setup).await;
        let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        // Once within what is awaited before the site is asked, and once beyond it.
        for begin in [chunk(10), chunk(100_000)] {
            let trailer = format!("0\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000));
            for (end, expected) in [("zz\r\n", 400), (&trailer, 400), ("", 408), (&chunk(1_000_000), 413)] {
                let mut client = Client::connect(world.proxy().listen.public).await;
                client.ask("POST", "/upload", None, &["Transfer-Encoding: chunked"]).await;
                client.send(format!("{begin}{end}").as_bytes()).await;
                let head = client.head().await;
                assert_eq!(status(&head), expected, "{fast} {}: {head}", begin.len());
            }
        }
        nothing_in_the_log(&world).await;
    }
}

#[tokio::test]
async fn over_http1_clients_leave_without_a_line_of_error() {
    for fast in ["true", "false"] {
        let site = Site::start().await;
        let world =
            World::with(Setup::new(Arrangement::AllPostgres).upstream(site.address).key("proxy.fast_path", fast)).await;
        let public = world.proxy().listen.public;
        let begun = [
            "",
            "GE",
            "GET /page HTTP/1.1\r\nHost: site.test\r\n",
            "GET /page HTTP/1.1\r\nHost: site.test\r\n\r\n",
            "GET /download?blocks=64 HTTP/1.1\r\nHost: site.test\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: site.test\r\n\r\n",
            "POST /upload HTTP/1.1\r\nHost: site.test\r\nContent-Length: 9\r\n\r\nabc",
            "POST /upload HTTP/1.1\r\nHost: site.test\r\nContent-Length: 900000\r\n\r\nabc",
            "POST /upload HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
        ];
        for bytes in begun {
            for says_so in [true, false] {
                let mut stream = TcpStream::connect(public).await.expect("a connection");
                stream.write_all(bytes.as_bytes()).await.expect("it is sent");
                if says_so {
                    stream.shutdown().await.expect("it is open");
                } else if bytes.ends_with("\r\n\r\n") {
                    // With an answer unread the connection is reset.
                    stream.read_exact(&mut [0]).await.expect("an answer");
                }
                drop(stream);
            }
        }
        site.let_go(1000);
        let mut other = Client::connect(public).await;
        assert_eq!(other.get("/page", None).await.map(|(status, _)| status), Some(200));
        drop(other);
        nothing_in_the_log(&world).await;
    }
}
