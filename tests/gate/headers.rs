//! The site receives no identity header that the gate did not write in this very request.

use std::collections::BTreeMap;

use crate::world::http::raw_head;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Received, Setup, World, raw_get};

/// Header lines with which a client tries to be somebody.
const SPOOFS: [&[&str]; 11] = [
    &["X-Entitlement-Tier: business"],
    &["x-entitlement-tier: business"],
    &["X-ENTITLEMENT-TIER: business", "X-Entitlement-Account: admin"],
    &["X_Entitlement_Tier: business"],
    &["X-Entitlement_Tier: business", "x_entitlement-tier: business"],
    &["X-Entitlement-Tier: business", "X-Entitlement-Tier: enterprise"],
    &["X-Entitlement-Assertion: forged", "X_ENTITLEMENT_ASSERTION: forged"],
    &["X-Entitlement-Valid-Until: 2099-01-01T00:00:00Z", "X-Entitlement-Degraded: stale"],
    &["X-Entitlement-Something-Of-The-Future: yes"],
    &["Connection: X-Entitlement-Tier", "X-Entitlement-Tier: business"],
    &["Connection: keep-alive, x_entitlement_tier", "x_entitlement_tier: business"],
];

/// Lines that no honest client writes: refused, or at least harmless.
const MALFORMED: [&[&str]; 4] = [
    &["X-Entitlement-Tier : business"],
    &["X-Entitlement-Tier\t: business"],
    &["X-Harmless: a", " X-Entitlement-Tier: business"],
    &["X-Entitlement-Tier: business\r\n folded"],
];

#[tokio::test]
async fn no_spelling_of_an_identity_header_reaches_the_site_from_a_client() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = super::paying(&world).await;
    let signed_in = format!("Authorization: Bearer {token}");
    for (route, credential) in [
        ("/welcome", None),
        ("/welcome", Some(signed_in.as_str())),
        ("/signed-in", Some(&signed_in)),
        ("/premium", Some(&signed_in)),
        ("/shadowed", None),
        ("/shadowed", Some(&signed_in)),
    ] {
        let honest = ask(&world, route, credential, &[]).await.expect("an honest request passes");
        for spoof in SPOOFS {
            let Some(received) = ask(&world, route, credential, spoof).await else {
                // To nominate our header for removal may be refused.
                assert!(spoof[0].starts_with("Connection"), "{route} {spoof:?} is an ordinary request");
                continue;
            };
            assert_eq!(stable(&received), stable(&honest), "{route}, {spoof:?}");
        }
        for spoof in MALFORMED {
            if let Some(received) = ask(&world, route, credential, spoof).await {
                assert_eq!(stable(&received), stable(&honest), "{route}, {spoof:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_upgrade_is_gated_and_cleaned_like_any_request() {
    let world = World::start(Arrangement::AllPostgres).await;
    let upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let public = world.proxy().listen.public;
    let request = |path: &str, more: &[&str]| {
        let lines = [&upgrade[..], more].concat().join("\r\n");
        format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\n{lines}\r\n\r\n")
    };
    let stranger = raw_head(public, request("/premium/socket", &[])).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");

    let spoof = ["X-Entitlement-Tier: business", "X_Entitlement_Tier: business"];
    let token = format!("Authorization: Bearer {}", super::paying(&world).await);
    // The site does not speak websocket and answers 200; what counts is what it was sent.
    raw_head(public, request("/premium/socket-paid", &[&spoof[..], &[&token]].concat())).await;
    let received = world.upstream.only("/premium/socket-paid");
    assert_eq!(received.header("upgrade"), Some("websocket"));
    assert_eq!(received.header("x-entitlement-tier"), Some("paid"));
    assert_eq!(stable(&received), stable(&ask(&world, "/premium", Some(&token), &[]).await.expect("it passes")));
}

#[tokio::test]
async fn a_client_cannot_have_its_credential_dropped_on_the_way_to_the_site() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = super::paying(&world).await;
    let authorization = format!("Authorization: Bearer {token}");
    let cookie = format!("Cookie: session={token}");
    for (credential, nominated) in [(&authorization, "Authorization"), (&cookie, "Cookie")] {
        let path = format!("/premium/{}", unique("nominated"));
        let nomination = format!("Connection: {nominated}");
        let answer = raw_get(world.proxy().listen.public, &path, &[credential, &nomination]).await;
        assert_eq!(answer.status, 400, "{nominated}: {answer:?}");
        assert!(world.upstream.received_with(&path).is_empty(), "{nominated}");
    }
}

#[tokio::test]
async fn what_the_gate_writes_survives_being_nominated_for_removal() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = format!("Authorization: Bearer {}", super::paying(&world).await);
    for name in ["X-Entitlement-Tier", "X-Entitlement-Account", "X-Entitlement-Assertion"] {
        let nomination = format!("Connection: {name}");
        let Some(received) = ask(&world, "/premium", Some(&token), &[&nomination]).await else { continue };
        assert!(received.header(name).is_some(), "{name} was lost");
        let left = received.header("connection").unwrap_or_default().to_ascii_lowercase();
        assert!(!left.contains("x-entitlement"), "the next hop would remove {name}: {left}");
    }
}

#[tokio::test]
async fn an_answer_to_one_account_is_not_for_a_shared_cache() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = super::paying(&world).await;
    let answer = world.get("/premium/one", Some(&token)).await;
    assert!(answer.header("cache-control").contains("private"), "{answer:?}");
    let vary: Vec<String> = answer
        .headers
        .get_all("vary")
        .iter()
        .map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase())
        .collect();
    let vary = vary.join(",");
    for name in ["cookie", "authorization", "accept-encoding"] {
        assert!(vary.contains(name), "Vary names {name}: {vary}");
    }
}

#[tokio::test]
async fn overriding_the_method_is_not_passed_on() {
    let setup = Setup::new(Arrangement::AllPostgres)
        .routes("[[route]]\npath = \"/docs/**\"\nmethods = [\"POST\"]\nrequire = { tier = \"paid\" }\n");
    let world = World::with(setup).await;
    let lines = ["X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"];
    let received = ask(&world, "/docs", None, &lines).await.expect("a GET is public");
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

/// Asks for a page below `route` over a bare socket; what the site received, when it was let through.
async fn ask(world: &World, route: &str, credential: Option<&str>, lines: &[&str]) -> Option<Received> {
    let path = format!("{route}/{}", unique("page"));
    let lines: Vec<&str> = credential.into_iter().chain(lines.iter().copied()).collect();
    let answer = raw_get(world.proxy().listen.public, &path, &lines).await;
    assert!(matches!(answer.status, 200 | 400), "{path} {lines:?}: {answer:?}");
    (answer.status == 200).then(|| world.upstream.only(&path))
}

/// The identity headers, without what differs from request to request.
fn stable(received: &Received) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in received.identity() {
        let name = name.to_ascii_lowercase();
        let value = if name == "x-entitlement-assertion" && value.split('.').count() == 3 { "a token" } else { &value };
        headers.entry(name).or_default().push(value.to_owned());
    }
    headers
}
