//! What the site may take a path for: the same page in another letter case, or at another address of its framework.

use crate::world::http::{RawAnswer, raw};
use crate::world::stripe::unique;
use crate::world::{Arrangement, Setup, World, token};

const ROUTES: &str = r#"
[[route]]
path = "/downloads/*.pdf"
require = { tier = "paid" }

[[route]]
path = "/@*/posts"
require = { signed_in = true }

[[route]]
path = "/img/**"
require = { public = true }
raw = true

[[route]]
path = "/@*"
require = { public = true }
raw = true

[[route]]
path = "/paid/**"
require = { tier = "paid" }

[[route]]
path = "/premium/**"
require = { tier = "paid" }
"#;

async fn world(keys: &[(&str, &str)]) -> World {
    let setup = Setup::new(Arrangement::AllPostgres).routes(ROUTES);
    World::with(keys.iter().fold(setup, |setup, (key, value)| setup.key(key, value))).await
}

/// The status for a GET of exactly this target, and its code when it was refused.
async fn status(world: &World, target: &str, token: Option<&str>) -> (u16, bool) {
    let credential = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n{credential}Connection: close\r\n\r\n");
    let before = world.upstream.received().len();
    let answer = RawAnswer::parse(raw(world.proxy().listen.public, request).await);
    let received: Vec<String> = world.upstream.received()[before..].iter().map(|one| one.target.clone()).collect();
    assert!(received.is_empty() || received == [target], "{target} is sent as it came: {received:?}");
    (answer.status, !received.is_empty())
}

#[tokio::test]
async fn a_page_asks_for_the_same_in_every_letter_case() {
    let world = world(&[]).await;
    let (payer, free) = (super::paying(&world).await, token(&unique("free")));
    for (target, anonymous, of_free, of_payer) in [
        ("/PAID/report", 401, 402, 200),
        ("/Paid/REPORT", 401, 402, 200),
        ("/Downloads/A.PDF", 401, 402, 200),
        ("/FREE/report", 200, 200, 200),
        // Nobody's name: the Kelvin sign, and the long s.
        ("/%E2%84%AA/x", 400, 400, 400),
        ("/%C5%BF/x", 400, 400, 400),
        // Letters of names, refused only where they spell a rule.
        ("/pa%C4%B1d/x", 400, 400, 400),
        ("/kad%C4%B1n", 200, 200, 200),
        ("/stra%C3%9Fe", 200, 200, 200),
    ] {
        for (who, status_of, expected) in
            [("anonymous", None, anonymous), ("free", Some(&free), of_free), ("payer", Some(&payer), of_payer)]
        {
            let (status, reached) = status(&world, target, status_of.map(String::as_str)).await;
            assert_eq!((status, reached), (expected, expected == 200), "{target} for {who}");
        }
    }
    // What is Tollgate's own is never the site's.
    for target in
        ["/BILLING/pricing", "/Api/Billing/subscription", "/API/STRIPE/webhook", "/.well-known/Tollgate/jwks.json"]
    {
        assert!(!status(&world, target, None).await.1, "{target}");
    }
    let answer =
        raw(world.proxy().listen.public, "GET /%E2%84%AA HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
            .await;
    assert!(answer.contains("ambiguous_case"), "{answer}");
}

#[tokio::test]
async fn a_site_that_tells_letter_cases_apart_has_two_pages() {
    let world = world(&[("site.case_sensitive", "true")]).await;
    for (target, expected) in [("/PAID/report", 200), ("/paid/report", 401), ("/%E2%84%AA/x", 200), ("/BILLING/x", 200)]
    {
        assert_eq!(status(&world, target, None).await.0, expected, "{target}");
    }
}

#[tokio::test]
async fn a_page_asks_for_the_same_at_each_address_that_its_framework_gives_it() {
    for (framework, addresses) in [
        (
            "nextjs",
            &[
                "/_next/data/BUILD/paid/x.json",
                "/paid.rsc",
                "/paid.segments/_tree.segment.rsc",
                "/_next/image?url=%2Fpaid%2Fa.png&w=64&q=75",
                "/en/paid/x",
                "/_next/data/BUILD/en/PAID/x.json",
            ][..],
        ),
        ("remix", &["/paid.data", "/paid/x.data", "/paid/_.data"][..]),
        ("rails", &["/paid.json", "/paid/x.xml"][..]),
        ("aspnet", &["/paid./x", "/paid%20/x", "/paid~1/x", "/(S(abc))/paid/x"][..]),
    ] {
        let world = world(&[("site.framework", &format!("\"{framework}\""))]).await;
        let payer = super::paying(&world).await;
        for target in addresses {
            assert_eq!(status(&world, target, None).await, (401, false), "{framework} {target}");
            assert_eq!(status(&world, target, Some(&payer)).await, (200, true), "{framework} {target}");
        }
        for target in ["/free/x", "/_next/static/main.js", "/assets/app.css"] {
            assert_eq!(status(&world, target, None).await.0, 200, "{framework} {target}");
        }
        let explained = world.tollgate(&["explain", "route", "GET", addresses[0]]).await;
        assert!(explained.stdout.contains("401"), "{framework}: {}", explained.stdout);
    }
}

#[tokio::test]
async fn check_warns_of_addresses_that_a_framework_would_leave_open() {
    let unknown = world(&[("site.framework", "\"\"")]).await;
    let checked = unknown.tollgate(&["check"]).await;
    let text = format!("{}{}", checked.stdout, checked.stderr);
    assert!(text.contains("site.framework") && text.contains("/_next/data/BUILD/"), "{text}");
    for (framework, default) in [("\"none\"", "{ public = true }"), ("\"\"", "{ signed_in = true }")] {
        let told = world(&[("site.framework", framework), ("default.require", default)]).await;
        let checked = told.tollgate(&["check"]).await;
        let text = format!("{}{}", checked.stdout, checked.stderr);
        assert!(!text.contains("site.framework"), "{framework}: {text}");
    }
}

#[tokio::test]
async fn a_star_inside_a_segment_stands_for_a_part_of_it() {
    let world = world(&[]).await;
    for (target, expected) in [
        ("/downloads/a.pdf", 401),
        ("/downloads/a.txt", 200),
        ("/downloads/a/b.pdf", 200),
        ("/@me/posts", 401),
        ("/%40me/posts", 401),
        ("/me/posts", 200),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let answer = RawAnswer::parse(raw(world.proxy().listen.public, request).await);
        assert_eq!(answer.status, expected, "{target}");
    }
}

#[tokio::test]
async fn a_raw_route_lets_pass_what_no_reading_of_has_a_rule() {
    let world = world(&[]).await;
    for (target, expected) in [
        ("/img/https://a.example/b.png", 200),
        ("/img/a;v=1/b", 200),
        ("/@scope%2Fname", 200),
        ("/@scope%2fname?x=//", 200),
        // As `/@scope/posts` it is for those who are signed in.
        ("/@scope%2Fposts", 400),
        ("/@scope%2FPOSTS", 400),
        ("/img/..%2Fpaid/x", 400),
        ("/img/%2e%2e//paid/x", 400),
        ("/img//..;/paid/x", 400),
        ("/@a%5Cposts", 400),
        ("/free//x", 400),
        ("//img/x", 400),
    ] {
        assert_eq!(status(&world, target, None).await, (expected, expected == 200), "{target}");
    }
}
