//! Methods that are spelled, named or overridden so that a rule for another one would hold.

use super::case::Verdict::{Denied, Refused, Sent};
use super::case::differs;
use crate::world::http::raw;
use crate::world::{Arrangement, Setup, World};

const ROUTES: &str = r#"
[[route]]
path = "/docs/**"
methods = ["GET"]
require = { public = true }

[[route]]
path = "/docs/**"
require = { tier = "paid" }

[[route]]
path = "/forms/**"
methods = ["POST", "PUT"]
require = { tier = "paid" }
"#;

#[tokio::test]
async fn a_rule_for_one_method_is_for_no_other() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(ROUTES)).await;
    let cases = [
        ("GET", "/docs/a", Sent("/docs/a")),
        ("HEAD", "/docs/a", Sent("/docs/a")),
        ("POST", "/docs/a", Denied(401)),
        ("DELETE", "/docs/a", Denied(401)),
        ("OPTIONS", "/docs/a", Denied(401)),
        ("M-SEARCH", "/docs/a", Denied(401)),
        // Many servers take it for GET or POST.
        ("get", "/docs/a", Denied(405)),
        ("Get", "/docs/a", Denied(405)),
        ("post", "/forms/a", Denied(405)),
        ("POSt", "/forms/a", Denied(405)),
        ("POST_", "/forms/a", Denied(405)),
        ("PUT", "/forms/a", Denied(401)),
        ("TRACE", "/docs/a", Denied(405)),
        ("TRACE", "/welcome", Denied(405)),
        ("CONNECT", "/docs/a", Refused),
        ("CONNECT", "site.test:80", Refused),
        ("OPTIONS", "*", Denied(400)),
        ("G(T", "/docs/a", Refused),
        ("", "/docs/a", Refused),
    ];
    for (method, target, verdict) in cases {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let outcome = differs(&world, request.as_bytes(), verdict).await;
        assert_eq!(outcome, None, "{method:?} {target} has to be {verdict:?}");
    }
    let request = "TRACE /docs/a HTTP/1.1\r\nHost: site.test\r\nCookie: a=secret\r\nConnection: close\r\n\r\n";
    let answer = raw(world.proxy().listen.public, request).await.to_lowercase();
    assert!(answer.contains("\r\nallow: get, ") && !answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn a_method_or_a_target_in_a_header_reaches_no_site() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(ROUTES)).await;
    let lines = [
        "X-HTTP-Method-Override: POST",
        "X-HTTP-Method: POST",
        "X-Method-Override: POST",
        "X_HTTP_METHOD_OVERRIDE: POST",
        "X.HTTP.Method.Override: POST",
        "X-Original-Method: POST",
        "X-Original-URL: /forms/secret",
        "X-Original-URI: /forms/secret",
        "X_Original_URL: /forms/secret",
        "X-Rewrite-URL: /forms/secret",
        // CVE-2026-35051 Traefik.
        "X-Forwarded-Prefix: /forms",
        // CVE-2026-40575 oauth2-proxy.
        "X-Forwarded-Uri: /docs/a",
        "X-Forwarded-Method: POST",
        // CVE-2025-29927 Next.js.
        "X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware",
        "x-middleware-subrequest: src/middleware",
        // CVE-2016-5385 and others, httpoxy.
        "Proxy: evil.test:3128",
        "PROXY: evil.test:3128",
    ];
    for line in lines {
        let name = line.split(':').next().expect("a name");
        let request = format!("GET /docs/a HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{line}\r\n\r\n");
        assert_eq!(differs(&world, request.as_bytes(), Sent("/docs/a")).await, None, "{line}");
        let received = world.upstream.received().pop().expect("it was sent");
        assert!(!received.head.to_lowercase().contains(&name.to_lowercase()), "{line}: {}", received.head);
    }
}
