//! A site under TLS: its name is asked for, its certificate is proved, and nothing is ever said to it in clear.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::Server;
use super::{WAYS, ask};
use crate::protocols::client::{self, Client, FRAME, WEBSOCKET, status};
use crate::protocols::secure::Identity;
use crate::world::http::raw;
use crate::world::tls_keys::Authority;
use crate::world::{Arrangement, Setup, World, eventually};

/// A gate whose system trusts an authority, before these servers.
pub async fn trusting(authority: &Authority, servers: &[String]) -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("authorities.pem");
    std::fs::write(&file, authority.pem()).expect("it is written");
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("site.upstream", &format!("{servers:?}"))
        .environment("SSL_CERT_FILE", file.to_str().expect("a path in UTF-8"));
    World::with(setup).await
}

/// A gate before `[[upstream]]`s.
pub async fn before(upstreams: &str) -> World {
    let routes = format!("\n{upstreams}");
    World::with(Setup::new(Arrangement::AllPostgres).key("site.upstream", "").routes(&routes)).await
}

fn write(dir: &std::path::Path, authority: &Authority) -> String {
    let file = dir.join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("it is written");
    format!("{file:?}")
}

#[tokio::test]
async fn a_site_under_tls_is_asked_by_its_name_and_told_its_own_host() {
    let authority = Authority::new();
    let site = Server::tls("secure", authority.certify("localhost")).await;
    let world = trusting(&authority, &[format!("https://localhost:{}", site.port())]).await;
    let gate = world.proxy().listen.public;
    let own = format!("localhost:{}", site.port());
    for (way, line) in WAYS.into_iter().enumerate() {
        let answer = ask(gate, "site.test", &format!("/page{way}"), line).await;
        assert!(answer.status == 200 && answer.text.ends_with("secure"), "{line}: {answer:?}");
        let seen = site.only(&format!("/page{way}"));
        assert_eq!((seen.sni.as_deref(), seen.header("host")), (Some("localhost"), Some(own.as_str())), "{seen:?}");
        assert_eq!(seen.header("x-forwarded-host"), Some("site.test"), "{seen:?}");
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"), "{seen:?}");
        let away = ask(gate, "site.test", "/away", line).await;
        let told = |name| client::header(&away.text, name);
        assert_eq!((told("location"), told("set-cookie")), (Some("/login?next=/"), Some("sid=1; Path=/")), "{away:?}");
        let body = "x".repeat(100_000);
        let post =
            format!("POST /long{way} HTTP/1.1\r\nHost: site.test\r\n{line}\r\nContent-Length: 100000\r\n\r\n{body}");
        assert!(raw(gate, post).await.ends_with("secure"), "{line}");
    }
    let mut socket = Client::connect(gate).await;
    socket.ask("GET", "/socket", None, &WEBSOCKET).await;
    assert_eq!(status(&socket.head().await), 101);
    socket.send(&FRAME).await;
    socket.receives(&FRAME).await;
    let seen = site.only("/socket");
    assert_eq!((seen.sni.as_deref(), seen.header("host")), (Some("localhost"), Some(own.as_str())), "{seen:?}");
}

