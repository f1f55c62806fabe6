//! The fate of request lines, as tables.

use super::*;
use crate::decide::Asking;
use crate::readings::{Framework, Languages};
use crate::routes::Pattern;

fn routing(gateways: &[&str], trusted: &[&str], path: &str, asking: Asking) -> Routing {
    let list = |list: &[&str]| TrustedProxies::parse(list).expect("addresses");
    let decide = decide::Settings::new(path, list(gateways), asking).expect("a path");
    let signed_in = Policy { require: Requirement::SignedIn, ..Policy::public() };
    let route = Route::new(Pattern::parse("/decide/mine").expect("a pattern"), signed_in);
    Routing::new((vec![route], Policy::public()), Readings::default(), decide, list(trusted))
}

#[test]
fn a_path_is_what_its_configuration_makes_of_it() {
    let (gateway, proxy) = (&["10.0.0.2"][..], &["10.0.0.0/8"][..]);
    let question = (Peer::Gateway, Meaning::Question);
    let not_configured = (Peer::TrustedProxy, Meaning::NotConfigured);
    let cases = [
        (routing(&[], &[], "/decide", Asking::Public), vec![]),
        (routing(gateway, &[], "/decide", Asking::Public), vec![question]),
        (routing(gateway, proxy, "/decide", Asking::Public), vec![question]),
        (routing(&[], proxy, "/decide", Asking::Public), vec![not_configured]),
        (routing(&[], proxy, "/decide", Asking::Apart), vec![]),
        (routing(&[], proxy, "", Asking::Public), vec![]),
        (routing(&[], proxy, "/ask", Asking::Public), vec![]),
    ];
    for (routing, asked_by) in cases {
        for target in ["/decide", "/decide/mine", "/%64ecide/mine?a=b", "/decide/"] {
            let found = routing.find(&Method::GET, Some("site.test"), target).expect("it is understood");
            assert_eq!(found.asked_by, asked_by, "{target} of {routing:?}");
            let label = if found.path == "/decide/mine" { "/decide/mine" } else { "default" };
            assert_eq!(found.held.rule.label, label, "the site's, for all others");
        }
        for target in ["/decided", "/premium"] {
            let found = routing.find(&Method::GET, None, target).expect("it is understood");
            assert_eq!(found.asked_by, [], "{target}");
        }
    }
}

/// `/paid/**` asks for a tier, `/Docs/Own` for signing in, `/docs/**` for nothing, `/img/**` and `/@*` let raw paths pass.
fn pages(readings: Readings) -> Routing {
    let pattern = |text| Pattern::parse(text).expect("a pattern");
    let rule = |text, require| Route::new(pattern(text), Policy { require, ..Policy::public() });
    let raw = |text| Route { raw: true, ..rule(text, Requirement::Public) };
    let routes = vec![
        rule("/docs/**", Requirement::Public),
        rule("/Docs/Own", Requirement::SignedIn),
        rule("/paid/**", Requirement::Tier("paid".into())),
        raw("/img/**"),
        raw("/@*"),
        rule("/caf%C3%A9/**", Requirement::SignedIn),
    ];
    Routing::new((routes, Policy::public()), readings, decide::Settings::default(), TrustedProxies::default())
}

fn asked(routing: &Routing, target: &str) -> Result<String, &'static str> {
    let found = routing.find(&Method::GET, Some("site.test"), target);
    found
        .map(|found| format!("{} {}", found.held.rule.label, found.held.policy.require))
        .map_err(|refused| refused.code)
}

#[test]
fn a_path_has_to_satisfy_its_rule_in_every_letter_case() {
    let folding = pages(Readings::default());
    for (target, expected) in [
        ("/paid/x", Ok("/paid/** tier paid")),
        ("/PAID/x", Ok("/paid/** tier paid")),
        ("/%50aid/X", Ok("/paid/** tier paid")),
        ("/free/X", Ok("default public")),
        // Its own rule, and the first in any case, which asks for nothing.
        ("/Docs/Own", Ok("/Docs/Own signed in")),
        ("/docs/own", Ok("/docs/** public")),
        ("/BILLING/x", Ok("/billing/** public")),
        ("/API/stripe/Webhook", Ok("/api/stripe/webhook public")),
        ("/pa%C4%B1d/x", Err("ambiguous_case")),
        ("/%E2%84%AA", Err("ambiguous_case")),
        ("/stra%C3%9Fe", Ok("default public")),
        ("/docs/stra%C3%9Fe", Ok("/docs/** public")),
        ("/caf%C3%A9/x", Ok("/caf%C3%A9/** signed in")),
        ("/Caf%C3%89/x", Ok("/caf%C3%A9/** signed in")),
        ("/cafe/x", Ok("default public")),
    ] {
        assert_eq!(asked(&folding, target), expected.map(str::to_owned), "{target}");
    }
    let telling = pages(Readings { case_sensitive: true, ..Readings::default() });
    for target in ["/PAID/x", "/BILLING/x", "/pa%C4%B1d/x", "/%E2%84%AA", "/caf%C3%89/x"] {
        assert_eq!(asked(&telling, target), Ok("default public".to_owned()), "{target}");
    }
}

