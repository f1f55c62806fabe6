//! Several sites by their hosts: however a host is written, its site is asked, and never another.

use super::secure::before;
use super::server::Server;
use super::{WAYS, ask};
use crate::protocols::client::{Client, WEBSOCKET, status};
use crate::protocols::secure::Identity;
use crate::world::http::{RawAnswer, raw};
use crate::world::process::signal;
use crate::world::tls_keys::Authority;
use crate::world::{Arrangement, Setup, World, eventually};

fn two(read: &Server, shop: &Server) -> String {
    format!(
        "[[upstream]]\nhosts = [\"read.example\", \"[2001:db8::1]\"]\nservers = [\"{}\"]\n\
         [[upstream]]\nhosts = [\"*.shop.example\", \"shop.example\"]\nservers = [\"{}\"]\n",
        read.address(),
        shop.address()
    )
}

#[tokio::test]
async fn each_host_has_its_site_however_it_is_written() {
    let (read, shop) = (Server::tcp("read").await, Server::tcp("shop").await);
    let world = before(&two(&read, &shop)).await;
    let gate = world.proxy().listen.public;
    for line in WAYS {
        for (host, site) in [
            ("read.example", "read"),
            ("READ.Example:8443", "read"),
            ("read.example.", "read"),
            ("[2001:db8::1]", "read"),
            ("[2001:DB8:0::1]:80", "read"),
            ("shop.example", "shop"),
            ("A.b.SHOP.example.:443", "shop"),
        ] {
            let answer = ask(gate, host, "/page", line).await;
            assert!(answer.status == 200 && answer.text.ends_with(site), "{host}: {answer:?}");
            let seen = if site == "read" { read.seen() } else { shop.seen() };
            assert_eq!(seen.last().and_then(|seen| seen.header("host")), Some(host), "as the client wrote it");
        }
        let before = (read.seen().len(), shop.seen().len());
        for host in ["other.example", "read.example.evil", "xshop.example", "[2001:db8::2]", "127.0.0.1", "site.test"] {
            let answer = ask(gate, host, "/page", line).await;
            assert!(answer.status == 421 && answer.text.contains("unknown_host"), "{host}: {answer:?}");
            assert_eq!(ask(gate, host, "/billing/pricing", line).await.status, 200, "Tollgate's own is not the site's");
        }
        let old = RawAnswer::parse(raw(gate, format!("GET /page HTTP/1.0\r\n{line}\r\n\r\n")).await);
        assert_eq!(old.status, 421, "{old:?}");
        let another = ask(gate, "read.example", "http://shop.example/page", line).await;
        assert_eq!(another.status, 400, "a target names another host: {another:?}");
        assert_eq!((read.seen().len(), shop.seen().len()), before);
        assert_eq!(ask(gate, "read.example", "http://read.example/page", line).await.status, 200, "it names the same");
    }
    for (host, expected) in [("WWW.shop.example", 101), ("other.example", 421)] {
        let mut socket = Client::connect(gate).await;
        socket
            .send(format!("GET /socket HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", WEBSOCKET.join("\r\n")).as_bytes())
            .await;
        assert_eq!(status(&socket.head().await), expected, "{host}");
    }
    assert_eq!((read.seen_with("/socket").len(), shop.seen_with("/socket").len()), (0, 1));
}

#[tokio::test]
async fn hosts_that_no_site_names_are_for_the_one_without_hosts() {
    let (read, rest) = (Server::tcp("read").await, Server::tcp("rest").await);
    let named = format!("[[upstream]]\nhosts = [\"read.example\"]\nservers = [\"{}\"]\n", read.address());
    let open = format!("[[upstream]]\nservers = [\"{}\"]\n{named}", rest.address());
    let flat = Setup::new(Arrangement::AllPostgres).upstream(rest.address()).routes(&named);
    for world in [before(&open).await, World::with(flat).await] {
        for (host, site) in [("read.example", "read"), ("other.example", "rest")] {
            let answer = ask(world.proxy().listen.public, host, "/page", WAYS[0]).await;
            assert!(answer.text.ends_with(site), "{host}: {answer:?}");
        }
        let old = RawAnswer::parse(raw(world.proxy().listen.public, "GET /page HTTP/1.0\r\n\r\n").await);
        assert!(old.status == 200 && old.text.ends_with("rest"), "{old:?}");
    }
}

