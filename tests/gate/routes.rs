//! Which rule decides, and what is never up to the rules.

use crate::world::setup::ROUTES;
use crate::world::stripe::{Event, unique};
use crate::world::{Arrangement, Setup, World, raw_get, token};

#[tokio::test]
async fn the_first_rule_that_matches_path_and_method_decides() {
    let routes = r#"
[[route]]
path = "/docs/free/**"
require = { public = true }

[[route]]
path = "/docs/*"
methods = ["POST"]
require = { tier = "paid" }

[[route]]
path = "/docs/**"
require = { signed_in = true }

[[route]]
path = "/exact"
require = { tier = "paid" }
"#;
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(routes)).await;
    let token = token(&unique("reader"));
    let cases = [
        ("GET", "/docs/free/a/b", None, 200),
        ("GET", "/docs/a", None, 401),
        ("GET", "/docs/a", Some(&token), 200),
        ("POST", "/docs/a", Some(&token), 402),
        ("POST", "/docs/a/b", Some(&token), 200),
        ("PUT", "/docs/a", Some(&token), 200),
        ("GET", "/docs", None, 401),
        ("GET", "/exact", None, 401),
        ("GET", "/exact?page=1", None, 401),
        ("GET", "/exact/below", None, 200),
        ("GET", "/exactly", None, 200),
        ("GET", "/documents", None, 200),
    ];
    for (method, path, token, status) in cases {
        let answer = crate::world::send(world.request(method, path, token.map(String::as_str))).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_page_of_a_get_rule_is_not_opened_by_head_or_by_lower_case() {
    let world = World::start(Arrangement::AllPostgres).await;
    for method in ["HEAD", "OPTIONS", "DELETE", "get", "TRACE", "BREW"] {
        let request = format!("{method} /premium/one HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let answer = crate::world::http::raw(world.proxy().listen.public, request).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{method}: {answer}");
    }
    assert!(world.upstream.received_with("/premium").is_empty());
}

#[tokio::test]
async fn a_head_is_answered_like_a_get_without_its_body() {
    let world = World::start(Arrangement::AllPostgres).await;
    let token = super::paying(&world).await;
    for (path, token) in [("/welcome", None), ("/premium/one", None), ("/premium/one", Some(token.as_str()))] {
        let get = crate::world::send(world.request("GET", path, token)).await;
        let head = crate::world::send(world.request("HEAD", path, token)).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn a_shadowed_rule_lets_pass_and_counts_what_it_would_have_denied() {
    let world = World::start(Arrangement::AllPostgres).await;
    let counted = async || world.proxy().metric("tollgate_requests_total", &["shadow"]).await;
    let before = counted().await;
    assert_eq!(world.get("/shadowed/one", None).await.status, 200);
    assert_eq!(world.get("/shadowed/two", Some(&token(&unique("free")))).await.status, 200);
    assert_eq!(world.upstream.received_with("/shadowed").len(), 2);
    assert_eq!(counted().await - before, 2.0);
}

#[tokio::test]
async fn the_webhook_is_never_gated() {
    let routes = format!("{ROUTES}\n[[route]]\npath = \"/api/**\"\nrequire = {{ tier = \"business\" }}\n");
    let setup = Setup::new(Arrangement::AllPostgres).routes(&routes).key("default.require", "{ signed_in = true }");
    let world = World::with(setup).await;
    assert_eq!(world.get("/api/anything", None).await.status, 401, "the site's own pages are");
    let answer = world.deliver(&Event::new("product.updated", serde_json::json!({ "id": "prod_1" }))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let unsigned = world.deliver_raw("{}", None).await;
    assert_eq!(unsigned.status, 400, "refused by the webhook, not by the gate: {unsigned:?}");
    assert_ne!(unsigned.code(), "sign_in");
}

#[tokio::test]
async fn what_is_for_operators_is_not_on_the_public_listener() {
    let world = World::start(Arrangement::AllPostgres).await;
    for path in ["/metrics", "/readyz", "/livez"] {
        let answer = world.get(path, None).await;
        assert_eq!(answer.body, crate::world::upstream::BODY, "{path} is the site's own page");
        assert_eq!(world.proxy().admin(path).await.status, 200, "{path}");
    }
    // What the proxies ask billing is not for the public either.
    let internal = world.get("/internal/entitlements/somebody", None).await;
    assert_eq!(internal.body, crate::world::upstream::BODY);
}

#[tokio::test]
async fn billing_believes_no_header_of_a_client() {
    let world = World::start(Arrangement::AllPostgres).await;
    let lines = ["X-Entitlement-Account: somebody", "X-Entitlement-Assertion: forged", "Accept: application/json"];
    let answer = raw_get(world.proxy().listen.public, "/api/billing/subscription", &lines).await;
    assert!(answer.status == 401 && answer.text.contains("\"sign_in\""), "{answer:?}");
}
