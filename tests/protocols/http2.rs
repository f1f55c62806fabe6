//! HTTP/2 in front, under TLS, and behind.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::Client;
use super::secure::{Identity, NAME, piece};
use super::site::Site;
use crate::world::process::signal;
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Output, Setup, World, eventually, token};

/// A gate that speaks TLS.
pub struct Secure {
    pub world: World,
    pub site: Site,
    pub identity: Identity,
    dir: tempfile::TempDir,
}

impl Secure {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(keys: &[(&str, &str)]) -> Self {
        let (site, identity) = (Site::start().await, Identity::new());
        let dir = tempfile::tempdir().expect("a directory");
        identity.write(dir.path());
        let path = |name: &str| format!("{:?}", dir.path().join(name));
        let setup = Setup::new(Arrangement::AllPostgres)
            .upstream(site.address)
            .key("tls.certificate", &path("site.pem"))
            .key("tls.key", &path("site.key"));
        let setup = keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value));
        Self { world: World::with(setup).await, site, identity, dir }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.world.proxy().listen.public
    }
}

#[tokio::test]
async fn both_protocols_are_spoken_under_tls_and_nothing_without() {
    let secure = Secure::start().await;
    let mut client = secure.identity.http2(secure.address()).await;
    let response = client.get("/page", None).await;
    assert_eq!((response.status(), response.version()), (200.into_status(), http::Version::HTTP_2));
    assert_eq!(client.get("/premium/page", None).await.status(), 401.into_status());

    let mut older = secure.identity.connect(secure.address(), &["http/1.1"]).await.expect("TLS");
    let request = format!("GET /page HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    older.write_all(request.as_bytes()).await.expect("it takes it");
    let mut answer = String::new();
    // A connection that ends without a word of TLS is an error that comes after the answer.
    let _ = older.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let mut plain = Client::connect(secure.address()).await;
    plain.send(b"GET /page HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(plain.try_head().await, None, "nothing is said in clear");
}

#[tokio::test]
async fn who_never_begins_is_let_go() {
    let secure = Secure::with(&[("limits.header_time", "\"1s\"")]).await;
    let mut no_tls = Client::connect(secure.address()).await;
    let mut no_preface = secure.identity.connect(secure.address(), &["h2"]).await.expect("TLS");
    let mut no_request = secure.identity.http2(secure.address()).await;
    let mut in_use = secure.identity.http2(secure.address()).await;
    assert_eq!(in_use.get("/page", None).await.status(), 200.into_status());
    no_tls.ends().await;
    let mut rest = Vec::new();
    // A connection that is cut off has ended, too.
    let _ = no_preface.read_to_end(&mut rest).await;
    no_request.ended().await;
    assert_eq!(in_use.get("/page", None).await.status(), 200.into_status());
    secure.world.proxy().has_let_go("header_time", 3.0).await;
}

/// A status from its number.
trait IntoStatus {
    fn into_status(self) -> http::StatusCode;
}

impl IntoStatus for u16 {
    fn into_status(self) -> http::StatusCode {
        http::StatusCode::from_u16(self).expect("a status")
    }
}

#[tokio::test]
async fn without_tls_there_is_no_http2() {
    let world = World::start(Arrangement::AllPostgres).await;
    let mut client = Client::connect(world.proxy().listen.public).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    let head = client.try_head().await.unwrap_or_default();
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{head:?}");
}

#[tokio::test]
async fn a_new_certificate_is_served_from_a_hangup_on_and_a_bad_one_never() {
    let secure = Secure::start().await;
    let mut kept = secure.identity.http2(secure.address()).await;
    let process = secure.world.proxy().process.id();
    let log = || secure.world.proxy().process.log();
    let (old, new) = (&secure.identity, Identity::new());
    // Half of each, and one that has expired.
    std::fs::write(secure.dir.path().join("site.key"), &new.key).expect("it is written");
    signal(process, "HUP");
    eventually("it is refused", async || log().contains("not that of the certificate").then_some(())).await;
    Identity::until(2020).write(secure.dir.path());
    signal(process, "HUP");
    eventually("it is refused", async || log().contains("has expired at 2020-01-01").then_some(())).await;
    assert!(old.connect(secure.address(), &["h2"]).await.is_some(), "the old one is served");

    new.write(secure.dir.path());
    signal(process, "HUP");
    eventually("the new one is served", async || new.connect(secure.address(), &["h2"]).await).await;
    assert!(old.connect(secure.address(), &["h2"]).await.is_none());
    assert_eq!(kept.get("/page", None).await.status(), 200.into_status(), "who was connected stays so");
}

#[tokio::test]
async fn check_says_what_is_wrong_with_a_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "tls.certificate = \"site.pem\"\ntls.key = \"site.key\"\n";
    std::fs::write(dir.path().join("tollgate.toml"), config).expect("it is written");
    let check = async || -> Output {
        let limit = std::time::Duration::from_secs(30);
        let secret = [("TOLLGATE_JWT_SECRET".to_owned(), crate::world::token::SECRET.to_owned())];
        crate::world::tollgate::tollgate(dir.path(), &secret, limit, &["check"]).await
    };
    assert!(check().await.failure().contains("tls.certificate = \"site.pem\" cannot be read"));
    let good = Identity::new();
    good.write(dir.path());
    let output = check().await.success();
    assert!(output.contains("certificate until 4000-01-01"), "{output}");
    std::fs::write(dir.path().join("site.key"), &Identity::new().key).expect("it is written");
    assert!(check().await.failure().contains("not that of the certificate"));
    std::fs::write(dir.path().join("site.key"), "nothing").expect("it is written");
    assert!(check().await.failure().contains("no private key"));
    Identity::until(2020).write(dir.path());
    assert!(check().await.failure().contains("has expired at 2020-01-01"));
}

#[tokio::test]
async fn one_stream_of_a_connection_ends_with_the_subscription_and_the_others_go_on() {
    let secure = Secure::start().await;
    let account = unique("streamer");
    let subscription = Subscription::of(&unique("cus"));
    let token = token(&account);
    deliver(&secure, &checkout_completed(Some(&account), &subscription.customer, &subscription.id)).await;
    deliver(&secure, &subscription.event("created")).await;
    let mut client = secure.identity.http2(secure.address()).await;
    eventually("it may enter", async || {
        (client.get("/premium/page", Some(&token)).await.status() == 200.into_status()).then_some(())
    })
    .await;
    let mut paid = client.get("/premium/events", Some(&token)).await.into_body();
    let mut open = client.get("/open/events", Some(&token)).await.into_body();
    for body in [&mut paid, &mut open] {
        assert_eq!(piece(body).await.as_deref(), Some(b"data: welcome\n\n".as_slice()));
    }
    deliver(&secure, &subscription.ended().event("deleted")).await;
    while piece(&mut paid).await.is_some() {}
    assert!(!paid.is_end_stream(), "it was cut off, and the client knows");
    secure.site.say("more");
    assert_eq!(piece(&mut open).await.as_deref(), Some(b"data: more\n\n".as_slice()));
    assert_eq!(client.get("/premium/page", Some(&token)).await.status(), 402.into_status());
}

/// Delivers a webhook to billing itself, as the public listener speaks TLS.
async fn deliver(secure: &Secure, event: &crate::world::stripe::Event) {
    let (body, second) = (event.body(), crate::world::in_seconds(0));
    let signature = crate::world::stripe::signature(&body, second, &crate::world::stripe::SECRETS[..1]);
    let url = format!("http://{}/api/stripe/webhook", secure.world.proxy().listen.billing);
    let request = crate::world::http::client().post(url).header("stripe-signature", signature).body(body);
    assert_eq!(crate::world::send(request).await.status, 200);
}

/// A site that speaks HTTP/2 alone: it answers a call with what it got, and says in the trailers how it went.
async fn grpc() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.expect("HTTP/2");
                while let Some(Ok((request, mut answer))) = connection.accept().await {
                    tokio::spawn(async move {
                        let tier = request.headers().get("x-entitlement-account").cloned();
                        let mut body = request.into_body();
                        let mut got = Vec::new();
                        while let Some(bytes) = piece(&mut body).await {
                            got.extend_from_slice(&bytes);
                        }
                        let head = http::Response::builder().header("content-type", "application/grpc");
                        let mut stream = answer.send_response(head.body(()).expect("a head"), false).expect("a client");
                        stream.send_data(got.into(), false).expect("a client");
                        let mut trailers = http::HeaderMap::new();
                        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                        if let Some(tier) = tier {
                            trailers.insert("x-saw", tier);
                        }
                        stream.send_trailers(trailers).expect("a client");
                    });
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_grpc_call_passes_with_its_trailers() {
    let (address, identity) = (grpc().await, Identity::new());
    let dir = tempfile::tempdir().expect("a directory");
    identity.write(dir.path());
    let path = |name: &str| format!("{:?}", dir.path().join(name));
    let setup = Setup::new(Arrangement::AllPostgres)
        .upstream(address)
        .key("proxy.http2", "true")
        .key("tls.certificate", &path("site.pem"))
        .key("tls.key", &path("site.key"));
    let world = World::with(setup).await;
    let client = identity.http2(world.proxy().listen.public).await;
    let account = unique("caller");
    for round in 0..3 {
        let request = http::Request::post(format!("https://{NAME}/signed-in/Service/Call"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", token(&account)))
            .body(())
            .expect("a request");
        let mut requests = client.requests.clone().ready().await.expect("a connection");
        let (response, mut sending) = requests.send_request(request, false).expect("a stream");
        let message = Bytes::from(vec![b'm'; 100_000 * (round + 1)]);
        let length = message.len();
        sending.reserve_capacity(length);
        sending.send_data(message, true).expect("a stream");
        let response = response.await.expect("an answer");
        assert_eq!(response.status(), 200.into_status());
        let mut body = response.into_body();
        let mut got = 0;
        while let Some(bytes) = piece(&mut body).await {
            got += bytes.len();
        }
        assert_eq!(got, length);
        let trailers = body.trailers().await.expect("no fault").expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["x-saw"], account.as_str(), "the application was told who calls");
    }
}
