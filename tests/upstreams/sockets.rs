//! A site by a Unix socket.

use super::server::Server;
use super::{WAYS, ask};
use crate::protocols::client::{Client, FRAME, WEBSOCKET, status};
use crate::world::http::raw;
use crate::world::{Arrangement, Setup, World, eventually};

#[tokio::test]
async fn a_site_is_reached_by_a_socket_of_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.sock");
    let servers = format!("[\"unix:{}\"]", path.display());
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("site.upstream", &servers)).await;
    let gate = world.proxy().listen.public;
    for line in WAYS {
        assert_eq!(ask(gate, "site.test", "/nobody", line).await.status, 502, "there is no socket yet");
    }
    let site = Server::unix("local", &path);
    for (way, line) in WAYS.into_iter().enumerate() {
        let answer = ask(gate, "site.test", &format!("/page{way}"), line).await;
        assert!(answer.status == 200 && answer.text.ends_with("local"), "{answer:?}");
        let seen = site.only(&format!("/page{way}"));
        assert_eq!(seen.header("host"), Some("site.test"), "the client's, as over TCP");
        let body = "x".repeat(300_000);
        let post = format!("POST /long HTTP/1.1\r\nHost: site.test\r\n{line}\r\nContent-Length: 300000\r\n\r\n{body}");
        assert!(raw(gate, post).await.ends_with("local"), "{line}");
    }
    for line in ["Accept: */*", "Connection: x-hop"] {
        let before = site.seen().len();
        let mut client = Client::connect(gate).await;
        for _ in 0..10 {
            client.ask("GET", "/again", None, &[line]).await;
            assert_eq!(client.answer().await, Some((200, "local".to_owned())), "{line}");
        }
        let mut connections: Vec<_> = site.seen()[before..].iter().map(|seen| seen.connection).collect();
        connections.dedup();
        assert!(connections.len() < 5, "{line}: connections are used again: {connections:?}");
    }
    let mut socket = Client::connect(gate).await;
    socket.ask("GET", "/socket", None, &WEBSOCKET).await;
    assert_eq!(status(&socket.head().await), 101);
    socket.send(&FRAME).await;
    socket.receives(&FRAME).await;
}

#[tokio::test]
async fn a_socket_that_is_gone_is_left_out_and_what_was_not_sent_goes_to_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = ["first.sock", "second.sock"].map(|name| dir.path().join(name));
    let servers = paths.each_ref().map(|path| format!("unix:{}", path.display()));
    let second = Server::unix("second", &paths[1]);
    let world = World::with(Setup::new(Arrangement::AllPostgres).key("site.upstream", &format!("{servers:?}"))).await;
    let gate = world.proxy().listen.public;
    for line in WAYS {
        for method in ["GET", "POST", "GET", "POST"] {
            let request = format!("{method} /page HTTP/1.1\r\nHost: site.test\r\n{line}\r\n\r\n");
            assert!(raw(gate, request).await.ends_with("second"), "{method} {line}");
        }
    }
    let first = Server::unix("first", &paths[0]);
    eventually("it is asked when it is there", async || {
        ask(gate, "site.test", "/page", WAYS[0]).await;
        (!first.seen().is_empty()).then_some(())
    })
    .await;
    drop(second);
    std::fs::remove_file(&paths[1]).expect("it was there");
    for line in WAYS {
        for _ in 0..4 {
            assert!(ask(gate, "site.test", "/page", line).await.text.ends_with("first"), "{line}");
        }
    }
}
