//! Hosts: one, well-formed, and the same for the gate and the site.

use super::case::Verdict::{self, Denied, Refused, Sent};
use super::case::differs;
use crate::world::{Arrangement, Setup, World};

#[tokio::test]
async fn a_host_is_clear_or_refused() {
    let world = World::start(Arrangement::AllPostgres).await;
    let passes = Sent("/welcome");
    let cases: [(&str, &str, Verdict); 27] = [
        ("the usual", "Host: site.test\r\n", passes),
        ("a port", "Host: site.test:8080\r\n", passes),
        ("CVE-2026-48794 Authelia, case", "Host: SITE.test\r\n", passes),
        ("the root", "Host: site.test.\r\n", passes),
        ("an address", "Host: 127.0.0.1:8080\r\n", passes),
        ("an IPv6 address", "Host: [::1]:8080\r\n", passes),
        ("a container's name", "Host: my_site:3000\r\n", passes),
        ("none", "", Denied(400)),
        ("empty", "Host:\r\n", Denied(400)),
        ("blank", "Host:  \r\n", Denied(400)),
        ("two", "Host: site.test\r\nHost: other.test\r\n", Refused),
        ("the same twice", "Host: site.test\r\nHost: site.test\r\n", Refused),
        ("two in other cases", "host: site.test\r\nHOST: other.test\r\n", Refused),
        ("two in one line", "Host: site.test, other.test\r\n", Refused),
        ("userinfo", "Host: site.test@other.test\r\n", Refused),
        ("a path", "Host: site.test/premium\r\n", Refused),
        ("a query", "Host: site.test?x\r\n", Refused),
        ("a fragment", "Host: site.test#x\r\n", Refused),
        ("a backslash", "Host: site.test\\other.test\r\n", Refused),
        ("a blank inside", "Host: site.test other.test\r\n", Refused),
        ("a port that is none", "Host: site.test:80x\r\n", Refused),
        ("two ports", "Host: site.test:80:81\r\n", Refused),
        ("a large port", "Host: site.test:70000\r\n", Refused),
        ("a port alone", "Host: :80\r\n", Refused),
        ("escaped", "Host: site%2etest\r\n", Refused),
        ("folded", "Host: site.test\r\n other.test\r\n", Refused),
        ("half an address", "Host: [::1\r\n", Refused),
    ];
    for (name, lines, verdict) in cases {
        let request = format!("GET /welcome HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        assert_eq!(differs(&world, request.as_bytes(), verdict).await, None, "{name}: {lines:?}");
    }
    // The site is told the host as the client wrote it, in both places.
    let request = "GET /welcome/both HTTP/1.1\r\nHost: Site.test:8080\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(differs(&world, request.as_bytes(), Sent("/welcome/both")).await, None);
    let received = world.upstream.only("/welcome/both");
    assert_eq!(received.header("host"), Some("Site.test:8080"));
    assert_eq!(received.header("x-forwarded-host"), Some("Site.test:8080"));
}

#[tokio::test]
async fn http_1_0_needs_no_host_but_a_verdict() {
    let world = World::start(Arrangement::AllPostgres).await;
    let cases = [("/welcome", Sent("/welcome")), ("/premium/one", Denied(401)), ("//premium/one", Denied(400))];
    for (target, verdict) in cases {
        let request = format!("GET {target} HTTP/1.0\r\n\r\n");
        assert_eq!(differs(&world, request.as_bytes(), verdict).await, None, "{target}");
    }
}

#[tokio::test]
async fn a_rule_for_a_host_is_for_every_way_to_write_it() {
    // CVE-2026-27588 Caddy and CVE-2026-48794 Authelia: another case was another host.
    let routes = "[[route]]\npath = \"/**\"\nhosts = [\"Paid.test\", \"*.paid.test\"]\nrequire = { tier = \"paid\" }\n";
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(routes)).await;
    let hosts = [
        ("paid.test", Denied(401)),
        ("PAID.TEST", Denied(401)),
        ("paid.test.", Denied(401)),
        ("Paid.Test.:8080", Denied(401)),
        ("paid.test:80", Denied(401)),
        ("www.paid.test", Denied(401)),
        ("A.b.PAID.test.:1", Denied(401)),
        ("paid.test..", Denied(400)),
        ("paid%2etest", Denied(400)),
        ("paid.test\\x", Refused),
        ("free.test", Sent("/welcome")),
        ("paid.test.free.test", Sent("/welcome")),
    ];
    for (host, verdict) in hosts {
        let lines = format!("Host: {host}\r\nX-Forwarded-Host: free.test\r\nConnection: close\r\n");
        let request = format!("GET /welcome HTTP/1.1\r\n{lines}\r\n");
        assert_eq!(differs(&world, request.as_bytes(), verdict).await, None, "{host}");
    }
}
