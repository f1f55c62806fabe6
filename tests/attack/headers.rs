//! Identity that a client writes itself: in every spelling, on every kind of route.

use std::collections::BTreeMap;

use super::case::status;
use crate::world::http::RawAnswer;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Received, Setup, World, eventually, token};

/// Header lines with which a client tries to be somebody, by the advisory or by what is odd about them.
const SPOOFS: [(&str, &str); 21] = [
    ("CVE-2026-30851 Caddy", "X-Entitlement-Tier: business"),
    ("CVE-2026-31908 APISIX", "X-Entitlement-Account: admin"),
    ("CVE-2026-33433 Traefik, case", "X-ENTITLEMENT-TIER: business"),
    ("lower case", "x-entitlement-tier: business"),
    ("CVE-2026-52845 Caddy, underscores", "X_Entitlement_Tier: business"),
    ("CVE-2025-64484 oauth2-proxy", "x_entitlement_account: admin"),
    ("CVE-2026-39858 Traefik, mixed", "X-Entitlement_Tier: business"),
    ("CVE-2026-54763 Traefik, mixed", "x_entitlement-tier: business"),
    ("dots, as PHP folds them", "X.Entitlement.Tier: business"),
    ("other signs", "X!Entitlement~Tier: business"),
    ("CVE-2026-26308 Envoy, twice", "X-Entitlement-Tier: paid\r\nX-Entitlement-Tier: business"),
    ("CVE-2026-31838 Istio, a list", "X-Entitlement-Tier: paid,business"),
    ("a forged assertion", "X-Entitlement-Assertion: eyJhbGciOiJub25lIn0.e30."),
    ("CVE-2026-39998 APISIX, features", "X-Entitlement-Features: archive,export"),
    ("CVE-2026-49230 APISIX, status", "x-entitlement-status: active"),
    ("CVE-2026-63439 2FAuth", "X-Entitlement-Account: 1"),
    ("what is not written now", "X-Entitlement-Valid-Until: 2099-01-01T00:00:00Z\r\nX-Entitlement-Degraded: stale"),
    ("of a later version", "X-Entitlement-Something-Of-The-Future: yes"),
    ("nothing behind the prefix", "X-Entitlement-: business"),
    ("empty", "X-Entitlement-Tier:"),
    ("very many", "X-Entitlement-A: 1\r\nX-Entitlement-B: 1\r\nX-Entitlement-C: 1\r\nX_Entitlement_D: 1"),
];

/// Lines that no honest client writes: refused, or at least harmless.
const MALFORMED: [&str; 8] = [
    "X-Entitlement-Tier : business",
    "X-Entitlement-Tier\t: business",
    "X-Harmless: a\r\n X-Entitlement-Tier: business",
    "X-Entitlement-Tier: business\r\n folded",
    "X-Harmless: a\nX-Entitlement-Tier: business",
    "X-Harmless: a\rX-Entitlement-Tier: business",
    "X-Entitlement-Tier\0: business",
    ": X-Entitlement-Tier: business",
];

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// One way to the site.
struct Way {
    name: &'static str,
    route: &'static str,
    /// More lines, each with its end.
    lines: String,
}

/// Without a credential, with one, in shadow mode, and as a WebSocket.
fn ways(paying: &str) -> Vec<Way> {
    let way = |name, route, lines: &[&str]| {
        let lines = lines.iter().map(|line| line.trim_end().to_owned() + "\r\n").collect();
        Way { name, route, lines }
    };
    vec![
        way("public", "/welcome", &["Connection: close"]),
        way("public, signed in", "/welcome", &["Connection: close", paying]),
        way("gated", "/premium", &["Connection: close", paying]),
        way("signed in", "/signed-in", &["Connection: close", paying]),
        way("shadow", "/shadowed", &["Connection: close"]),
        way("shadow, signed in", "/shadowed", &["Connection: close", paying]),
        way("CVE-2026-63329 Warpgate, WebSocket", "/welcome", &[WEBSOCKET]),
        way("CVE-2026-63329 Warpgate, gated WebSocket", "/premium", &[WEBSOCKET, paying]),
    ]
}

