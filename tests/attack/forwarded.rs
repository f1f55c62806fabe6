//! Addresses, schemes and hosts that a client claims: believed from a trusted proxy alone, and nobody is one by default.

use super::case::Verdict::Sent;
use super::case::differs;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Received, Setup, World};

/// What a client may claim, by the advisory or by who believes it.
const CLAIMS: [&str; 22] = [
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2",
    "x-forwarded-for: 127.0.0.1, 10.0.0.1",
    "X_Forwarded_For: 10.0.0.1",
    "X-Forwarded_For: 10.0.0.1",
    "X.Forwarded.For: 10.0.0.1",
    "X-Forwarded: for=10.0.0.1",
    "Forwarded: for=10.0.0.1;proto=https;host=10.0.0.1",
    "Forwarded-For: 10.0.0.1",
    "X-Real-IP: 10.0.0.1",
    "X_Real_IP: 10.0.0.1",
    "X-Client-IP: 10.0.0.1",
    "Client-IP: 10.0.0.1",
    "True-Client-IP: 10.0.0.1",
    "CF-Connecting-IP: 10.0.0.1",
    "X-Cluster-Client-IP: 10.0.0.1",
    // The scheme: an advisory of Oathkeeper, among others.
    "X-Forwarded-Proto: 10.0.0.1",
    "X-Forwarded-Host: 10.0.0.1",
    "X-Forwarded-Port: 10001",
    // What sign-in proxies write: CVE-2026-40574, CVE-2026-76835 oauth2-proxy.
    "X-Forwarded-User: 10.0.0.1",
    "X-Forwarded-Email: a@b@10.0.0.1",
    "X-Forwarded-Server: 10.0.0.1",
];

#[tokio::test]
async fn a_client_that_is_nobodys_proxy_chooses_nothing() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    for claim in CLAIMS {
        for (route, credential) in [("/welcome", ""), ("/premium", paying.as_str()), ("/shadowed", "")] {
            let line = if credential.is_empty() { String::new() } else { format!("{credential}\r\n") };
            let received = ask(&world, route, &format!("{claim}\r\n{line}")).await;
            assert!(
                !received.head.contains("10.0.0.") && !received.head.contains("10001"),
                "{claim}: {}",
                received.head
            );
            let told = ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host"];
            let told = told.map(|name| received.header(name).unwrap_or_default().to_owned());
            assert_eq!(told, ["127.0.0.1", "127.0.0.1", "http", "site.test"], "{claim}");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_as_far_as_it_can_know() {
    let setup = Setup::new(Arrangement::AllPostgres).key("proxy.trusted_proxies", "[\"127.0.0.0/8\", \"10.0.0.7\"]");
    let world = World::with(setup).await;
    // What it says, the chain that the site sees, and the client.
    let chains = [
        ("", "127.0.0.1", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        // The client wrote the first one itself.
        ("X-Forwarded-For: 10.0.0.7, 203.0.113.9\r\n", "10.0.0.7, 203.0.113.9, 127.0.0.1", "203.0.113.9"),
        (
            "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9, 10.0.0.7\r\n",
            "1.1.1.1, 203.0.113.9, 10.0.0.7, 127.0.0.1",
            "203.0.113.9",
        ),
        ("X-Forwarded-For: unknown\r\n", "unknown, 127.0.0.1", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 10.9.9.9\r\n", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        ("X_Forwarded_For: 203.0.113.9\r\n", "127.0.0.1", "127.0.0.1"),
        ("Forwarded: for=203.0.113.9\r\n", "127.0.0.1", "127.0.0.1"),
    ];
    for (lines, chain, client) in chains {
        let received = ask(&world, "/welcome", lines).await;
        assert_eq!(received.header("x-forwarded-for"), Some(chain), "{lines:?}");
        assert_eq!(received.header("x-real-ip"), Some(client), "{lines:?}");
        assert_eq!(received.header("forwarded"), None, "{lines:?}");
    }
    let lines = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: read.example\r\nX-Forwarded-Port: 443\r\nX-Forwarded-User: ann\r\n";
    let received = ask(&world, "/welcome", lines).await;
    let told = ["proto", "host", "port", "user"].map(|name| received.header(&format!("x-forwarded-{name}")));
    assert_eq!(told, [Some("https"), Some("read.example"), Some("443"), Some("ann")]);
    let lines =
        "X-Forwarded-Proto: javascript\r\nX-Forwarded-Host: a@b\r\nX-Forwarded-Port: x\r\nX-Entitlement-Tier: paid\r\n";
    let received = ask(&world, "/welcome", lines).await;
    let told = ["proto", "host", "port"].map(|name| received.header(&format!("x-forwarded-{name}")));
    assert_eq!(told, [Some("http"), Some("site.test"), None]);
    assert_eq!(received.identity(), [], "not even a trusted proxy says who has paid");
}

#[tokio::test]
async fn the_whole_internet_cannot_be_trusted() {
    let world = World::start(Arrangement::AllPostgres).await;
    for (networks, expected) in
        [("[\"0.0.0.0/0\"]", "everybody"), ("[\"::/0\"]", "everybody"), ("[\"lb\"]", "10.0.0.0/8")]
    {
        let config = world.dir().join("trusting.toml");
        std::fs::write(&config, format!("[proxy]\ntrusted_proxies = {networks}\n")).expect("it is written");
        let output = world.tollgate(&["check", "--config", config.to_str().expect("a path")]).await;
        assert!(output.code != 0 && output.stderr.contains(expected), "{networks}: {output:?}");
    }
}

#[tokio::test]
async fn who_asks_as_a_health_check_is_gated_like_everybody() {
    // CVE-2026-34457 oauth2-proxy: a user agent opened every page.
    let world = World::start(Arrangement::AllPostgres).await;
    for agent in ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "tollgate"] {
        let request =
            format!("GET /premium/one HTTP/1.1\r\nHost: site.test\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
        assert_eq!(differs(&world, request.as_bytes(), super::case::Verdict::Denied(401)).await, None, "{agent}");
    }
}

/// Asks for a new page with these lines, each with its end: what the site received.
async fn ask(world: &World, route: &str, lines: &str) -> Received {
    let path: &'static str = format!("{route}/{}", unique("page")).leak();
    let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{lines}\r\n");
    assert_eq!(differs(world, request.as_bytes(), Sent(path)).await, None, "{lines:?}");
    world.upstream.only(path)
}
