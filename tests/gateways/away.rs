//! While Tollgate is away, a gateway serves what its file lists as served without a question, and nothing else.

use std::net::SocketAddr;

use super::ask::asked;
use crate::protocols::client::{Client, WEBSOCKET, status};
use crate::world::process::signal;
use crate::world::{World, eventually};

pub async fn closes(world: &World, gateway: SocketAddr, buyer: &str) {
    assert_eq!(asked(gateway, "GET", "/assets/before.css", &[]).await.status, 200);
    let tollgate = world.proxy();
    signal(tollgate.process.id(), "KILL");
    let is_away = async || tokio::net::TcpStream::connect(tollgate.listen.public).await.is_err().then_some(());
    eventually("Tollgate is away", is_away).await;
    let before = world.upstream.received().len();
    let cases: [(&str, &str, &[&str]); 11] = [
        ("GET", "/open/page", &[]),
        ("GET", "/premium/page", &[buyer]),
        ("GET", "/premium/page", &["Accept: text/html"]),
        ("POST", "/open/page", &["Content-Length: 0"]),
        ("GET", "/assets", &[]),
        ("GET", "/assets/", &[]),
        ("GET", "/assets/a%2eb", &[buyer]),
        ("GET", "/assets/.hidden/a", &[]),
        ("GET", "/Assets/a.css", &[]),
        ("GET", "/billing/pricing", &[]),
        ("GET", "/premium/assets/a.css", &[]),
    ];
    for (method, target, lines) in cases {
        let answer = asked(gateway, method, target, lines).await;
        let is_plain = target == "/assets/a%2eb" && answer.status == 200;
        assert!(is_plain || [400, 502, 503].contains(&answer.status), "{method} {target}: {answer:?}");
        assert!(is_plain || target == "/billing/pricing" || answer.status == 503, "{method} {target}: {answer:?}");
    }
    let mut socket = Client::connect(gateway).await;
    socket.ask("GET", "/open/socket-away", None, &WEBSOCKET).await;
    assert_eq!(status(&socket.head().await), 503);
    let received = world.upstream.received();
    let others: Vec<_> = received[before..]
        .iter()
        .filter(|seen| seen.target != "/assets/a%2eb" && seen.target != "/assets/a.b")
        .collect();
    assert!(others.is_empty(), "{others:?}");
    for target in ["/premium/../assets/around.css", "/premium/%2e%2e/assets/around.css", "//assets/around.css"] {
        let answer = asked(gateway, "GET", target, &[]).await;
        let seen = world.upstream.received_with("around.css");
        // nginx sends the path that it has matched.
        let is_plain = answer.status == 200 && seen.iter().all(|seen| seen.target == "/assets/around.css");
        assert!(is_plain || (answer.status == 503 && seen.is_empty()), "{target}: {answer:?} {seen:?}");
    }
    for target in ["/assets/app.css", "/assets/js/app-1.2.min.js?v=3"] {
        assert_eq!(asked(gateway, "GET", target, &[]).await.status, 200, "{target} stays open");
        assert_eq!(world.upstream.only(target).target, target);
    }
}