#[tokio::test]
async fn no_spelling_of_an_identity_reaches_the_site_on_any_way() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    for way in ways(&paying) {
        let honest = ask(&world, &way, "").await.expect("an honest request passes");
        for (name, lines) in SPOOFS {
            let received = ask(&world, &way, &format!("{lines}\r\n")).await;
            let received = received.unwrap_or_else(|| panic!("{}, {name}: an ordinary request is refused", way.name));
            assert_eq!(identity(&received), identity(&honest), "{}, {name}: {}", way.name, received.head);
        }
        for lines in MALFORMED {
            if let Some(received) = ask(&world, &way, &format!("{lines}\r\n")).await {
                assert_eq!(identity(&received), identity(&honest), "{}, {lines:?}: {}", way.name, received.head);
            }
        }
    }
}

#[tokio::test]
async fn what_the_gate_does_not_know_stays_unsaid_when_it_lets_pass_without_knowing() {
    let routes = "[[route]]\npath = \"/lenient/**\"\nrequire = { tier = \"paid\" }\non_error = \"allow\"\n";
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(routes).relays()).await;
    world.relays[0].cut();
    let lines = format!("Connection: close\r\nAuthorization: Bearer {}\r\n", token(&unique("cold")));
    let way = Way { name: "let pass unknown", route: "/lenient", lines };
    let honest = ask(&world, &way, "").await.expect("it is let pass");
    let known: Vec<&str> = honest.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(known.contains(&"x-entitlement-degraded") && !known.contains(&"x-entitlement-tier"), "{known:?}");
    for (name, lines) in SPOOFS {
        let received = ask(&world, &way, &format!("{lines}\r\n")).await.expect("it is let pass");
        assert_eq!(identity(&received), identity(&honest), "{name}: {}", received.head);
    }
}

#[tokio::test]
async fn a_second_try_is_as_clean_as_the_first() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    // The site takes the request on a connection that it had kept, and hangs up: it is sent again on a new one.
    world.upstream.answer("/hangs-up", "");
    let way = Way { name: "again", route: "/premium/hangs-up", lines: format!("Connection: close\r\n{paying}\r\n") };
    let spoof = "X-Entitlement-Tier: business\r\nX_Entitlement_Account: admin\r\nForwarded: for=10.0.0.1\r\n";
    // A connection is not kept for long: on a slow machine it may be gone before it is used again.
    let tries = eventually("it is tried again", async || {
        send(&world, "/welcome/first", "Connection: close\r\n").await;
        let path = format!("{}/{}", way.route, unique("page"));
        send(&world, &path, &format!("{}{spoof}", way.lines)).await;
        let tries = world.upstream.received_with(&path);
        (tries.len() >= 2).then_some(tries)
    })
    .await;
    for received in tries {
        assert_eq!(received.header("x-entitlement-tier"), Some("paid"));
        assert_eq!(identity(&received)["x-entitlement-tier"], ["paid"]);
        assert!(!received.head.contains("admin") && !received.head.contains("for=10.0.0.1"), "{}", received.head);
    }
}

#[tokio::test]
async fn a_trailer_is_no_header() {
    let world = World::start(Arrangement::AllPostgres).await;
    let path = format!("/welcome/{}", unique("trailer"));
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nTrailer: X-Entitlement-Tier\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Entitlement-Tier: business\r\nAuthorization: x\r\n\r\n"
    );
    assert_eq!(status(world.proxy().listen.public, request.as_bytes()).await, Some(200));
    let received = world.upstream.only(&path);
    assert_eq!(received.body, b"hello");
    assert!(!received.head.to_lowercase().contains("entitlement") && received.header("authorization").is_none());
}

/// What a `Connection` header may not name, as the next hop would remove it. The advisories are CVE-2024-45410 Traefik,
/// CVE-2025-48865 Fabio, CVE-2021-33197 Go, CVE-2026-55458 Caddy, CVE-2026-105299 Pingora and capsule-proxy's #189.
const NOMINATED: [&str; 22] = [
    "X-Entitlement-Tier",
    "x-entitlement-account",
    "X_Entitlement_Tier",
    "X.Entitlement.Tier",
    "X-Entitlement-Assertion",
    "keep-alive, X-Entitlement-Tier",
    "close,x-entitlement-tier,close",
    "Authorization",
    "AUTHORIZATION",
    "Cookie",
    "close, cookie",
    "Host",
    "Content-Length",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Real-IP",
    "Forwarded",
    ":authority",
    "\"X-Entitlement-Tier\"",
    "X-Entitlement-Tier;x",
    "a, b, c, d, e, f, g, h, i, j, k",
];

