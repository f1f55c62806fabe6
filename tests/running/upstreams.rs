//! Several servers of the site: those that are down are left out, names are looked up, and what may have had an effect is
//! never sent twice.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::load::Load;
use crate::protocols::client::Client;
use crate::protocols::site::Site;
use crate::world::{Arrangement, Setup, World, eventually, ports};

fn over(addresses: &[String]) -> Setup {
    Setup::new(Arrangement::AllPostgres).key("site.upstream", &format!("{addresses:?}"))
}

async fn status(world: &World, method: &str) -> u16 {
    crate::world::send(world.request(method, "/page", None)).await.status
}

#[tokio::test]
async fn a_server_that_goes_down_is_left_out_and_comes_back() {
    let (first, second) = (Site::start().await, Site::start().await);
    let world = World::with(over(&[first.address.to_string(), second.address.to_string()])).await;
    let load = Load::start(world.proxy().listen.public, "/page", 4);
    load.goes_on(50).await;
    assert!(first.requests() > 10 && second.requests() > 10, "both are asked");
    load.lost_nothing().await;
    drop(second);
    // What its idle connections carried may be lost, what begins afterwards is not.
    eventually("it is left out", async || {
        let before = first.requests();
        for _ in 0..10 {
            if status(&world, "GET").await != 200 {
                return None;
            }
        }
        (first.requests() == before + 10).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_was_never_there_costs_nobody_an_answer() {
    let site = Site::start().await;
    let world = World::with(over(&[ports::free().to_string(), site.address.to_string()])).await;
    for method in ["GET", "POST", "GET", "POST", "GET", "POST"] {
        assert_eq!(status(&world, method).await, 200, "nothing was sent to it: another server is asked");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_each_of_its_addresses_is_a_server() {
    let site = Site::start().await;
    let names = [format!("localhost:{}", site.address.port()), "no-such-host.invalid:80".to_owned()];
    let world = World::with(over(&names)).await;
    eventually("it is found", async || (status(&world, "GET").await == 200).then_some(())).await;
    for _ in 0..20 {
        assert_eq!(status(&world, "GET").await, 200);
    }
}

/// A server that takes requests in and closes without an answer.
async fn swallows() -> (std::net::SocketAddr, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let counted = std::sync::Arc::clone(&counted);
            tokio::spawn(async move {
                let mut served = 0;
                let mut bytes = [0; 4096];
                while let Ok(taken) = stream.read(&mut bytes).await {
                    if taken == 0 {
                        return;
                    }
                    counted.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
                    served += 1;
                    // The first on a connection is answered, so that it is used again.
                    if served > 1 {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer).await.expect("a client");
                }
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_sent_again() {
    let (address, count) = swallows().await;
    let world = World::with(over(&[address.to_string()])).await;
    let taken = || count.load(std::sync::atomic::Ordering::Acquire);
    // The second names a header of its connection, and so goes another way.
    for lines in [&["Content-Length: 0"][..], &["Content-Length: 0", "Connection: x-hop"]] {
        let mut client = Client::connect(world.proxy().listen.public).await;
        client.ask("POST", "/first", None, lines).await;
        assert_eq!(client.answer().await.map(|(status, _)| status), Some(200));
        let before = taken();
        client.ask("POST", "/order", None, lines).await;
        let answer = client.answer().await.map(|(status, _)| status);
        // Sent once, its fate is unknown.
        assert_eq!((answer, taken() - before), (Some(502), 1), "{lines:?}");
    }
}

#[tokio::test]
async fn what_has_no_effect_is_sent_again_when_a_connection_was_closed_that_had_been_idle() {
    let (address, count) = swallows().await;
    let world = World::with(over(&[address.to_string()])).await;
    let taken = || count.load(std::sync::atomic::Ordering::Acquire);
    let mut client = Client::connect(world.proxy().listen.public).await;
    // The second names a header of its connection, and so goes another way, by the connections that the first has left.
    for (line, expected) in [(&[][..], [1, 2]), (&["Connection: x-hop"], [2, 2])] {
        for expected in expected {
            let before = taken();
            client.ask("GET", "/page", None, line).await;
            let answer = client.answer().await.map(|(status, _)| status);
            assert_eq!((answer, taken() - before), (Some(200), expected), "{line:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_in_nothing_of_a_body_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    // Connections are kept, and nothing is read from them.
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.expect("a connection"));
        }
    });
    let world = World::with(over(&[address.to_string()]).key("proxy.write", "\"1s\"")).await;
    let mut client = TcpStream::connect(world.proxy().listen.public).await.expect("a connection");
    let head = b"POST /upload HTTP/1.1\r\nHost: read.example\r\nContent-Length: 100000000\r\n\r\n";
    client.write_all(head).await.expect("it takes the head");
    // What does not fit anywhere waits here, until the gate has given up. The rest is read away, so that the answer is read.
    let (mut answers, mut requests) = client.split();
    let block = vec![0; 1 << 20];
    let sending = async {
        while requests.write_all(&block).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = async { while let Ok(1..) = answers.read_buf(&mut answer).await {} };
    let told = async {
        tokio::select! {
            () = sending => {}
            () = reading => {}
        }
    };
    timeout(Duration::from_secs(20), told).await.expect("the client is told, too");
    assert!(answer.starts_with(b"HTTP/1.1 502"), "{}", String::from_utf8_lossy(&answer));
}
