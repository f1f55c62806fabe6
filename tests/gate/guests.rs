//! Feeds, crawlers and monitors: a route lets them in by their address or a token, as nobody, and the token goes no further than the gate.

use std::net::SocketAddr;

use super::front::get_from;
use super::paying;
use crate::world::http::{raw, raw_get};
use crate::world::setup::ROUTES;
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, eventually, send, token};

const TOKEN: &str = "0123456789abcdef-of-the-feed";
const OLD: &str = "fedcba9876543210-of-the-feed";

const FEED: &str = r#"
[[route]]
path = "/feed/**"
require = { tier = "paid" }
allow = [
  { address = "127.0.0.8/30" },
  { token_env = "FEED_TOKEN", query = "token" },
  { token_env = "FEED_TOKEN", header = "X-Feed-Token" },
]
"#;

fn setup() -> Setup {
    Setup::new(Arrangement::AllPostgres)
        .routes(&format!("{FEED}{ROUTES}"))
        .environment("FEED_TOKEN", &format!("{TOKEN}, {OLD}"))
        .environment("RUST_LOG", "debug,h2=info,hyper=info,sqlx=info")
}

/// No line of what the site or the log got has a token.
async fn is_secret(world: &World) {
    for received in world.upstream.received() {
        let text = format!("{received:?}");
        assert!(!text.contains(TOKEN) && !text.contains(OLD), "the site got a token: {text}");
    }
    let log = eventually("the log has the requests", async || {
        let log = std::fs::read_to_string(world.dir().join("tollgate.log")).expect("a log");
        log.contains("/feed/").then_some(log)
    })
    .await;
    assert!(!log.contains(TOKEN) && !log.contains(OLD), "a token is in the log");
}

#[tokio::test]
async fn a_token_lets_in_as_nobody_and_reaches_neither_the_site_nor_the_log() {
    for fast_path in ["true", "false"] {
        let world = World::with(setup().key("proxy.fast_path", fast_path)).await;
        let gate = world.proxy().listen.public;
        let (query, old) = (format!("?a=b&token={TOKEN}&c"), format!("?token={OLD}"));
        let header = format!("X-Feed-Token: {TOKEN}");
        for (query, line, left) in
            [(&*query, "X-Other: 1", "?a=b&c"), (old.as_str(), "X-Other: 1", ""), ("", header.as_str(), "")]
        {
            let path = format!("/feed/{}", unique("page"));
            let answer = raw_get(gate, &format!("{path}{query}"), &[line]).await;
            assert_eq!(answer.status, 200, "{query} {line}: {answer:?}");
            let received = world.upstream.only(&path);
            assert_eq!((received.target.clone(), received.header("x-feed-token")), (format!("{path}{left}"), None));
            assert_eq!(world.upstream.only(&path).identity(), [], "it is of no account");
            let head = answer.text.to_ascii_lowercase();
            assert_eq!(head.contains("referrer-policy: strict-origin\r\n"), !query.is_empty(), "{head}");
            assert!(head.contains("cache-control: private"), "{head}");
        }
        for query in ["?token=".to_owned(), format!("?token={TOKEN}x"), format!("?token={TOKEN}&token={TOKEN}")] {
            let page = world.browse(&format!("/feed/a{query}&x=1"), None).await;
            assert_eq!((page.status, page.header("location")), (303, "/login?next=%2Ffeed%2Fa%3Fx%3D1"), "{query}");
            assert_eq!(page.header("referrer-policy"), "strict-origin");
        }
        // A token opens its own route alone, and reaches no other.
        assert_eq!(raw_get(gate, &format!("/premium/a?token={OLD}x"), &[&header]).await.status, 401);
        let page = format!("/welcome/{}", unique("page"));
        let referer = format!("Referer: http://site.test/feed/a?token={TOKEN}");
        assert_eq!(raw_get(gate, &page, &[&header, &referer]).await.status, 200);
        let received = world.upstream.only(&page);
        assert_eq!((received.header("referer"), received.header("x-feed-token")), (None, None), "{received:?}");
        for (query, left) in [
            (format!("?a=b&token={TOKEN}"), "?a=b"),
            (format!("?key={OLD}&c"), "?c"),
            (format!("?a=b;token={TOKEN}&c"), "?c"),
            (format!("?{TOKEN}"), ""),
        ] {
            let page = format!("/welcome/{}", unique("page"));
            let answer = raw_get(gate, &format!("{page}{query}"), &[]).await;
            assert_eq!((answer.status, world.upstream.only(&page).target), (200, format!("{page}{left}")), "{query}");
            assert!(answer.text.to_ascii_lowercase().contains("referrer-policy: strict-origin\r\n"), "{answer:?}");
            let sent = world.browse(&format!("/premium/a{query}"), None).await;
            let encoded = left.replace('?', "%3F").replace('=', "%3D");
            assert_eq!(sent.header("location"), format!("/login?next=%2Fpremium%2Fa{encoded}"), "{query}");
        }
        let own = format!("/welcome/{}", unique("page"));
        let reset = format!("{own}?token=of-the-site");
        assert_eq!(raw_get(gate, &reset, &["Referer: http://site.test/reset?token=of-the-site"]).await.status, 200);
        assert!(world.upstream.only(&own).target == reset && world.upstream.only(&own).header("referer").is_some());
        for head in ["Bad Header", "X-Feed-Token : x", "Host: other.test", "X: \u{1}"] {
            let broken = format!("GET /feed/a?token={TOKEN} HTTP/1.1\r\nHost: site.test\r\n{head}\r\n{header}\r\n\r\n");
            assert!(!raw(gate, broken).await.contains(" 200 "), "{head}");
        }
        raw(gate, format!("GET /feed/a?token={TOKEN} HTTP/9.9\r\n{header}\r\n\r\n")).await;
        is_secret(&world).await;
        let passed =
            world.proxy().metric("tollgate_requests_total", &["route=\"/feed/**\"", "reason=\"let_in\""]).await;
        assert!((passed - 3.0).abs() < f64::EPSILON, "{passed}");
    }
}

