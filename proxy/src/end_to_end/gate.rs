//! What a client gets of the gate, and what reaches the servers behind.

use std::sync::Arc;

use entitlement::assertion::AssertionKey;
use serde_json::Value;

use super::client::{Client, Response, ask, header, world};
use super::world::{Billing, SECRET, free, settings, start, token};
use crate::clock;

fn bearer(account: &str) -> String {
    format!("Authorization: Bearer {}", token(account))
}

fn code(response: &Response) -> String {
    let problem: Value = serde_json::from_str(&response.body).expect("a problem document");
    assert_eq!(problem["status"], response.status);
    problem["code"].as_str().expect("a code").to_owned()
}

#[test]
fn a_paying_user_passes_and_the_site_learns_who_it_is() {
    world().billing.holds("payer", 1, "paid");
    let lines = [&bearer("payer"), "X-Entitlement-Tier: enterprise", "x_entitlement_account: root", "X-Other: kept"];
    let response = ask("GET", "/premium/%61?q=%61", &lines);
    assert_eq!((response.status, response.header("server")), (200, Some("site")));
    assert_eq!(response.header("cache-control"), Some("private, max-age=60"));
    assert_eq!(response.header("vary"), Some("Cookie, Authorization"));
    let seen = response.body.as_str();
    assert!(seen.starts_with("GET /premium/a?q=%61 HTTP/1.1\r\n"), "{seen}");
    assert_eq!(header(seen, "x-entitlement-account"), Some("payer"));
    assert_eq!(header(seen, "x-entitlement-tier"), Some("paid"));
    assert_eq!(header(seen, "x-entitlement-status"), Some("active"));
    assert_eq!(header(seen, "x-entitlement-features"), Some("alerts,archive"));
    assert_eq!(header(seen, "x-entitlement-degraded"), None);
    assert_eq!(header(seen, "x-other"), Some("kept"));
    assert_eq!(seen.to_lowercase().matches("entitlement").count(), 5, "{seen}");
    let assertion = header(seen, "x-entitlement-assertion").expect("an assertion");
    let key = AssertionKey::parse(SECRET).expect("a key");
    let claims = key.verify(assertion, "https://read.example", "read.example", clock::now()).expect("it verifies");
    assert_eq!((claims.sub.as_str(), claims.tier.as_deref()), ("payer", Some("paid")));
}

#[test]
fn who_may_not_pass_is_told_why_on_a_connection_that_stays() {
    world().billing.holds("reader", 1, "free");
    let mut client = Client::new(world().address);
    let cases = [
        (vec![], 401, "sign_in"),
        (vec!["Authorization: Bearer bad".to_owned()], 401, "invalid_token"),
        (vec![bearer("reader")], 402, "payment_required"),
        (vec![format!("Cookie: session={}", token("reader"))], 402, "payment_required"),
        (vec![bearer("unknown")], 503, "entitlement_unknown"),
    ];
    for (lines, status, expected) in &cases {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let response = client.ask("GET", "/premium/", &lines);
        assert_eq!((response.status, code(&response).as_str()), (*status, *expected));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("connection"), Some("keep-alive"));
        let head = client.ask("HEAD", "/premium/", &lines);
        assert_eq!((head.status, head.header("content-length")), (*status, response.header("content-length")));
    }
    let response = client.ask("GET", "/premium/x?a=b", &["Accept: text/html"]);
    assert_eq!((response.status, response.header("location")), (303, Some("/login?next=%2Fpremium%2Fx%3Fa%3Db")));
}

#[test]
fn who_has_just_paid_passes() {
    world().billing.holds("buyer", 1, "free");
    assert_eq!(ask("GET", "/", &[&bearer("buyer")]).status, 200, "its record is in this process now");
    world().billing.holds("buyer", 2, "paid");
    // Billing was asked less than a second ago, and nothing is pushed here: that long the denial may stand.
    let deadline = clock::moment().tick + std::time::Duration::from_secs(3);
    while ask("GET", "/premium", &[&bearer("buyer")]).status != 200 {
        assert!(clock::moment().tick < deadline, "long before the record is too old by itself");
    }
}

