//! `/decide` itself: the same verdict in the words of each gateway.

use super::ask::{asked, bearer, header, world};
use crate::world::http::RawAnswer;
use crate::world::stripe::unique;

#[tokio::test]
async fn the_verdict_is_told_in_the_words_of_each_gateway() {
    let world = world().await;
    let public = world.proxy().listen.public;
    let free = bearer(&unique("free"));
    let (get, premium) = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /premium/page?a=b");
    let html = "Accept: text/html";
    let cases: [(&str, &[&str], u16, &str, &str); 16] = [
        ("/decide", &[get, "X-Forwarded-Uri: /open"], 200, "", ""),
        ("/decide", &[get, premium], 401, "", ""),
        ("/decide", &[get, premium, &free], 402, "", ""),
        ("/decide", &[get, premium, &free, html], 303, "", "/billing/pricing?next=%2Fpremium%2Fpage%3Fa%3Db"),
        ("/decide?for=nginx", &[get, premium], 401, "401", ""),
        ("/decide?for=nginx", &[get, premium, &free], 403, "402", ""),
        (
            "/decide?for=nginx",
            &[get, premium, &free, html],
            403,
            "402",
            "/billing/pricing?next=%2Fpremium%2Fpage%3Fa%3Db",
        ),
        ("/decide?for=nginx", &[get, "X-Forwarded-Uri: /open/%2e%2e/premium"], 403, "400", ""),
        ("/decide?for=nginx", &[get, "X-Forwarded-Uri: /open", "X-Entitlement-Future: 1"], 403, "400", ""),
        ("/decide?for=nginx", &[get, "X-Forwarded-Uri: /open", "X-Entitlement-Tier: business"], 200, "", ""),
        ("/decide?for=refused", &[get, premium, &free], 402, "", ""),
        ("/decide?for=refused", &[get, "X-Forwarded-Uri: /open"], 503, "", ""),
        ("/decide?for=traefik", &[get, "X-Forwarded-Uri: /open", "X-Forwarded-Somebody: 1"], 400, "", ""),
        ("/decide/premium/page", &[&free], 402, "", ""),
        ("/decide", &[get], 400, "", ""),
        ("/decide", &[get, "X-Forwarded-Uri: /open/%2e%2e/premium"], 400, "", ""),
    ];
    for (target, lines, status, would, location) in cases {
        let answer = asked(public, "GET", target, lines).await;
        assert_eq!(answer.status, status, "{target} {lines:?}: {answer:?}");
        assert_eq!(header(&answer, "x-tollgate-status"), would, "{target} {lines:?}: {answer:?}");
        let name = if would.is_empty() { "location" } else { "x-tollgate-location" };
        assert!(header(&answer, name).ends_with(location), "{target} {lines:?}: {answer:?}");
        assert!(location.is_empty() || header(&answer, name).starts_with(&world.url), "whole addresses: {answer:?}");
        names_every_header(&answer);
        assert_eq!(header(&answer, "cache-control"), "no-store", "{target} {lines:?}: {answer:?}");
    }
    // What is refused before its path is read.
    for target in ["/decide//premium/page", "/decide/open/../premium/page"] {
        let answer = asked(public, "GET", target, &[]).await;
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        names_every_header(&answer);
    }
    let signed_in = asked(public, "GET", "/decide/signed-in", &[&free, "X-Entitlement-Tier: business"]).await;
    assert_eq!((signed_in.status, header(&signed_in, "x-entitlement-tier")), (200, "free"), "{signed_in:?}");
    names_every_header(&signed_in);
    assert!(world.upstream.received().is_empty(), "no question reaches the site");
}

/// Each is there once, and empty when the answer is a refusal.
fn names_every_header(answer: &RawAnswer) {
    for name in proxy::headers::IDENTITY {
        let text = answer.text.to_lowercase();
        assert_eq!(text.matches(&format!("\n{name}:")).count(), 1, "{name}: {answer:?}");
        assert!(answer.status == 200 || header(answer, name).is_empty(), "{name}: {answer:?}");
    }
}
