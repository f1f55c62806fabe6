//! SIGTERM: what is in flight ends, nothing else is waited for, and who asks meanwhile is told to go elsewhere.

use std::time::{Duration, Instant};

use super::load::Load;
use crate::protocols::client::{Client, events, header, status, websocket};
use crate::protocols::site::Site;
use crate::world::process::signal;
use crate::world::{Arrangement, Setup, World, eventually};

/// Long before the grace period that these tests set.
const PROMPT: Duration = Duration::from_secs(8);

struct Stopping {
    world: World,
    site: Site,
}

impl Stopping {
    async fn with(keys: &[(&str, &str)]) -> Self {
        let site = Site::start().await;
        let setup = Setup::new(Arrangement::AllPostgres).upstream(site.address).key("shutdown.grace", "\"60s\"");
        let setup = keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value));
        Self { world: World::with(setup).await, site }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.world.proxy().listen.public
    }

    fn terminate(&self) {
        signal(self.world.proxy().process.id(), "TERM");
    }

    /// Waits for the end of the process, and says when it came.
    async fn ends(&mut self) -> std::process::ExitStatus {
        let process = &mut self.world.processes[0].process;
        eventually("the process ends", async || process.ended()).await
    }
}

#[tokio::test]
async fn an_idle_process_ends_at_once() {
    let mut stopping = Stopping::with(&[]).await;
    let mut idle = Client::connect(stopping.address()).await;
    assert_eq!(idle.get("/page", None).await.map(|(status, _)| status), Some(200));
    let start = Instant::now();
    stopping.terminate();
    assert!(stopping.ends().await.success());
    assert!(start.elapsed() < PROMPT, "{:?} with nothing in flight", start.elapsed());
    idle.ends().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_process_ends() {
    let mut stopping = Stopping::with(&[("proxy.buffer_body", "0")]).await;
    let mut client = Client::connect(stopping.address()).await;
    client.ask("POST", "/slow", None, &["Content-Length: 5"]).await;
    eventually("it is at the site", async || (stopping.site.requests() == 1).then_some(())).await;
    stopping.terminate();
    let refused = eventually("no connection is taken in any more", async || {
        tokio::net::TcpStream::connect(stopping.address()).await.err()
    });
    refused.await;
    // Its body comes late, and its answer later.
    client.send(b"hello").await;
    let ready = stopping.world.proxy().admin("/readyz").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("stopping"), "{ready:?}");
    assert!(stopping.world.processes[0].process.ended().is_none(), "it waits");
    stopping.site.let_go(1);
    assert_eq!(client.answer().await, Some((200, "/slow took 5 bytes".to_owned())));
    let start = Instant::now();
    assert!(stopping.ends().await.success());
    assert!(start.elapsed() < PROMPT, "{:?} after the last answer", start.elapsed());
}

#[tokio::test]
async fn streams_that_never_end_are_not_waited_for() {
    let mut stopping = Stopping::with(&[]).await;
    let mut clients =
        [websocket(stopping.address(), "/socket", None).await, events(stopping.address(), "/events", None).await];
    let start = Instant::now();
    stopping.terminate();
    assert!(stopping.ends().await.success());
    assert!(start.elapsed() < PROMPT, "{:?} with streams", start.elapsed());
    for client in &mut clients {
        client.ends().await;
    }
}

#[tokio::test]
async fn the_grace_period_bounds_what_is_waited_for() {
    let mut stopping = Stopping::with(&[("shutdown.grace", "\"1s\"")]).await;
    let mut client = Client::connect(stopping.address()).await;
    client.ask("GET", "/slow", None, &[]).await;
    eventually("it is at the site", async || (stopping.site.requests() == 1).then_some(())).await;
    let start = Instant::now();
    stopping.terminate();
    assert!(stopping.ends().await.success());
    assert!(start.elapsed() >= Duration::from_secs(1), "it was given its time");
    assert!(start.elapsed() < PROMPT);
    stopping.world.proxy().logs("the grace period is over").await;
    assert!(stopping.world.proxy().process.log().contains("the grace period is over"));
    client.ends().await;
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_even_while_it_waits() {
    let mut stopping = Stopping::with(&[]).await;
    let mut client = Client::connect(stopping.address()).await;
    client.ask("GET", "/slow", None, &[]).await;
    eventually("it is at the site", async || (stopping.site.requests() == 1).then_some(())).await;
    stopping.terminate();
    eventually("it has begun to stop", async || {
        (stopping.world.proxy().admin("/readyz").await.status == 503).then_some(())
    })
    .await;
    let start = Instant::now();
    signal(stopping.world.proxy().process.id(), "INT");
    stopping.ends().await;
    assert!(start.elapsed() < PROMPT);
}

#[tokio::test]
async fn under_load_every_request_that_was_taken_in_is_answered() {
    let mut stopping = Stopping::with(&[("shutdown.delay", "\"2s\"")]).await;
    let load = Load::start(stopping.address(), "/page", 8);
    load.goes_on(100).await;
    let mut kept = Client::connect(stopping.address()).await;
    assert_eq!(kept.get("/page", None).await.map(|(status, _)| status), Some(200));
    stopping.terminate();
    eventually("load balancers are told", async || {
        (stopping.world.proxy().admin("/readyz").await.status == 503).then_some(())
    })
    .await;
    // As a load balancer does: it sends no more once it has seen that.
    load.goes_on(20).await;
    load.lost_nothing().await;
    let closing = eventually("a connection that is kept is told that it closes", async || {
        kept.ask("GET", "/page", None, &[]).await;
        let head = kept.head().await;
        assert_eq!(status(&head), 200);
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).expect("a length");
        kept.takes_exactly(length).await;
        header(&head, "connection").filter(|value| *value == "close").map(str::to_owned)
    });
    closing.await;
    assert!(stopping.ends().await.success());
}