#[test]
fn a_page_asks_for_the_same_at_each_of_its_addresses() {
    let languages = Languages::new(vec!["fil".into()]);
    let next = pages(Readings { framework: Framework::NextJs, languages, ..Readings::default() });
    for (target, expected) in [
        ("/_next/data/B1/paid/x.json", Ok("/paid/** tier paid")),
        ("/PAID.rsc", Ok("/paid/** tier paid")),
        ("/_next/image?url=%2FPaid%2Fa.png", Ok("/paid/** tier paid")),
        ("/_next/image?url=/free.png", Ok("default public")),
        ("/_next/image?url=/a/../paid/b.png", Err("ambiguous_target")),
        ("/en/paid", Ok("/paid/** tier paid")),
        ("/fil/paid", Ok("/paid/** tier paid")),
        ("/img//x", Ok("/img/** public")),
        ("/en/billing", Ok("default public")),
    ] {
        assert_eq!(asked(&next, target), expected.map(str::to_owned), "{target}");
    }
    assert_eq!(asked(&pages(Readings::default()), "/paid.rsc"), Ok("default public".to_owned()));
}

#[test]
fn a_raw_path_passes_where_no_reading_of_it_asks_for_anything() {
    let routing = pages(Readings::default());
    for (target, expected) in [
        ("/img/https://a.example/b.png", Ok("/img/** public")),
        ("/img/a;v=1/b", Ok("/img/** public")),
        ("/@scope%2Fname", Ok("/@* public")),
        ("/@scope%2fname", Ok("/@* public")),
        ("/img/..%2Fpaid", Err("ambiguous_target")),
        ("/img/%2e%2e//paid", Err("ambiguous_target")),
        ("/@x%5Cy", Err("ambiguous_target")),
        ("/free//x", Err("ambiguous_target")),
        // A server that takes the first slash for two, or the parameters away, would serve what is paid for.
        ("//paid/x", Err("ambiguous_target")),
        ("/img//../paid/x", Err("ambiguous_target")),
    ] {
        assert_eq!(asked(&routing, target), expected.map(str::to_owned), "{target}");
    }
    let pattern = |text| Pattern::parse(text).expect("a pattern");
    let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
    let routes = vec![
        Route::new(pattern("/PAID"), paid.clone()),
        Route { raw: true, ..Route::new(pattern("/*"), Policy::public()) },
        Route { raw: true, ..Route::new(pattern("/a/**"), Policy::public()) },
        Route::new(pattern("/x/paid/**"), paid),
    ];
    let settings = (decide::Settings::default(), TrustedProxies::default());
    let routing = Routing::new((routes, Policy::public()), Readings::default(), settings.0, settings.1);
    assert_eq!(asked(&routing, "/x%2Fpaid"), Err("ambiguous_target"));
    assert_eq!(asked(&routing, "/paid;v=1"), Err("ambiguous_target"));
    assert_eq!(asked(&routing, "/x%2Fother"), Ok("/* public".to_owned()));
}

#[test]
fn a_raw_path_is_no_other_address_of_a_page() {
    let pattern = |text| Pattern::parse(text).expect("a pattern");
    let paid = Policy { require: Requirement::Tier("paid".into()), ..Policy::public() };
    for (framework, targets) in [
        (Framework::Rails, ["//paid.json", "/paid.json%2F", "/paid.json;x"]),
        (Framework::Remix, ["//paid.data", "/paid.data;x", "/%2Fpaid.data"]),
        (Framework::AspNet, ["//paid./x", "/(S(x))//paid/x", "//PREMIU~1"]),
        (Framework::NextJs, ["//en/paid/x", "/en%2Fpaid%2Fx", "/_next/data/B//paid/x.json"]),
    ] {
        let routes = vec![
            Route::new(pattern("/paid/**"), paid.clone()),
            Route { raw: true, ..Route::new(pattern("/**"), Policy::public()) },
        ];
        let readings = Readings { framework, ..Readings::default() };
        let settings = (decide::Settings::default(), TrustedProxies::default());
        let routing = Routing::new((routes, Policy::public()), readings, settings.0, settings.1);
        for target in targets {
            assert_eq!(asked(&routing, target), Err("ambiguous_target"), "{framework:?} {target}");
        }
        assert_eq!(asked(&routing, "/free//x"), Ok("/** public".to_owned()), "{framework:?}");
    }
}

#[test]
fn what_the_gate_refuses_is_refused_here() {
    let routing = routing(&[], &[], "/decide", Asking::Public);
    let code = |method: &str, host, target| {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        routing.find(&method, host, target).err().map(|refused| (refused.status.as_u16(), refused.code))
    };
    assert_eq!(code("GET", None, "/a/../b"), Some((400, "ambiguous_target")));
    assert_eq!(code("GET", None, "/decide/mine%3Fx"), Some((400, "ambiguous_target")));
    assert_eq!(code("get", None, "/a"), Some((405, "method_not_allowed")));
    assert_eq!(code("GET", Some("a/b"), "/a"), Some((400, "bad_host")));
    assert_eq!(code("GET", Some("A.test:80"), "/a"), None);
}
