//! The header of an authenticating proxy in front: believed from named addresses alone, and never handed to the site.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::with_ways;
use crate::world::http::RawAnswer;
use crate::world::keys::{KeyHost, NEXT, P256};
use crate::world::stripe::unique;
use crate::world::token::{SECRET, signed};
use crate::world::{World, in_seconds};

/// The addresses of the proxy in front and of all other clients.
const FRONT: &str = "127.0.0.2:0";
const CLIENT: &str = "127.0.0.1:0";

/// A GET over a connection from this address.
pub async fn get_from(source: &str, to: SocketAddr, path: &str, lines: &[&str]) -> RawAnswer {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(source.parse().expect("an address")).expect("an address of this machine");
    let mut stream = socket.connect(to).await.expect("the gate listens");
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n");
    lines.iter().for_each(|line| request.push_str(&format!("{line}\r\n")));
    stream.write_all(format!("{request}\r\n").as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    RawAnswer::parse(String::from_utf8_lossy(&answer).into_owned())
}

/// The account that the site is told by a request from this address with these lines; the code of the refusal else. No line that looks
/// like the header may reach the site.
async fn account(world: &World, source: &str, lines: &[&str]) -> String {
    let path = format!("/signed-in/{}", unique("page"));
    let answer = get_from(source, world.proxy().listen.public, &path, lines).await;
    if answer.status == 200 {
        return told(world, &path).unwrap_or_default();
    }
    let (_, body) = answer.text.split_once("\r\n\r\n").expect("a body");
    let start = body.find('{').expect("a problem");
    let problem: Value =
        serde_json::Deserializer::from_str(&body[start..]).into_iter().next().expect("JSON").expect("JSON");
    problem["code"].as_str().expect("a code").to_owned()
}

/// The account that the site was told with the request for a path.
fn told(world: &World, path: &str) -> Option<String> {
    let received = world.upstream.only(path);
    let is_front = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-").starts_with("x-auth-request-user");
    let front: Vec<_> = received.headers.iter().filter(|(name, _)| is_front(name)).collect();
    assert!(front.is_empty(), "{front:?} reached the site");
    received.header("x-entitlement-account").map(str::to_owned)
}

#[tokio::test]
async fn a_header_counts_from_the_proxy_in_front_alone_and_never_in_part() {
    let way = "[identity.front]\nheader = \"X-Auth-Request-User\"\nfrom = [\"127.0.0.2\", \"10.1.0.0/16\"]\nprefix = \"o:\"\n";
    // A proxy that is trusted with addresses is not trusted with accounts.
    let world = World::with(with_ways(way).key("proxy.trusted_proxies", "[\"127.0.0.1\"]")).await;
    let long = format!("X-Auth-Request-User: {}", "x".repeat(300));
    let user = "X-Auth-Request-User: u-1";
    for (source, lines, expected) in [
        (FRONT, &[user][..], "o:u-1"),
        (FRONT, &["x-auth-request-user:u-1"], "o:u-1"),
        (FRONT, &[user, "X_Auth_Request_User: admin"], "o:u-1"),
        (FRONT, &["X_Auth_Request_User: admin"], "sign_in"),
        (FRONT, &[], "sign_in"),
        (FRONT, &["X-Auth-Request-User:"], "sign_in"),
        (FRONT, &[user, user], "invalid_token"),
        (FRONT, &[user, "X-Auth-Request-User: u-2"], "invalid_token"),
        (FRONT, &["X-Auth-Request-User: u-1, u-2"], "invalid_token"),
        (FRONT, &[&long], "invalid_token"),
        (FRONT, &["X-Auth-Request-User: a\tb"], "invalid_token"),
        (CLIENT, &[user], "sign_in"),
        (CLIENT, &[user, user], "sign_in"),
        (CLIENT, &[user, "X-Forwarded-For: 127.0.0.2", "X-Real-IP: 127.0.0.2"], "sign_in"),
        (CLIENT, &[user, "Forwarded: for=127.0.0.2"], "sign_in"),
    ] {
        assert_eq!(account(&world, source, lines).await, expected, "{source} {lines:?}");
    }
    for (source, line, expected) in [
        (FRONT, user, Some("o:u-1")),
        (CLIENT, user, None),
        (CLIENT, "X_Auth_Request_User: u-1", None),
        (CLIENT, "x-auth.request_user: u-1", None),
        (FRONT, "X-Auth-Request-User: u-1, u-2", None),
    ] {
        let path = format!("/welcome/{}", unique("page"));
        assert_eq!(get_from(source, world.proxy().listen.public, &path, &[line]).await.status, 200);
        assert_eq!(told(&world, &path).as_deref(), expected, "{source} {line}");
    }
}

#[tokio::test]
async fn a_token_in_the_header_is_verified_and_another_way_may_disagree() {
    let host = KeyHost::start(&[P256]).await;
    let way = format!(
        "[identity.front]\nheader = \"X-Auth-Request-User-Token\"\nfrom = \"127.0.0.2\"\njwks_url = \"{}\"\n\
         issuer = \"https://id.example\"\naudience = \"read\"\n[identity.api]\nalgorithm = \"HS256\"\n",
        host.url()
    );
    let world = World::with(with_ways(&way)).await;
    let claims =
        |account: &str| json!({ "iss": "https://id.example", "aud": "read", "sub": account, "exp": in_seconds(600) });
    let line = |token: &str| format!("X-Auth-Request-User-Token: {token}");
    let (good, forged) = (line(&P256.sign(&claims("u-1"))), line(&NEXT.sign(&claims("u-1"))));
    let bearer = |account: &str| format!("Authorization: Bearer {}", signed(&claims(account), SECRET));
    let in_bearer = format!("Authorization: Bearer {}", P256.sign(&claims("u-1")));
    for (source, lines, expected) in [
        (FRONT, &[good.as_str()][..], "u-1"),
        (FRONT, &[&line("u-1")], "invalid_token"),
        (FRONT, &[&forged], "invalid_token"),
        (FRONT, &[&good, &good], "invalid_token"),
        (FRONT, &[&good, &bearer("u-1")], "u-1"),
        (FRONT, &[&good, &bearer("u-2")], "ambiguous_identity"),
        (CLIENT, &[&good], "sign_in"),
        (CLIENT, &[&good, &bearer("u-2")], "u-2"),
        // Its tokens count in its header alone.
        (FRONT, &[&in_bearer], "invalid_token"),
    ] {
        assert_eq!(account(&world, source, lines).await, expected, "{source} {lines:?}");
    }
}

#[tokio::test]
async fn a_header_without_addresses_is_refused_in_a_sentence_that_says_what_to_write() {
    let way = "[identity.front]\nheader = \"X-Auth-Request-User\"\nfrom = [\"127.0.0.2\"]\n";
    let world = World::with(with_ways(way)).await;
    let said = world.tollgate(&["check"]).await.success();
    assert!(said.contains("identity  front: the header x-auth-request-user of a proxy in front"), "{said}");
    for (line, expected) in [
        ("", "`from` is missing: write from = [\"10.0.0.5\"]"),
        ("from = [\"0.0.0.0/0\"]\n", "is everybody"),
        ("from = [\"proxy.internal\"]\n", "is not an address or a network"),
    ] {
        world.proxy().rewrite(|text| {
            let (before, _) = text.split_once("from = ").unwrap_or((text.as_str(), ""));
            format!("{before}{line}")
        });
        let refused = world.tollgate(&["check"]).await;
        assert!(refused.failure().contains(expected), "{line}: {refused:?}");
    }
}
