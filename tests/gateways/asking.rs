//! Which connections may ask for decisions, and whose `/decide` is for all others: the site's.

use super::ask::{asked, bearer, header};
use crate::world::http::RawAnswer;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, ports};

/// Every way to write a request for the path of decisions.
const TARGETS: [&str; 6] =
    ["/decide", "/decide/", "/decide?for=nginx", "/decide/premium/page", "/%64ecide", "/decid%65/open?a=b"];

const DESCRIBED: [&str; 2] = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /open"];

async fn with(keys: &[(&str, &str)]) -> World {
    let setup = Setup::new(Arrangement::AllPostgres);
    World::with(keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value))).await
}

/// Asks as a visitor would, who is signed in, and maybe says who he is.
async fn visited(world: &World, target: &str, account: &str) -> RawAnswer {
    let (bearer, client) = (bearer(account), "X-Forwarded-For: 192.0.2.7");
    asked(world.proxy().listen.public, "GET", target, &[DESCRIBED[0], DESCRIBED[1], &bearer, client]).await
}

/// Every request for the path of decisions reaches the site, and no answer holds an identity.
async fn is_the_sites(world: &World) {
    let account = unique("visitor");
    for target in TARGETS {
        let before = world.upstream.received().len();
        let answer = visited(world, target, &account).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(header(&answer, "x-entitlement-assertion"), "", "{target}: {answer:?}");
        assert_eq!(header(&answer, "x-entitlement-account"), "", "{target}: {answer:?}");
        assert_eq!(world.upstream.received().len(), before + 1, "{target} is a page of the site");
    }
}

/// What `explain route` says of `/decide`.
async fn explained(world: &World) -> String {
    world.tollgate(&["explain", "route", "GET", "/decide/x"]).await.success()
}

#[tokio::test]
async fn without_gateways_and_trusted_proxies_the_path_is_the_sites() {
    let world = with(&[]).await;
    is_the_sites(&world).await;
    let explained = explained(&world).await;
    assert!(explained.contains("pass") && !explained.contains("decide    "), "{explained}");
}

#[tokio::test]
async fn while_no_gateway_is_named_a_trusted_proxy_gets_403_and_the_log_names_the_line() {
    let world = with(&[("proxy.trusted_proxies", "[\"127.0.0.1\"]")]).await;
    let account = unique("visitor");
    for target in TARGETS {
        let answer = visited(&world, target, &account).await;
        assert_eq!(answer.status, 403, "{target}: {answer:?}");
        assert!(answer.text.contains("decide_not_configured"), "{target}: {answer:?}");
        assert!(!answer.text.to_lowercase().contains("x-entitlement-"), "{target}: {answer:?}");
    }
    for target in ["/decided", "/a/decide"] {
        assert_eq!(visited(&world, target, &account).await.status, 200, "{target} is no path of decisions");
    }
    let received = world.upstream.received();
    assert!(received.iter().all(|request| request.target.contains("decided") || request.target.contains("/a/")));
    world.proxy().logs("decide.gateways = [").await;
    let log = world.proxy().process.log();
    assert!(log.contains("decide.gateways = [") && log.contains("127.0.0.1"), "{log}");
    assert_eq!(log.matches("decide.gateways = [").count(), 1, "once, not for each request: {log}");
    let explained = explained(&world).await;
    assert!(explained.contains("403 decide_not_configured"), "{explained}");
}

#[tokio::test]
async fn where_nobody_asks_the_path_is_the_sites() {
    let world = with(&[("proxy.trusted_proxies", "[\"127.0.0.1\"]"), ("decide.path", "\"\"")]).await;
    is_the_sites(&world).await;
    assert!(!explained(&world).await.contains("decide    "));
}

#[tokio::test]
async fn a_visitor_behind_a_trusted_balancer_gets_the_sites_page_and_no_assertion() {
    let world = with(&[("proxy.trusted_proxies", "[\"127.0.0.1\"]"), ("decide.gateways", "[\"192.0.2.1\"]")]).await;
    is_the_sites(&world).await;
    let explained = explained(&world).await;
    assert!(explained.contains("decide.gateways (192.0.2.1)"), "{explained}");
}

