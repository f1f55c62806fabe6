//! Requests at once that hold a connection to the site, within the bound that the configuration sets.

use crate::protocols::client::{Client, events, header, status, websocket};
use crate::protocols::site::Site;
use crate::world::{Arrangement, Setup, World, eventually};

#[tokio::test]
async fn more_requests_at_once_than_the_site_may_have_are_told_to_come_again() {
    for fast_path in ["true", "false"] {
        let site = Site::start().await;
        let setup = Setup::new(Arrangement::AllPostgres)
            .upstream(site.address)
            .key("proxy.fast_path", fast_path)
            .key("limits.upstream_connections", "2");
        let world = World::with(setup).await;
        let address = world.proxy().listen.public;
        // What streams without an end does not count, nor does billing.
        let mut live = vec![websocket(address, "/socket", None).await, websocket(address, "/socket", None).await];
        for _ in 0..3 {
            live.push(events(address, "/open/events", None).await);
        }
        let mut busy = Vec::new();
        for number in 1..=2 {
            let mut client = Client::connect(address).await;
            client.ask("GET", "/slow", None, &[]).await;
            busy.push(client);
            eventually("it is at the site", async || (site.requests() == live.len() + number).then_some(())).await;
        }
        let mut third = Client::connect(address).await;
        for (method, lines) in [("GET", &[][..]), ("POST", &["Content-Length: 0"]), ("HEAD", &[])] {
            third.ask(method, "/page", None, lines).await;
            let head = third.head().await;
            assert_eq!((status(&head), header(&head, "retry-after")), (503, Some("1")), "{head}");
            if method != "HEAD" {
                third.receives(b"upstream_busy").await;
                third.receives(b"}").await;
            }
        }
        let mut own = Client::connect(address).await;
        assert_eq!(own.get("/billing/pricing", None).await.map(|(status, _)| status), Some(200));
        site.let_go(1);
        eventually("there is room again", async || {
            Client::connect(address).await.try_get("/page").await.filter(|(status, _)| *status == 200)
        })
        .await;
        site.let_go(1);
        for mut client in busy {
            assert_eq!(client.answer().await.map(|(status, _)| status), Some(200));
        }
        assert_eq!(third.get("/page", None).await.map(|(status, _)| status), Some(200), "on the same connection");
    }
}