#[test]
fn a_public_route_is_open_and_knows_whom_it_can() {
    world().billing.holds("guest", 1, "free");
    let seen = ask("GET", "/", &["X-Entitlement-Account: root"]).body;
    assert!(!seen.to_lowercase().contains("entitlement"), "{seen}");
    let seen = ask("GET", "/", &["Authorization: Bearer bad", "X-Entitlement-Account: root"]).body;
    assert!(!seen.to_lowercase().contains("entitlement"), "{seen}");
    let seen = ask("GET", "/", &[&bearer("guest")]).body;
    assert_eq!(
        (header(&seen, "x-entitlement-account"), header(&seen, "x-entitlement-tier")),
        (Some("guest"), Some("free"))
    );
    let seen = ask("GET", "/account", &[&bearer("nobody-knows")]).body;
    assert_eq!(header(&seen, "x-entitlement-account"), Some("nobody-knows"));
    assert_eq!(header(&seen, "x-entitlement-degraded"), Some("fallback"));
    assert_eq!(header(&seen, "x-entitlement-tier"), None);
}

#[test]
fn billing_gets_its_own_assertion_and_webhooks_get_none() {
    world().billing.holds("customer", 1, "free");
    let response = ask("POST", "/api/billing/checkout", &[&bearer("customer"), "Content-Length: 0"]);
    assert_eq!((response.status, response.header("server")), (200, Some("billing")));
    let assertion = header(&response.body, "x-entitlement-assertion").expect("an assertion");
    let key = AssertionKey::parse(SECRET).expect("a key");
    let verify = |audience| key.verify(assertion, "https://read.example", audience, clock::now());
    assert_eq!(verify("tollgate-billing").expect("it verifies").sub.as_str(), "customer");
    assert!(verify("read.example").is_err());
    for lines in [vec![bearer("customer")], vec!["X-Entitlement-Assertion: forged".to_owned()]] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(["Content-Length: 0"]).collect();
        let response = ask("POST", "/api/stripe/webhook", &lines);
        assert_eq!(response.header("server"), Some("billing"));
        assert!(!response.body.to_lowercase().contains("entitlement"), "{}", response.body);
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for target in ["//premium", "/x/../premium", "/%2e%2e/premium", "/premium%2fx", "/a;b", "/a%00", "premium", "*"] {
        let response = ask("GET", target, &[]);
        assert_eq!((response.status, code(&response).as_str()), (400, "ambiguous_target"), "{target}");
    }
    for line in ["Connection: authorization", "Connection: close, X-Entitlement-Tier"] {
        let response = ask("GET", "/", &[line]);
        assert_eq!((response.status, code(&response).as_str()), (400, "connection_header"), "{line}");
    }
    for host in ["", "Host:\r\n", "Host:  \r\n"] {
        let mut client = Client::new(world().address);
        client.send(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes());
        let response = client.receive("GET").expect("a response");
        assert_eq!((response.status, code(&response).as_str()), (400, "missing_host"), "{host:?}");
    }
}

#[test]
fn an_early_denial_is_read_even_while_the_body_is_still_sent() {
    let mut client = Client::new(world().address);
    client.send(b"POST /premium HTTP/1.1\r\nHost: read.example\r\nContent-Length: 400000\r\n\r\n");
    for _ in 0..40 {
        client.send(&[b'x'; 10_000]);
    }
    let response = client.receive("POST").expect("a response");
    assert_eq!((response.status, response.header("connection")), (401, Some("close")));
    assert!(client.receive("POST").is_none(), "and then the connection is closed");
}

#[test]
fn a_server_that_is_down_gets_an_answer_of_ours() {
    let address = free();
    let (stop, running) = start(settings(address, vec![free()], free()), Arc::new(Billing::default()));
    for (target, status, expected) in [("/", 502, "upstream_unreachable"), ("/billing", 503, "billing_unreachable")] {
        let response = Client::new(address).ask("GET", target, &[]);
        assert_eq!((response.status, code(&response).as_str()), (status, expected));
        assert_eq!(response.header("retry-after").is_some(), status == 503);
    }
    stop.send(()).expect("it runs");
    running.join().expect("it ends by itself");
}

#[test]
fn an_address_that_is_taken_is_found_out_at_once() {
    let taken = world().address;
    let io = tokio::runtime::Runtime::new().expect("a runtime");
    let gate = crate::Gate::new(
        settings(taken, vec![free()], free()),
        io.handle().clone(),
        Arc::new(Billing::default()),
        None,
    );
    assert!(gate.expect_err("it is taken").to_string().contains(&taken.to_string()));
}