#[tokio::test]
async fn a_client_of_http2_reaches_the_site_of_its_authority() {
    let (read, shop, identity) = (Server::tcp("read").await, Server::tcp("shop").await, Identity::new());
    let dir = tempfile::tempdir().expect("a directory");
    identity.write(dir.path());
    let path = |name: &str| format!("{:?}", dir.path().join(name));
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("site.upstream", "")
        .key("tls.certificate", &path("site.pem"))
        .key("tls.key", &path("site.key"))
        .routes(&two(&read, &shop));
    let world = World::with(setup).await;
    // One connection for several hosts, as browsers share them.
    let client = identity.http2(world.proxy().listen.public).await;
    let asked = async |authority: &str, host: Option<&str>| {
        let mut request = http::Request::get(format!("https://{authority}/page"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let mut requests = client.requests.clone().ready().await.expect("a connection");
        let (answer, _) = requests.send_request(request.body(()).expect("a request"), true).expect("a stream");
        answer.await.expect("an answer").status().as_u16()
    };
    for (authority, expected, sites) in [
        ("read.example", 200, (1, 0)),
        ("Read.Example:8443", 200, (2, 0)),
        ("[2001:db8:0:0::1]", 200, (3, 0)),
        ("www.shop.example", 200, (3, 1)),
        ("other.example", 421, (3, 1)),
    ] {
        assert_eq!(asked(authority, None).await, expected, "{authority}");
        assert_eq!((read.seen().len(), shop.seen().len()), sites, "{authority}");
    }
    let answer = asked("read.example", Some("shop.example")).await;
    assert!(answer == 400 && shop.seen().len() == 1 && read.seen().len() == 3, "two hosts: {answer}");
}

#[tokio::test]
async fn no_connection_of_one_site_is_used_for_another() {
    let authority = Authority::new();
    // One server, at one address, with a certificate for two names.
    let site = Server::tls("both", authority.certify_all(&["a.internal", "b.internal"])).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("it is written");
    let upstream = |name: &str| {
        format!(
            "[[upstream]]\nhosts = [\"{name}.example\"]\nservers = [\"https://{}\"]\ntls_name = \"{name}.internal\"\n\
             ca_file = {file:?}\nkeep_host = true\n",
            site.address()
        )
    };
    let world = before(&[upstream("a"), upstream("b")].concat()).await;
    for line in ["Accept: */*", "Connection: x-hop"] {
        let mut client = Client::connect(world.proxy().listen.public).await;
        for number in 0..20 {
            let host = if number % 3 == 0 { "a.example" } else { "b.example" };
            client.send(format!("GET /page HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n").as_bytes()).await;
            assert_eq!(client.answer().await, Some((200, "both".to_owned())), "{line}");
        }
    }
    assert_eq!(site.seen().len(), 40);
    for seen in site.seen() {
        let (host, name) = (seen.header("host").expect("a host"), seen.sni.as_deref().expect("a name"));
        assert_eq!(
            host.split_once('.').map(|(first, _)| format!("{first}.internal")).as_deref(),
            Some(name),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_host_moves_by_a_reload_and_explain_and_check_say_where_it_is() {
    let (read, shop) = (Server::tcp("read").await, Server::tcp("shop").await);
    let world = before(&two(&read, &shop)).await;
    let explained = async |url: &str| world.tollgate(&["explain", "route", "GET", url]).await.success();
    let (reads, shops) = (read.address().to_string(), shop.address().to_string());
    assert!(explained("https://READ.example:443/page").await.contains(&format!("site      {reads}")));
    assert!(explained("https://a.shop.example/page").await.contains(&format!("site      {shops}")));
    assert!(explained("https://other.example/page").await.contains("421 unknown_host"));
    assert!(explained("https://other.example/billing").await.contains("pass"), "it is Tollgate's own");
    assert!(explained("/page").await.contains("as the host says"));
    let checked = world.tollgate(&["check"]).await;
    let told = checked.success();
    assert!(told.contains(&format!("read.example, [2001:db8::1] → {reads}")), "{told}");

    let gate = world.proxy().listen.public;
    let load = async || ask(gate, "shop.example", "/page", WAYS[0]).await.text;
    assert!(load().await.ends_with("shop"));
    world.proxy().rewrite(|text| text.replace("\"shop.example\"", "\"other.example\""));
    signal(world.proxy().process.id(), "HUP");
    eventually("it is in force", async || {
        let answer = ask(gate, "other.example", "/page", WAYS[0]).await;
        (answer.status == 200 && answer.text.ends_with("shop")).then_some(())
    })
    .await;
    assert!(load().await.contains("unknown_host"));
    world.proxy().rewrite(|text| text.replace(&format!("servers = [\"{shops}\"]"), "servers = [\"app:443\"]"));
    signal(world.proxy().process.id(), "HUP");
    eventually("it is refused", async || {
        let log = world.proxy().process.log();
        log.lines()
            .any(|line| line.contains("not put in force") && line.contains("write \\\"https://app\\\""))
            .then_some(())
    })
    .await;
    assert!(ask(gate, "other.example", "/page", WAYS[0]).await.text.ends_with("shop"), "the old one stays");
}
