//! Connections to the site that are kept for the next request, and closed by the site in the meantime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::protocols::client::Client;
use crate::protocols::slow::request_end;
use crate::world::{Arrangement, Setup, World};

/// A site that answers so many requests on each connection, and hangs up on the next one.
struct Site {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Site {
    async fn start(requests: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, served) = (Arc::clone(&connections), Arc::clone(&answered));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(serve(stream, requests, Arc::clone(&served)));
            }
        });
        Self { address, connections, answered }
    }

    async fn world(&self, fast_path: &str, idle: &str) -> World {
        let setup = Setup::new(Arrangement::AllPostgres).upstream(self.address);
        World::with(setup.key("proxy.fast_path", fast_path).key("proxy.idle", idle)).await
    }
}

async fn serve(mut stream: TcpStream, requests: usize, answered: Arc<AtomicUsize>) {
    let mut seen = Vec::new();
    for number in 0.. {
        while request_end(&seen).is_none() {
            match stream.read_buf(&mut seen).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        if number == requests {
            return;
        }
        seen.clear();
        answered.fetch_add(1, Ordering::AcqRel);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_as_long_as_the_configuration_says() {
    for fast_path in ["true", "false"] {
        for (idle, connections) in [("\"1h\"", 1), ("\"0s\"", 10)] {
            let site = Site::start(usize::MAX).await;
            let world = site.world(fast_path, idle).await;
            let mut client = Client::connect(world.proxy().listen.public).await;
            for _ in 0..10 {
                assert_eq!(client.get("/page", None).await, Some((200, "served".into())));
            }
            assert_eq!(site.connections.load(Ordering::Acquire), connections, "{idle}, {fast_path}");
        }
    }
}

#[tokio::test]
async fn what_may_be_done_twice_is_asked_again_over_a_new_connection() {
    for fast_path in ["true", "false"] {
        let site = Site::start(1).await;
        let world = site.world(fast_path, "\"1h\"").await;
        let mut client = Client::connect(world.proxy().listen.public).await;
        for number in 1..=10 {
            assert_eq!(client.get("/page", None).await, Some((200, "served".into())), "{fast_path}");
            assert_eq!(site.answered.load(Ordering::Acquire), number, "{fast_path}");
        }
    }
}

#[tokio::test]
async fn what_must_not_be_done_twice_is_never_asked_twice() {
    // A request that the site has read is not sent again, on either way: they share the connections that wait.
    let statuses = [200, 502, 200, 502];
    for fast_path in ["true", "false"] {
        let site = Site::start(1).await;
        let world = site.world(fast_path, "\"1h\"").await;
        for status in statuses {
            let mut client = Client::connect(world.proxy().listen.public).await;
            client.ask("POST", "/form", None, &["Content-Length: 4"]).await;
            client.send(b"body").await;
            assert_eq!(client.answer().await.map(|(status, _)| status), Some(status), "{fast_path}");
        }
        let answered = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(site.answered.load(Ordering::Acquire), answered, "{fast_path}");
        let connections = site.connections.load(Ordering::Acquire);
        assert_eq!(connections, answered, "{fast_path}");
    }
}