#[tokio::test]
async fn connections_under_tls_are_used_again_on_both_ways() {
    let authority = Authority::new();
    let site = Server::tls("secure", authority.certify("127.0.0.1")).await;
    let world = trusting(&authority, &[format!("https://{}", site.address())]).await;
    for line in ["Accept: */*", "Connection: x-hop"] {
        let before = site.seen().len();
        let mut client = Client::connect(world.proxy().listen.public).await;
        for _ in 0..10 {
            client.ask("GET", "/page", None, &[line]).await;
            assert_eq!(client.answer().await, Some((200, "secure".to_owned())), "{line}");
        }
        let mut connections: Vec<_> = site.seen()[before..].iter().map(|seen| seen.connection).collect();
        connections.dedup();
        // A pause of the machine may be longer than an idle connection is kept.
        assert!(connections.len() < 5, "{line}: {connections:?}");
        assert_eq!(site.seen().iter().find_map(|seen| seen.sni.clone()), None, "an address is no name (RFC 6066)");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_the_servers_is_refused_and_the_log_says_why() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cases: [(&str, Arc<ServerConfig>, &str); 2] = [
        ("of an unknown authority", stranger.certify("localhost"), "invalid peer certificate"),
        ("of another name", authority.certify("evil.test"), "not valid for name"),
    ];
    for (what, tls, reason) in cases {
        let site = Server::tls("secure", tls).await;
        // The one is watched, as a name may have several addresses.
        for host in ["localhost", "127.0.0.1"] {
            let world = trusting(&authority, &[format!("https://{host}:{}", site.port())]).await;
            let gate = world.proxy().listen.public;
            for line in WAYS {
                let answer = ask(gate, "site.test", "/page", line).await;
                assert!(answer.status == 502 && answer.text.contains("upstream_unreachable"), "{what}: {answer:?}");
            }
            let mut socket = Client::connect(gate).await;
            socket.ask("GET", "/socket", None, &WEBSOCKET).await;
            assert_eq!(status(&socket.head().await), 502, "{what}");
            let refused: Vec<String> = eventually("the log has it, once for all of them", async || {
                let log = world.proxy().process.log();
                let lines = log.lines().filter(|line| line.contains("cannot serve GET")).map(str::to_owned);
                Some(lines.collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
            })
            .await;
            assert!(refused.iter().all(|line| line.contains("certificate")), "{what}: {refused:?}");
            assert!(host == "127.0.0.1" || refused.iter().all(|line| line.contains(reason)), "{what}: {refused:?}");
        }
        assert!(site.seen().is_empty(), "{what}: {:?}", site.seen());
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_hears_nothing_in_clear() {
    let site = Server::tcp("plain").await;
    let world = trusting(&Authority::new(), &[format!("https://{}", site.address())]).await;
    for line in WAYS {
        assert_eq!(ask(world.proxy().listen.public, "site.test", "/page", line).await.status, 502, "{line}");
    }
    world.proxy().logs("TLS with https://").await;
    assert!(world.proxy().process.log().contains("TLS with https://"), "the log says what fails");
    let heads: Vec<_> = site.seen();
    assert!(heads.is_empty(), "{heads:?}");
}

#[tokio::test]
async fn a_good_server_takes_the_place_of_one_whose_certificate_is_wrong() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (good, bad) = (Server::tls("good", authority.certify("127.0.0.1")).await, stranger.certify("127.0.0.1"));
    let bad = Server::tls("bad", bad).await;
    let world = trusting(&authority, &[&bad, &good].map(|server| format!("https://{}", server.address()))).await;
    for line in WAYS {
        for _ in 0..6 {
            let answer = ask(world.proxy().listen.public, "site.test", "/page", line).await;
            assert!(answer.status == 200 && answer.text.ends_with("good"), "{answer:?}");
        }
    }
    eventually("it is left out, and the log says why", async || {
        let log = world.proxy().process.log();
        log.lines().any(|line| line.contains("is down") && line.contains("invalid peer certificate")).then_some(())
    })
    .await;
    assert!(bad.seen().is_empty(), "{:?}", bad.seen());
}

#[tokio::test]
async fn name_authority_and_host_are_as_configured() {
    let authority = Authority::new();
    let site = Server::tls("secure", authority.certify("app.internal")).await;
    let dir = tempfile::tempdir().expect("a directory");
    let ca = write(dir.path(), &authority);
    for (number, (lines, host)) in
        [("host = \"app.example:8443\"", "app.example:8443"), ("keep_host = true", "site.test")].into_iter().enumerate()
    {
        let world = before(&format!(
            "[[upstream]]\nservers = [\"https://{}\"]\ntls_name = \"app.internal\"\nca_file = {ca}\n{lines}\n",
            site.address()
        ))
        .await;
        for (way, line) in WAYS.into_iter().enumerate() {
            let target = format!("/page{number}{way}");
            assert_eq!(ask(world.proxy().listen.public, "site.test", &target, line).await.status, 200, "{lines}");
            let seen = site.only(&target);
            assert_eq!((seen.sni.as_deref(), seen.header("host")), (Some("app.internal"), Some(host)), "{seen:?}");
        }
    }
    // The authorities of the file are the only ones.
    let other = write(dir.path(), &Authority::new());
    let world = before(&format!(
        "[[upstream]]\nservers = [\"https://{}\"]\ntls_name = \"app.internal\"\nca_file = {other}\n",
        site.address()
    ))
    .await;
    assert_eq!(ask(world.proxy().listen.public, "site.test", "/other", WAYS[0]).await.status, 502);
}

#[tokio::test]
async fn an_answer_that_tls_has_not_ended_is_not_taken_for_whole() {
    let authority = Authority::new();
    let site = Server::tls("secure", authority.certify("127.0.0.1")).await;
    let world = trusting(&authority, &[format!("https://{}", site.address())]).await;
    for line in WAYS {
        let whole = ask(world.proxy().listen.public, "site.test", "/until-close", line).await;
        assert!(whole.text.ends_with("6\r\nsecure\r\n0\r\n\r\n"), "{line}: {whole:?}");
        let cut = ask(world.proxy().listen.public, "site.test", "/cut", line).await;
        assert!(cut.status == 502 || !cut.text.ends_with("0\r\n\r\n"), "{line}: {cut:?}");
    }
}

#[tokio::test]
async fn an_answer_under_tls_is_read_as_any_other() {
    let authority = Authority::new();
    let site = Server::tls("secure", authority.certify("127.0.0.1")).await;
    let world = trusting(&authority, &[format!("https://{}", site.address())]).await;
    for line in WAYS {
        let answer = ask(world.proxy().listen.public, "site.test", "/trailers", line).await;
        assert!(answer.text.ends_with("4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n"), "{line}: {answer:?}");
        for path in ["/two-lengths", "/two-codings"] {
            let answer = ask(world.proxy().listen.public, "site.test", path, line).await;
            assert!(answer.status == 502 && !answer.text.contains("body"), "{line}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_client_of_http2_reaches_a_site_under_tls() {
    let (authority, identity) = (Authority::new(), Identity::new());
    let site = Server::tls("secure", authority.certify("127.0.0.1")).await;
    let dir = tempfile::tempdir().expect("a directory");
    identity.write(dir.path());
    let path = |name: &str| format!("{:?}", dir.path().join(name));
    let upstream = format!(
        "[[upstream]]\nservers = [\"https://{}\"]\nca_file = {}\n",
        site.address(),
        write(dir.path(), &authority)
    );
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("site.upstream", "")
        .key("tls.certificate", &path("site.pem"))
        .key("tls.key", &path("site.key"))
        .routes(&upstream);
    let world = World::with(setup).await;
    let mut client = identity.http2(world.proxy().listen.public).await;
    for number in 0..10 {
        assert_eq!(client.get(&format!("/page{number}"), None).await.status().as_u16(), 200);
    }
    let seen = site.only("/page9");
    let own = site.address().to_string();
    assert_eq!((seen.header("host"), seen.header("x-forwarded-host")), (Some(own.as_str()), Some("site.test")));
    assert!(seen.connection < 8, "connections are used again: {seen:?}");
}

#[tokio::test]
async fn http2_is_agreed_on_under_tls_or_refused() {
    let authority = Authority::new();
    let mut tls = ServerConfig::clone(&authority.certify("127.0.0.1"));
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let (listener, tls) = (TcpListener::bind("127.0.0.1:0").await.expect("a port"), TlsAcceptor::from(Arc::new(tls)));
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((_, mut answer))) = connection.accept().await {
                    let head = http::Response::new(());
                    let mut body = answer.send_response(head, false).expect("a stream");
                    body.send_data(Bytes::from_static(b"over h2"), true).expect("a stream");
                }
            });
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let ca = write(dir.path(), &authority);
    let older = Server::tls("older", authority.certify("127.0.0.1")).await;
    for (address, expected) in [(address, 200), (older.address(), 502)] {
        let upstream = format!("[[upstream]]\nservers = [\"https://{address}\"]\nca_file = {ca}\n");
        let setup = Setup::new(Arrangement::AllPostgres).key("site.upstream", "").key("proxy.http2", "true");
        let world = World::with(setup.routes(&upstream)).await;
        for _ in 0..3 {
            let answer = ask(world.proxy().listen.public, "site.test", "/page", WAYS[0]).await;
            assert!(answer.status == expected, "{answer:?}");
        }
        if expected == 502 {
            world.proxy().logs("does not speak HTTP/2").await;
        } else {
            assert!(!world.proxy().process.log().contains("does not speak HTTP/2"));
        }
    }
    served.abort();
}

#[tokio::test]
async fn check_says_what_to_write_for_a_port_of_tls() {
    let world = World::start(Arrangement::AllPostgres).await;
    world.proxy().rewrite(|text| {
        let kept = text.lines().filter(|line| !line.starts_with("site.upstream"));
        format!("site.upstream = [\"app.example:443\"]\n{}", kept.collect::<Vec<_>>().join("\n"))
    });
    let output = world.tollgate(&["check"]).await;
    let told = output.failure();
    assert!(told.contains("site.upstream") && told.contains("write \"https://app.example\""), "{told}");
}
