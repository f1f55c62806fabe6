//! Request targets that made other gates match one resource and serve another.

use super::case::Verdict::{Denied, Refused, Sent};
use super::case::{Case, case, check};
use crate::world::{Arrangement, Setup, World};

/// Each would be read as a page below `/premium` by some server, or passes as exactly what the rules saw.
pub(super) const CASES: [Case; 79] = [
    // Dot segments and empty segments.
    case("CVE-2026-33494 Oathkeeper", "/welcome/../premium/one", Denied(400)),
    case("CVE-2019-9901 Envoy, dot segments", "/welcome/./../premium/one", Denied(400)),
    case("CVE-2019-9901 Envoy, slashes", "/welcome//../premium/one", Denied(400)),
    case("CVE-2025-32431 Traefik", "/welcome/a/../../premium/one", Denied(400)),
    case("CVE-2026-26205 OPA-Envoy", "//premium/one", Denied(400)),
    case("CVE-2026-26205 OPA-Envoy, as an authority", "//site.test/premium/one", Denied(400)),
    case("three slashes", "///premium/one", Denied(400)),
    case("a slash too many inside", "/premium//one", Denied(400)),
    case("slashes at the end", "/premium//", Denied(400)),
    case("a dot in front", "/./premium/one", Denied(400)),
    case("a dot at the end", "/premium/.", Denied(400)),
    case("two dots at the end", "/welcome/..", Denied(400)),
    case("above the root", "/../premium/one", Denied(400)),
    case("three dots are a name", "/.../premium", Sent("/.../premium")),
    // Encoded dots, slashes and backslashes.
    case("CVE-2025-47952 Traefik", "/welcome/%2e%2e/premium/one", Denied(400)),
    case("upper case", "/welcome/%2E%2E/premium/one", Denied(400)),
    case("half encoded", "/welcome/.%2e/premium/one", Denied(400)),
    case("the other half", "/welcome/%2e./premium/one", Denied(400)),
    case("one encoded dot", "/%2e/premium/one", Denied(400)),
    case("CVE-2026-34908 UniFi", "/welcome/..%2fpremium/one", Denied(400)),
    case("CVE-2026-48020 Traefik", "/welcome%2f..%2fpremium/one", Denied(400)),
    case("CVE-2021-29492 Envoy, slash", "/premium%2fone", Denied(400)),
    case("CVE-2021-29492 Envoy, backslash", "/premium%5cone", Denied(400)),
    case("CVE-2026-40912 Traefik", "/%2fpremium/one", Denied(400)),
    case("CVE-2025-66490 Traefik, slash", "/welcome/%2F/premium", Denied(400)),
    case("CVE-2025-66490 Traefik, null", "/premium%00/one", Denied(400)),
    case("CVE-2025-66490 Traefik, semicolon", "/premium%3B/one", Denied(400)),
    case("GO-2026-5595 Caddy", "/welcome%5c..%5cpremium%5cone", Denied(400)),
    case("a backslash for a slash", "/premium\\one", Denied(400)),
    case("backslashes in front", "/\\premium\\one", Denied(400)),
    case("backslashes alone", "\\premium\\one", Denied(400)),
    case("dots between backslashes", "/welcome\\..\\premium\\one", Denied(400)),
    // Encoded twice, wrongly, or for nothing.
    case("twice, dots", "/welcome/%252e%252e/premium/one", Denied(400)),
    case("twice, a slash", "/premium%252fone", Denied(400)),
    case("twice, a letter", "/%2570remium/one", Denied(400)),
    case("twice, in pieces", "/premium%25%32%66one", Denied(400)),
    case("three times", "/premium%25252fone", Denied(400)),
    case("CVE-2021-32637 Authelia", "/premium/%zz", Denied(400)),
    case("cut off", "/premium/%2", Denied(400)),
    case("a lone percent sign", "/premium/%", Denied(400)),
    case("of another world", "/premium%u002fone", Denied(400)),
    case("CVE-2026-27587 Caddy", "/%70remium/one", Denied(401)),
    case("CVE-2026-27587 Caddy, all of it", "/%70%72%65%6D%69%75%6d/one", Denied(401)),
    case("an overlong slash", "/premium%c0%afone", Denied(400)),
    case("overlong dots", "/welcome/%c0%ae%c0%ae/premium/one", Denied(400)),
    case("an overlong slash of three bytes", "/premium%e0%80%afone", Denied(400)),
    case("no UTF-8", "/premium/%ff", Denied(400)),
    case("half a surrogate", "/premium/%ed%a0%80", Denied(400)),
    // Parameters, queries and fragments.
    case("CVE-2026-15573 Keycloak, matrix", "/premium;x=1/one", Denied(400)),
    case("CVE-2026-15573 Keycloak, slash", "/premium/", Denied(401)),
    case("Tomcat's way up", "/welcome/..;/premium/one", Denied(400)),
    case("a parameter at the end", "/premium/one;.css", Denied(400)),
    case("CVE-2025-54576 oauth2-proxy", "/premium/one?/welcome", Denied(401)),
    case("CVE-2025-54576 oauth2-proxy, longer", "/premium/one?x=/../../welcome/two", Denied(401)),
    case("CVE-2026-32811 Heimdall", "/premium/one%3Fa=b", Denied(401)),
    case("CVE-2026-32811 Heimdall, public", "/welcome%3F/premium", Sent("/welcome%3F/premium")),
    case("a query may say anything", "/welcome?x=/../premium/%2e%2f", Sent("/welcome?x=/../premium/%2e%2f")),
    case("CVE-2021-32779 Envoy", "/premium/one#/welcome", Denied(401)),
    case("CVE-2021-32779 Envoy, public", "/welcome#/../premium/one", Sent("/welcome")),
    case("GHSA-fvhj-4qfh-q2hm Traefik", "/welcome%23/../premium/one", Denied(400)),
    case("a fragment alone", "#/premium/one", Sent("/")),
    case("a question mark alone", "?/premium/one", Denied(400)),
    // Control characters and what they end.
    case("a null", "/premium%00.css", Denied(400)),
    case("a header of one's own", "/welcome%0d%0aX-Entitlement-Tier:%20paid", Denied(400)),
    case("a tab", "/premium%09/one", Denied(400)),
    case("a control character of two bytes", "/premium/%c2%85", Denied(400)),
    // Other forms of a target (RFC 9112 section 3.2).
    case("CVE-2026-33186 grpc-go", "premium/one", Denied(400)),
    case("a scheme alone", "site:/premium/one", Denied(400)),
    case("absolute, with an empty segment", "http://site.test//premium/one", Denied(400)),
    case("absolute, with a port that the host has not", "http://site.test:80/welcome", Refused),
    case("absolute, of another scheme", "ftp://site.test/welcome", Denied(400)),
    case("absolute, elsewhere", "http://other.test/premium/one", Refused),
    case("absolute, without a host", "http:///premium/one", Refused),
    case("absolute, with a user", "http://a@site.test/premium/one", Refused),
    case("a host and a port", "site.test:80", Refused),
    case("a star", "*", Denied(400)),
    case("a star in a path", "/*", Sent("/*")),
    // A site may take upper case for lower case.
    case("CVE-2026-27587 Caddy, case", "/PREMIUM/one", Denied(401)),
    case("a longer name", "/premiums/one", Sent("/premiums/one")),
];

