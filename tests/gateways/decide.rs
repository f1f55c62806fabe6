//! `/decide` itself: the same verdict in the words of each gateway.

use super::ask::{asked, bearer, header, world};
use crate::world::stripe::unique;

#[tokio::test]
async fn the_verdict_is_told_in_the_words_of_each_gateway() {
    let world = world().await;
    let public = world.proxy().listen.public;
    let free = bearer(&unique("free"));
    let (get, premium) = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /premium/page?a=b");
    let html = "Accept: text/html";
    let cases: [(&str, &[&str], u16, &str, &str); 10] = [
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
        assert_eq!(header(&answer, "cache-control"), "no-store", "{target} {lines:?}: {answer:?}");
    }
    assert!(world.upstream.received().is_empty(), "no question reaches the site");
}