#[tokio::test]
async fn users_are_themselves_beside_a_token_as_long_as_they_pass_by_themselves() {
    let world = World::with(setup()).await;
    let payer = paying(&world).await;
    let ask = async |token: &str| {
        let path = format!("/feed/{}", unique("page"));
        let answer = send(world.request("GET", &format!("{path}?token={TOKEN}"), Some(token))).await;
        let told = (answer.status == 200).then(|| world.upstream.only(&path).identity().len());
        (answer.status, told.unwrap_or_default())
    };
    let (status, told) = ask(&payer).await;
    assert!(status == 200 && told > 0, "{status} {told}");
    assert_eq!(ask(&token(&unique("reader"))).await, (200, 0), "a free user is let in as anybody is");
    assert_eq!(ask("garbage").await, (200, 0));
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&payer).expect("a token").claims;
    // An ambiguous request is let in by nothing.
    let both = world.request("GET", &format!("/feed/a?token={TOKEN}"), Some(&payer));
    let both = send(both.header("cookie", format!("session={}", token(&unique("reader"))))).await;
    assert_eq!((both.status, both.json()["code"].as_str()), (401, Some("ambiguous_identity")), "{both:?}");
    world.tollgate(&["account", "block", claims["sub"].as_str().expect("an account")]).await.success();
    eventually("a blocked account is refused", async || (ask(&payer).await.0 == 403).then_some(())).await;
}

#[tokio::test]
async fn an_address_lets_in_when_it_is_the_clients_own() {
    let world = World::with(setup().key("proxy.trusted_proxies", "[\"127.0.0.2\", \"127.0.0.9\"]")).await;
    let gate: SocketAddr = world.proxy().listen.public;
    for (source, lines, expected) in [
        ("127.0.0.10:0", &[] as &[&str], 200),
        ("127.0.0.11:0", &["X-Forwarded-For: 192.0.2.1"], 200),
        ("127.0.0.1:0", &[], 401),
        ("127.0.0.1:0", &["X-Forwarded-For: 127.0.0.10", "X-Real-IP: 127.0.0.10"], 401),
        ("127.0.0.2:0", &["X-Forwarded-For: 127.0.0.10"], 200),
        ("127.0.0.2:0", &["X-Forwarded-For: 192.0.2.1, 127.0.0.10"], 200),
        ("127.0.0.2:0", &["X-Forwarded-For: 127.0.0.10, 192.0.2.1"], 401),
        // A proxy is no visitor, whatever it does not say.
        ("127.0.0.9:0", &[], 401),
        ("127.0.0.9:0", &["X-Forwarded-For: unknown"], 401),
    ] {
        let path = format!("/feed/{}", unique("page"));
        let answer = get_from(source, gate, &path, lines).await;
        assert_eq!(answer.status, expected, "{source} {lines:?}: {answer:?}");
        if expected == 200 {
            assert_eq!(world.upstream.only(&path).identity(), [], "{source}");
        }
    }
}

