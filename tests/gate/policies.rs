//! What a route may ask for beside a tier, and how a refusal is told.

use super::paying;
use crate::world::http::raw_get;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, eventually, send, token};

const ROUTES: &str = r#"
[[route]]
path = "/premium/**"
require = { tier = "paid" }

[[route]]
path = "/both/**"
require = { tier = "paid", feature = "export" }

[[route]]
path = "/either/**"
require = { any = [{ tier = "business" }, { feature = "archive" }] }

[[route]]
path = "/**"
hosts = ["team.test", "*.team.test"]
require = { tier = "business" }

[[route]]
path = "/api/**"
require = { tier = "paid" }
cors_origins = ["https://app.test"]

[[route]]
path = "/slow/**"
require = { public = true }
timeout = "1s"

[[route]]
path = "/strict/**"
require = { public = true }
invalid_token = "deny"

[[route]]
path = "/shadowed/**"
require = { tier = "paid" }
mode = "shadow"
"#;

async fn world() -> World {
    World::with(Setup::new(Arrangement::AllPostgres).routes(ROUTES)).await
}

#[tokio::test]
async fn a_bad_token_on_a_public_page_is_nobodys_unless_the_route_says_otherwise() {
    let world = world().await;
    let good = token(&unique("reader"));
    for (path, token, status) in [
        ("/open/a", Some("bad"), 200),
        ("/strict/a", Some("bad"), 401),
        ("/strict/a", None, 200),
        ("/strict/a", Some(good.as_str()), 200),
    ] {
        let answer = world.get(path, token).await;
        assert_eq!(answer.status, status, "{path} {token:?}: {answer:?}");
        if status == 401 {
            assert_eq!(answer.code(), "invalid_token");
        }
    }
    assert!(world.upstream.only("/open/a").identity().is_empty());
}

#[tokio::test]
async fn requirements_can_be_combined() {
    let world = world().await;
    let (payer, free) = (paying(&world).await, token(&unique("free")));
    for (path, token, status) in
        [("/both/a", &payer, 402), ("/either/a", &payer, 200), ("/either/a", &free, 402), ("/both/a", &free, 402)]
    {
        let answer = world.get(path, Some(token)).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let refused = world.get("/both/a", Some(&payer)).await.json();
    assert_eq!(refused["required"]["all"][0]["tier"], "paid", "{refused}");
}

#[tokio::test]
async fn a_rule_for_a_host_is_for_that_host_however_it_is_written() {
    let world = world().await;
    let public = world.proxy().listen.public;
    for (host, status) in [
        ("team.test", 401),
        ("TEAM.test:8080", 401),
        ("team.test.", 401),
        ("a.team.test", 401),
        ("site.test", 200),
        ("team.test.evil.test", 200),
        ("ateam.test", 200),
    ] {
        let request = format!("GET /page HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = crate::world::http::raw_head(public, request).await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    let forged = raw_get(public, "/page", &["X-Forwarded-Host: team.test"]).await;
    assert_eq!(forged.status, 200, "nobody is trusted to say another host: {forged:?}");
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_call_and_read_refusals() {
    let world = world().await;
    let asks = async |method: &str, origin: &str| {
        let request = world.request(method, "/api/things", None).header("origin", origin);
        send(request.header("access-control-request-method", "POST")).await
    };
    let preflight = asks("OPTIONS", "https://app.test").await;
    assert_eq!(preflight.status, 200, "the site answers it: {preflight:?}");
    assert_eq!(world.upstream.only("/api/things").identity(), [], "without anybody's identity");
    let refused = asks("POST", "https://app.test").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "https://app.test"));
    assert_eq!(refused.header("access-control-allow-credentials"), "true");
    assert_eq!(refused.header("vary"), "Origin");
    for method in ["OPTIONS", "POST"] {
        let other = asks(method, "https://evil.test").await;
        assert_eq!(other.status, 401, "{method}: {other:?}");
        assert!(!other.headers.contains_key("access-control-allow-origin"), "{method}: {other:?}");
    }
    let unlisted = world.request("OPTIONS", "/premium/a", None).header("origin", "https://app.test");
    let unlisted = send(unlisted.header("access-control-request-method", "GET")).await;
    assert_eq!(unlisted.status, 401, "a route that names no origin: {unlisted:?}");
}

#[tokio::test]
async fn a_route_has_its_own_patience_with_the_site() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let setup = Setup::new(Arrangement::AllPostgres).routes(ROUTES).upstream(address);
    let world = World::with(setup).await;
    let answer = world.get("/slow/page", None).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"), "{answer:?}");
}

#[tokio::test]
async fn a_refusal_is_a_page_for_people_and_a_document_for_programs() {
    let world = world().await;
    let free = token(&unique("free"));
    let asks =
        async |accept: &str| send(world.request("POST", "/premium/form", Some(&free)).header("accept", accept)).await;
    let page = asks("text/html,*/*;q=0.8").await;
    assert_eq!((page.status, page.header("content-type")), (402, "text/html; charset=utf-8"), "{page:?}");
    assert!(page.body.contains("/billing/pricing"), "it says where to pay: {page:?}");
    let document = asks("*/*").await;
    assert_eq!((document.status, document.header("content-type")), (402, "application/problem+json"), "{document:?}");
    for answer in [page, document] {
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn what_a_shadowed_route_would_have_refused_is_counted_and_logged() {
    let world = world().await;
    let account = unique("free");
    let answer = world.get("/shadowed/page", Some(&token(&account))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let admin = world.proxy().listen.admin;
    let line = r#"tollgate_requests_total{reason="payment_required",route="/shadowed/**",verdict="shadow"} 1"#;
    eventually("it is counted", async || raw_get(admin, "/metrics", &[]).await.text.contains(line).then_some(())).await;
    let logged = |log: &str| {
        log.lines().any(|line| line.contains(&account) && line.contains("shadow") && line.contains("payment_required"))
    };
    eventually("it is logged", async || logged(&world.proxy().process.log()).then_some(())).await;
}
