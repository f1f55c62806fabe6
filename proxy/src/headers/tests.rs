//! What is left of a client's headers, and what is written.

use super::*;
use crate::forwarded::{Scheme, TrustedProxies};

const PEER: &str = "203.0.113.9:40000";

/// What the site gets of a GET with these lines from a peer.
fn rewritten(peer: &str, lines: &[(&'static str, &'static str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
    for (name, value) in lines {
        request.append_header(*name, *value).expect("a header");
    }
    let trusted = TrustedProxies::parse(&["10.0.0.1"]).expect("an address");
    let origin = Origin::new(Some(peer.parse().expect("an address")), Scheme::Https, &trusted);
    let mut withheld = Withheld::default();
    withheld.add(&HeaderName::from_static("x-auth-request-user"));
    rewrite(&mut request, None, (&origin, &withheld), None, None).expect("it is rewritten");
    request
}

/// The names that are left, without those that are always written.
fn left(peer: &str, names: &[&'static str]) -> Vec<String> {
    let lines: Vec<_> = names.iter().map(|name| (*name, "spoofed")).collect();
    let request = rewritten(peer, &lines);
    let own = ["x-forwarded-for", "x-forwarded-proto", "x-real-ip"];
    for name in own {
        let values: Vec<_> = request.headers.get_all(name).iter().collect();
        assert!(values.len() == 1 && values[0] != "spoofed", "{name}: {values:?}");
    }
    request.headers.keys().map(|name| name.as_str().to_owned()).filter(|name| !own.contains(&name.as_str())).collect()
}

#[test]
fn everything_that_only_the_gate_may_say_is_removed() {
    let names = [
        "X-Entitlement-Tier",
        "x-entitlement-tier",
        "X_Entitlement_Tier",
        "X.Entitlement.Tier",
        "x-entitlement_Account",
        "X-ENTITLEMENT-ASSERTION",
        "x-entitlement-",
        "X-HTTP-Method-Override",
        "X_Http_Method_Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Prefix",
        "X-Middleware-Subrequest",
        "Proxy",
        "Forwarded",
        "X_Forwarded_For",
        "X-Auth-Request-User",
        "X_Auth_Request_User",
        "x-auth.request_user",
    ];
    for peer in [PEER, "10.0.0.1:40000"] {
        assert_eq!(left(peer, &names), Vec::<String>::new(), "{peer}");
    }
}

#[test]
fn what_a_proxy_says_passes_from_a_trusted_one_alone() {
    let names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "X-Forwarded-User", "True-Client-IP"];
    assert_eq!(left(PEER, &names), Vec::<String>::new());
    assert_eq!(left("10.0.0.1:40000", &names), ["x-forwarded-user", "true-client-ip"]);
}

#[test]
fn other_headers_stay() {
    let names = ["X-Entitlements", "X-Entitlement", "XX-Entitlement-Tier", "X-HTTP-Methods", "Cookie", "X-Method"];
    assert_eq!(left(PEER, &names).len(), names.len());
}

#[test]
fn several_lines_of_cookies_become_one() {
    let request = rewritten(PEER, &[("Cookie", "a=1"), ("Accept", "*/*"), ("cookie", "b=2; c=3"), ("Cookie", "d=4")]);
    let values: Vec<_> = request.headers.get_all("cookie").iter().collect();
    assert_eq!(values, ["a=1; b=2; c=3; d=4"]);
    assert_eq!(rewritten(PEER, &[("Cookie", "a=1")]).headers["cookie"], "a=1");
}

#[test]
fn what_is_told_keeps_the_rest_of_the_request_as_it_is() {
    let view = crate::view::tests::paid_view();
    let told = Told { view: &view, assertion: Some(&view.assertion), lines: None, degraded: Some(Degraded::Stale) };
    let trusted = TrustedProxies::default();
    let origin = Origin::new(Some(PEER.parse().expect("an address")), Scheme::Http, &trusted);
    for target in [&b"/a?b=c"[..], b"/a?b=\xff\xfe", b"/caf%C3%A9?\xc3\xa9"] {
        let mut request = RequestHeader::build("PUT", target, None).expect("a request");
        request.append_header("Accept", "a").expect("a header");
        request.append_header("Accept", "b").expect("a header");
        request.append_header("X-Entitlement-Limits", "spoofed").expect("a header");
        request.set_version(http::Version::HTTP_11);
        rewrite(&mut request, None, (&origin, &Withheld::default()), Some(told), None).expect("it is written");
        assert_eq!((request.method.as_str(), request.raw_path()), ("PUT", target));
        assert_eq!(request.version, http::Version::HTTP_11);
        assert_eq!(request.headers.get_all("accept").iter().count(), 2);
        assert_eq!(request.headers["x-entitlement-tier"], "paid");
        assert_eq!(request.headers["x-entitlement-degraded"], "stale");
        assert_eq!(request.headers.len(), 12, "{:?}", request.headers);
    }
}

#[test]
fn a_connection_header_may_not_remove_what_the_gate_reads_or_writes() {
    let asks = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.append("connection", "keep-alive".parse().expect("a value"));
        headers.append("connection", value.parse().expect("a value"));
        nominates_ours(&headers)
    };
    let ours = [
        "Authorization",
        "close, COOKIE",
        "host",
        "Content-Length",
        "x-entitlement-tier",
        "X_Entitlement_Tier",
        "x-http-method",
        "X-Forwarded-For",
        "close,x-real-ip",
        "Forwarded",
    ];
    for value in ours {
        assert!(asks(value), "{value}");
    }
    for value in ["close", "upgrade, keep-alive", "TE, HTTP2-Settings", "x-entitlements", "authorizations", ""] {
        assert!(!asks(value), "{value}");
    }
}