#[tokio::test]
async fn a_gateway_asks_on_the_public_listener_at_the_configured_path_however_that_is_written() {
    for path in ["/gate/ask", "/gate/ask/", "/g%61te/ask"] {
        let path = format!("{path:?}");
        let world = with(&[("decide.gateways", "[\"::ffff:127.0.0.1\"]"), ("decide.path", &path)]).await;
        let public = world.proxy().listen.public;
        let answer =
            asked(public, "GET", "/gate/ask", &["X-Forwarded-Method: GET", "X-Forwarded-Uri: /premium/a"]).await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert_eq!(asked(public, "GET", "/gate/ask/premium/a", &[]).await.status, 401, "{path}");
        assert_eq!(asked(public, "GET", "/gate/ask/open", &[]).await.status, 200, "{path}");
        assert!(world.upstream.received().is_empty(), "no question reaches the site");
        is_the_sites(&world).await;
    }
}

#[tokio::test]
async fn a_listener_of_its_own_answers_questions_and_the_public_one_has_the_sites_path() {
    let place = ports::free();
    let listen = format!("\"{place}\"");
    let world = with(&[("listen.decide", &listen), ("proxy.trusted_proxies", "[\"127.0.0.1\"]")]).await;
    let account = unique("visitor");
    let signed_in = bearer(&account);
    let answer = asked(place, "GET", "/decide", &["X-Forwarded-Uri: /signed-in/page", &signed_in]).await;
    assert_eq!((answer.status, header(&answer, "x-entitlement-account")), (200, account.as_str()), "{answer:?}");
    assert_eq!(asked(place, "GET", "/decide/premium/page", &[]).await.status, 401);
    for target in ["/", "/premium/page", "/decided", "/billing"] {
        let answer = asked(place, "GET", target, &[&signed_in]).await;
        assert_eq!(answer.status, 404, "{target}: {answer:?}");
    }
    assert!(world.upstream.received().is_empty(), "nothing goes on from there");
    is_the_sites(&world).await;
    assert!(!explained(&world).await.contains("decide    "));
}

#[tokio::test]
async fn a_listener_of_its_own_may_be_for_named_gateways_alone() {
    let place = ports::free();
    let listen = format!("\"{place}\"");
    let world = with(&[("listen.decide", &listen), ("decide.gateways", "[\"192.0.2.1\"]")]).await;
    let answer = asked(place, "GET", "/decide", &DESCRIBED).await;
    assert!(answer.status == 403 && answer.text.contains("untrusted_gateway"), "{answer:?}");
    is_the_sites(&world).await;
}

#[tokio::test]
async fn in_the_path_form_headers_of_the_client_overrule_nothing() {
    let world = super::ask::world().await;
    let (public, free) = (world.proxy().listen.public, bearer(&unique("free")));
    // Of /premium, a POST needs more than a GET; what is below /team is for one host alone.
    let cases: [(&str, &[&str], u16); 11] = [
        ("POST", &[], 402),
        ("POST", &["X-Forwarded-Method: GET"], 400),
        ("POST", &["X-Original-Method: GET"], 400),
        ("POST", &["X-Forwarded-Method: OPTIONS", "Origin: https://a.test", "Access-Control-Request-Method: GET"], 400),
        ("POST", &["X-Forwarded-Method: POST", "X-Forwarded-Method: GET"], 400),
        ("POST", &["X-Forwarded-Host: other.test"], 400),
        ("POST", &["X-Forwarded-Host: site.test", "X-Forwarded-Host: other.test"], 400),
        ("POST", &["X-Forwarded-Host:"], 400),
        ("POST", &["X-Forwarded-Uri: /open"], 400),
        ("POST", &["X-Original-URI: /open"], 400),
        ("POST", &["X-Forwarded-Method: POST", "X-Forwarded-Host: SITE.test:80"], 402),
    ];
    for (method, lines, status) in cases {
        let lines: Vec<&str> = [free.as_str(), "Content-Length: 0"].into_iter().chain(lines.iter().copied()).collect();
        let answer = asked(public, method, "/decide/premium/page", &lines).await;
        assert_eq!(answer.status, status, "{method} {lines:?}: {answer:?}");
    }
    let answer = asked(public, "GET", "/decide/team/page", &["X-Forwarded-Host: team.test"]).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(world.upstream.received().is_empty(), "no question reaches the site");
}