/// Targets that name the site, which an HTTP/1.1 server has to take (RFC 9112 section 3.2.2). HTTP/2 has none, and no gateway that asks
/// passes one on.
pub(super) const ABSOLUTE: [Case; 4] = [
    case("absolute", "http://site.test/premium/one", Denied(401)),
    case("absolute, public", "http://site.test/%77elcome?x", Sent("/welcome?x")),
    case("absolute, public, of a server that is asked under TLS", "HTTPS://site.test/welcome", Sent("/welcome")),
    case("absolute, without a path", "http://site.test", Sent("/")),
];

#[tokio::test]
async fn a_target_is_matched_as_the_site_receives_it_or_refused() {
    let world = World::start(Arrangement::AllPostgres).await;
    check(&world, &CASES).await;
    check(&world, &ABSOLUTE).await;
    let first_lines = [
        "GET /premium/one",
        "GET  /premium/one HTTP/1.1",
        "GET /premium/one  HTTP/1.1",
        "GET\t/premium/one\tHTTP/1.1",
        " GET /premium/one HTTP/1.1",
        "GET /premium/one HTTP/1.1 HTTP/1.1",
        "GET /premium/one HTTP/0.9",
        "GET /premium/one HTTP/2.0",
        "GET /premium/one http/1.1",
        "GET /premium/one\0 HTTP/1.1",
        "GET /premium/\u{fc} HTTP/1.1",
        "GET",
    ];
    for line in first_lines {
        let request = format!("{line}\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let outcome = super::case::differs(&world, request.as_bytes(), Refused).await;
        assert_eq!(outcome, None, "{line:?}");
    }
}

#[tokio::test]
async fn a_blank_in_a_target_is_one_character_of_it_or_refused() {
    let world = World::start(Arrangement::AllPostgres).await;
    for target in ["/premium /one", "/welcome /../premium/one", "/premium/one /welcome"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        super::case::status(world.proxy().listen.public, request.as_bytes()).await;
    }
    for received in world.upstream.received() {
        assert_eq!(received.target, "/premium%20/one", "one target, and none below /premium: {}", received.head);
    }
}

#[tokio::test]
async fn a_wildcard_stays_in_its_segment() {
    // GHSA-9f3w-vm54-7gfc openapi-oathkeeper: `.+` spans slashes.
    let routes = "[[route]]\npath = \"/books/*/sample\"\nrequire = { public = true }\n\
                  [[route]]\npath = \"/books/**\"\nrequire = { tier = \"paid\" }\n";
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(routes)).await;
    let cases = [
        case("one", "/books/emma/sample", Sent("/books/emma/sample")),
        case("two", "/books/emma/full/sample", Denied(401)),
        case("none", "/books/sample", Denied(401)),
        case("encoded", "/books/emma%2Ffull/sample", Denied(400)),
        case("empty", "/books//sample", Denied(400)),
        case("a query", "/books/emma/full?/sample", Denied(401)),
    ];
    check(&world, &cases).await;
}
