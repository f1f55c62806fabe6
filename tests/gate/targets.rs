//! The path that the rules saw is the path on the wire; what can be read in two ways is refused.

use crate::world::http::{RawAnswer, raw};
use crate::world::stripe::unique;
use crate::world::{Arrangement, World, raw_get};

/// Targets that some server somewhere reads as `/premium/one`, or that nobody can read for sure.
const AMBIGUOUS: [&str; 34] = [
    "//premium/one",
    "/premium//one",
    "///premium/one",
    "/./premium/one",
    "/welcome/../premium/one",
    "/welcome/./../premium/one",
    "/welcome/%2e%2e/premium/one",
    "/welcome/%2E%2E/premium/one",
    "/welcome/.%2e/premium/one",
    "/welcome/..%2fpremium/one",
    "/welcome/%2e%2e%2fpremium/one",
    "/welcome/%252e%252e/premium/one",
    "/%2e/premium/one",
    "/%2fpremium/one",
    "/premium%2fone",
    "/premium%2Fone",
    "/premium%5cone",
    "/premium\\one",
    "\\premium\\one",
    "/welcome\\..\\premium\\one",
    "/premium;a=b/one",
    "/welcome/..;/premium/one",
    "/premium%3b/one",
    "/premium%00/one",
    "/premium/one%00",
    "/%70remium/%252fone",
    "/premium%252fone",
    "/%c0%afpremium/one",
    "/welcome/%c0%ae%c0%ae/premium/one",
    "/%ff/../premium/one",
    "premium/one",
    "site:/premium/one",
    "/premium/%zz",
    "/premium/%2",
];

/// Other spellings of a path, and what the site has to receive instead.
const CANONICAL: [(&str, &str); 5] = [
    ("/%70remium/one", "/premium/one"),
    ("/premium/%6Fne", "/premium/one"),
    ("/premium/one?a=%2F..%2f//b", "/premium/one?a=%2F..%2f//b"),
    ("/premium/%C3%BC", "/premium/%C3%BC"),
    ("/premium/%c3%bc", "/premium/%C3%BC"),
];

#[tokio::test]
async fn an_ambiguous_target_is_refused_for_everybody() {
    let world = World::start(Arrangement::AllPostgres).await;
    let credential = format!("Authorization: Bearer {}", super::paying(&world).await);
    let mut passed = Vec::new();
    for target in AMBIGUOUS {
        for lines in [&[][..], &[credential.as_str()]] {
            let answer = raw_get(world.proxy().listen.public, target, lines).await;
            if answer.status != 400 {
                passed.push((target, answer.status));
            }
        }
    }
    assert!(passed.is_empty(), "not refused: {passed:?}");
    let reached: Vec<String> = world.upstream.received().into_iter().map(|request| request.target).collect();
    assert!(reached.iter().all(|target| target == "/premium/hello"), "reached the site: {reached:?}");
}

#[tokio::test]
async fn a_target_with_another_spelling_is_gated_and_sent_as_it_was_matched() {
    let world = World::start(Arrangement::AllPostgres).await;
    let credential = format!("Authorization: Bearer {}", super::paying(&world).await);
    for (target, canonical) in CANONICAL {
        assert_eq!(raw_get(world.proxy().listen.public, target, &[]).await.status, 401, "{target}");
        let before = world.upstream.received().len();
        assert_eq!(raw_get(world.proxy().listen.public, target, &[&credential]).await.status, 200, "{target}");
        let received = world.upstream.received();
        assert_eq!(received.len(), before + 1, "{target}");
        assert_eq!(received[before].target, canonical, "{target}");
    }
}

#[tokio::test]
async fn other_forms_of_a_target_do_not_reach_a_gated_page() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    for first in [
        "GET http://site.test/premium/one HTTP/1.1",
        "GET http://premium/one HTTP/1.1",
        "GET http:/premium/one HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET site.test:80 HTTP/1.1",
        "CONNECT site.test:80 HTTP/1.1",
        "GET  /premium/one HTTP/1.1",
        "GET /premium/one",
        "GET ? HTTP/1.1",
    ] {
        let answer = raw(public, format!("{first}\r\nHost: site.test\r\nConnection: close\r\n\r\n")).await;
        // A connection that is closed without a word is a refusal too.
        if !answer.is_empty() {
            let answer = RawAnswer::parse(answer);
            assert!((400..500).contains(&answer.status), "{first}: {answer:?}");
        }
    }
    assert!(world.upstream.received().is_empty(), "{:?}", world.upstream.received());
    // A fragment is no part of a request (RFC 9110 section 7.1): refused, or not passed on.
    raw_get(public, "/welcome#/../premium/one", &[]).await;
    assert!(world.upstream.received().iter().all(|request| request.target == "/welcome"));
}

#[tokio::test]
async fn a_trailing_slash_is_another_path_but_below_the_rule_all_is_gated() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    for target in ["/premium", "/premium/", "/premium/one/", "/premium/one/two"] {
        assert_eq!(raw_get(public, target, &[]).await.status, 401, "{target}");
    }
}

#[tokio::test]
async fn a_request_without_one_clear_host_is_refused() {
    let world = World::start(Arrangement::AllPostgres).await;
    for hosts in ["", "Host: a.test\r\nHost: b.test\r\n", "Host:\r\n", "Host: a@b\r\n"] {
        let path = format!("/welcome/{}", unique("host"));
        let request = format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = RawAnswer::parse(raw(world.proxy().listen.public, request).await);
        assert_eq!(answer.status, 400, "{hosts:?}: {answer:?}");
        assert!(world.upstream.received_with(&path).is_empty(), "{hosts:?}");
    }
}

#[tokio::test]
async fn a_second_request_is_not_smuggled_in_the_body_of_the_first() {
    let world = World::start(Arrangement::AllPostgres).await;
    let public = world.proxy().listen.public;
    let hidden = "GET /premium/smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n";
    let length = hidden.len();
    let requests = [
        format!(
            "POST /welcome HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /welcome HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"
        ),
        format!(
            "POST /welcome HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{hidden}"
        ),
        format!("POST /welcome HTTP/1.0\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("GET /premium/one HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("GET /welcome HTTP/1.1\r\nHost: site.test\r\n\r\n{hidden}"),
    ];
    for request in requests {
        let closing = request.replacen("Host: site.test\r\n", "Host: site.test\r\nConnection: close\r\n", 1);
        raw(public, closing).await;
        assert!(world.upstream.received_with("smuggled").is_empty(), "{request}");
    }
}
