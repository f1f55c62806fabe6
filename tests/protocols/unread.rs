//! Requests to billing of which nobody reads the body: whoever comes next on the same connection is answered all the same.

use serde_json::json;

use super::client::{Client, header, status};
use crate::world::stripe::unique;
use crate::world::{Arrangement, World, token};

/// Nobody is signed in, so that nothing more is read.
const UNREAD: (&str, &str) = ("POST", "/api/billing/cancel");

async fn ask(client: &mut Client, length: usize) {
    client.ask(UNREAD.0, UNREAD.1, None, &[&format!("Content-Length: {length}")]).await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_costs_the_next_request_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let mut client = Client::connect(world.billing().listen.billing).await;
    for _ in 0..50 {
        ask(&mut client, 5).await;
        client.send(b"hello").await;
        let head = client.head().await;
        assert_eq!((status(&head), header(&head, "connection")), (401, None), "{head}");
        client.receives(b"}").await;
    }
    // Through the proxy, which has few connections for many clients.
    let token = token(&unique("reader"));
    for _ in 0..200 {
        let answer = world.post("/api/billing/cancel", &token, &json!({ "a": "b".repeat(1_000) })).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "not_configured"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_or_is_too_long_ends_the_connection_and_the_answer_says_so() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (announced, sent) in [(5, 4), (100_000, 100_000)] {
        let mut client = Client::connect(world.billing().listen.billing).await;
        ask(&mut client, announced).await;
        client.send(&vec![b'x'; sent]).await;
        let head = client.head().await;
        assert_eq!((status(&head), header(&head, "connection")), (401, Some("close")), "{head}");
        client.ends().await;
    }
}