#[tokio::test]
async fn a_gateway_that_asks_is_told_the_same() {
    let setup = setup().key("decide.gateways", "[\"127.0.0.1\"]").key("proxy.trusted_proxies", "[\"127.0.0.1\"]");
    let world = World::with(setup).await;
    let ask = async |target: &str, client: &str, header: &str| {
        let request = world.request("GET", "/decide", None).header("x-forwarded-method", "GET");
        let request = request.header("x-forwarded-uri", target).header("x-forwarded-for", client);
        send(request.header("x-feed-token", header).header("accept", "text/html")).await
    };
    let query = format!("/feed/a?token={TOKEN}");
    for (target, client, header) in
        [(&*query, "192.0.2.1", ""), ("/feed/a", "127.0.0.10", ""), ("/feed/a", "192.0.2.1", TOKEN)]
    {
        let answer = ask(target, client, header).await;
        assert_eq!((answer.status, answer.header("x-entitlement-account")), (200, ""), "{target} {client}: {answer:?}");
        assert!(answer.headers.contains_key("x-entitlement-account"), "{answer:?}");
    }
    let refused = ask(&format!("/feed/a?token={TOKEN}x&b=1"), "192.0.2.1", "").await;
    assert!(refused.header("location").ends_with("/login?next=%2Ffeed%2Fa%3Fb%3D1"), "{refused:?}");
    let form = world.request("GET", "/decide", None).header("x-forwarded-method", "POST");
    let form = form.header("x-forwarded-uri", "/premium/a").header("hx-request", "true");
    let form = send(form.header("hx-current-url", format!("{}/feed/a?token={TOKEN}", world.url))).await;
    assert!(form.header("hx-redirect").ends_with("/login?next=%2F"), "{form:?}");
    is_secret(&world).await;
}

#[tokio::test]
async fn no_answer_of_the_gate_tells_of_the_address_that_it_answers() {
    let world = World::with(setup()).await;
    let gate = world.proxy().listen.public;
    let free = format!("Authorization: Bearer {}", token(&unique("reader")));
    for (path, line, status) in [
        ("/feed//a", "X-A: 1", 400),
        ("/welcome", "Content-Length: 1, 1", 400),
        ("/welcome", "X A: 1", 400),
        ("/feed/a", "X-A: 1", 401),
        ("/feed/a", free.as_str(), 402),
    ] {
        let answer = raw_get(gate, &format!("{path}?a={TOKEN}"), &[line]).await;
        let head = answer.text.to_ascii_lowercase();
        assert_eq!(
            (answer.status, head.contains("referrer-policy: strict-origin\r\n")),
            (status, true),
            "{path} {line}: {head}"
        );
    }
    world.upstream.answer("/welcome/fails", "");
    let failed = raw_get(gate, &format!("/welcome/fails?a={TOKEN}"), &[]).await;
    assert_eq!(failed.status, 502, "{failed:?}");
    assert!(failed.text.to_ascii_lowercase().contains("referrer-policy: strict-origin\r\n"), "{failed:?}");
}

#[tokio::test]
async fn what_cannot_let_in_is_told_before_it_runs() {
    let world = World::with(setup()).await;
    let said = world.tollgate(&["check"]).await.success();
    let told = "lets in 127.0.0.8/30, ?token= with FEED_TOKEN, x-feed-token with FEED_TOKEN";
    assert!(said.contains(told) && !said.contains(TOKEN), "{said}");
    let explained = world.tollgate(&["explain", "route", "GET", "/feed/a"]).await.success();
    assert!(explained.contains(told) && explained.contains("try them with --address and --token"), "{explained}");
    for (arguments, verdict) in [
        (&["--token", TOKEN][..], "pass, let in as nobody"),
        (&["--token", "0123456789abcdef-of-another"], "401 sign_in"),
        (&["--address", "127.0.0.9"], "pass, let in as nobody"),
        (&["--address", "127.0.0.1"], "401 sign_in"),
    ] {
        let explained = world.tollgate(&[&["explain", "route", "GET", "/feed/a"], arguments].concat()).await.success();
        assert!(explained.contains(&format!("verdict   {verdict}\n")), "{arguments:?}: {explained}");
    }
    let premium = world.tollgate(&["explain", "route", "GET", "/premium/a", "--token", TOKEN]).await.success();
    assert!(premium.contains("verdict   401 sign_in\n"), "{premium}");
    for (value, expected) in [("", "FEED_TOKEN is not set"), ("short-hidden", "holds something that is no token")] {
        let refused = world.tollgate_with(("FEED_TOKEN", value), &["check"]).await;
        assert!(refused.failure().contains(expected) && !refused.failure().contains("hidden"), "{refused:?}");
    }
}