#[tokio::test]
async fn nothing_that_the_gate_reads_or_writes_can_be_dropped_on_the_way() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    for nominated in NOMINATED {
        for credential in [paying.clone(), format!("Cookie: session={}", paying.rsplit(' ').next().expect("a token"))] {
            let path = format!("/premium/{}", unique("nominated"));
            let answer = send(&world, &path, &format!("Connection: {nominated}\r\n{credential}\r\n")).await;
            assert!(answer.is_none_or(|answer| answer.status == 400), "{nominated}");
            assert!(world.upstream.received_with(&path).is_empty(), "{nominated}");
        }
    }
    // Two lines are one list (RFC 9110 section 5.3).
    let path = format!("/premium/{}", unique("nominated"));
    let lines = format!("Connection: close\r\nConnection: X-Entitlement-Tier\r\n{paying}\r\n");
    assert_eq!(send(&world, &path, &lines).await.map(|answer| answer.status), Some(400));
    // What is hop-by-hop may be named, and does not pass.
    let path = format!("/premium/{}", unique("nominated"));
    let lines = format!(
        "Connection: close, TE, X-Of-This-Hop\r\nTE: trailers\r\nX-Of-This-Hop: a\r\nKeep-Alive: 5\r\n{paying}\r\n"
    );
    assert_eq!(send(&world, &path, &lines).await.map(|answer| answer.status), Some(200));
    let received = world.upstream.only(&path);
    for name in ["te", "x-of-this-hop", "keep-alive", "connection"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("x-entitlement-tier"), Some("paid"));
}

#[tokio::test]
async fn the_site_sees_the_cookies_and_credentials_that_the_gate_saw() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paying = super::paying(&world).await;
    let token = paying.rsplit(' ').next().expect("a token");
    let path = format!("/premium/{}", unique("crumbs"));
    let lines = format!("Cookie: a=1\r\nCookie: session={token}\r\nCookie: b=2\r\nConnection: close\r\n");
    assert_eq!(send(&world, &path, &lines).await.map(|answer| answer.status), Some(200));
    assert_eq!(world.upstream.only(&path).header("cookie"), Some(format!("a=1; session={token}; b=2").as_str()));
    // CVE-2021-32777 Envoy: of several values only one was checked.
    for second in ["Authorization: Bearer x", "authorization: Basic eDp5", paying.as_str()] {
        let path = format!("/premium/{}", unique("several"));
        let answer = send(&world, &path, &format!("{paying}\r\n{second}\r\nConnection: close\r\n")).await;
        assert!(answer.is_some_and(|answer| matches!(answer.status, 400 | 401)), "{second}");
        assert!(world.upstream.received_with(&path).is_empty(), "{second}");
    }
}

/// Asks for a new page on a way; what the site received, when it was let through.
async fn ask(world: &World, way: &Way, lines: &str) -> Option<Received> {
    let path = format!("{}/{}", way.route, unique("page"));
    let answer = send(world, &path, &format!("{}{lines}", way.lines)).await;
    let answered = answer.map_or(400, |answer| answer.status);
    // The site answers an upgrade with 200, which is none.
    assert!(matches!(answered, 200 | 400 | 502), "{}, {lines:?}: {answered}", way.name);
    (answered != 400).then(|| world.upstream.only(&path))
}

/// Sends a GET with these lines, each with its end, and reads the head of the answer.
async fn send(world: &World, path: &str, lines: &str) -> Option<RawAnswer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\n{lines}\r\n");
    let answer = crate::world::http::raw_start(world.proxy().listen.public, request).await;
    (!answer.is_empty()).then(|| RawAnswer::parse(answer))
}

/// The identity headers that the site received, without what differs from request to request.
fn identity(received: &Received) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let folded = |name: &str| name.to_ascii_lowercase().replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
    for (name, value) in &received.headers {
        if !folded(name).starts_with("x-entitlement") {
            continue;
        }
        let ours = *name == "x-entitlement-assertion" && value.split('.').count() == 3 && !value.ends_with('.');
        headers.entry(name.clone()).or_default().push(if ours { "a token".to_owned() } else { value.clone() });
    }
    headers
}
