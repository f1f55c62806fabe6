//! The answers of the gate as tables.

use entitlement::authorize::Requirement;
use entitlement::login::Login;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use serde_json::{Value, json};

use super::*;

type Lines = [(&'static str, &'static str)];

fn links() -> Links {
    Links::new("https://read.example/", &[], Login::default(), "/billing/pricing")
}

fn pay() -> Denial {
    Denial::Pay { required: Requirement::Tier("paid".into()), current: "free".into() }
}

fn answer(denied: &Denial, method: &Method, accept: &str, target: &str) -> Answer {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).expect("a value"))]);
    denial(denied, Asked { method, headers: &headers, target: target.as_bytes() }, &links())
}

fn header<'a>(answer: &'a Answer, name: &HeaderName) -> Option<&'a str> {
    answer.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.to_str().expect("text"))
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body.json).expect("JSON")
}

#[test]
fn a_program_is_told_what_is_wrong_as_this_table_says() {
    let forbidden = Denial::Forbidden { required: Requirement::Feature("staff".into()), current: "paid".into() };
    let cases = [
        (Denial::SignIn, 401, "sign_in", Some("Bearer"), None),
        (Denial::BadCredential, 401, "invalid_token", Some("Bearer error=\"invalid_token\""), None),
        (Denial::Ambiguous, 401, "ambiguous_identity", Some("Bearer"), None),
        (pay(), 402, "payment_required", None, None),
        (forbidden, 403, "forbidden", None, None),
        (Denial::Unknown, 503, "entitlement_unknown", None, Some("1")),
    ];
    for (denied, status, code, challenge, retry) in cases {
        let answer = answer(&denied, &Method::GET, "application/json", "/a");
        assert_eq!(answer.status, status, "{code}");
        assert_eq!(header(&answer, &CACHE_CONTROL), Some("no-store"));
        assert_eq!(header(&answer, &REFERRER_POLICY), Some("strict-origin"));
        assert_eq!((header(&answer, &WWW_AUTHENTICATE), header(&answer, &RETRY_AFTER)), (challenge, retry));
        let body = body(&answer);
        assert_eq!(
            (&body["code"], &body["status"], &body["type"]),
            (&json!(code), &json!(status), &json!("about:blank"))
        );
        assert!(body["title"].is_string() && body["detail"].is_string());
    }
}

#[test]
fn who_has_to_pay_is_told_for_what_and_where() {
    let body = body(&answer(&pay(), &Method::GET, "*/*", "/a"));
    assert_eq!(body["required"], json!({"tier": "paid"}));
    assert_eq!(body["current"], "free");
    assert_eq!(body["upgrade_url"], "https://read.example/billing/pricing");
}

#[test]
fn a_browser_that_navigates_is_sent_on_and_back() {
    const HTML: &str = "text/html,application/xhtml+xml;q=0.9";
    let cases = [
        (Denial::SignIn, Method::GET, HTML, 303, Some("/login?next=%2Fa%2Fb%3Fc%3Dd%26e")),
        (Denial::BadCredential, Method::GET, HTML, 303, Some("/login?next=%2Fa%2Fb%3Fc%3Dd%26e")),
        (pay(), Method::GET, HTML, 303, Some("/billing/pricing?next=%2Fa%2Fb%3Fc%3Dd%26e")),
        (Denial::Unknown, Method::GET, HTML, 503, None),
        (Denial::Ambiguous, Method::GET, HTML, 401, None),
        (pay(), Method::POST, HTML, 402, None),
        (pay(), Method::HEAD, HTML, 402, None),
        (pay(), Method::GET, "application/json", 402, None),
    ];
    for (denied, method, accept, status, location) in cases {
        let answer = answer(&denied, &method, accept, "/a/b?c=d&e");
        assert_eq!((answer.status.as_u16(), header(&answer, &LOCATION)), (status, location), "{denied:?} {method}");
        assert_eq!(header(&answer, &CACHE_CONTROL), Some("no-store"));
        assert_eq!(answer.body.json.is_empty(), location.is_some());
    }
}

#[test]
fn errors_are_written_for_who_reads_them() {
    let answer = answer(&pay(), &Method::POST, "text/html", "/a");
    for (accept, kind) in [
        ("application/json", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
    ] {
        let (body, about) =
            answer.body_for(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]), &page::tests::pages());
        assert_eq!(about[0], (CONTENT_TYPE, HeaderValue::from_static(kind)), "{accept}");
        assert_eq!(body.starts_with(b"<!doctype html>"), kind.starts_with("text/html"), "{accept}");
    }
}

#[test]
fn next_keeps_to_the_query_and_within_bounds() {
    let asked = |target: &str| answer(&Denial::SignIn, &Method::GET, "text/html", target);
    let long = format!("/{}", "a".repeat(3000));
    assert_eq!(header(&asked(&long), &LOCATION), Some("/login?next=%2F"));
    let odd = asked("/%C3%A9?x=//evil.example/%0d%0a&next=\u{e9}\"<>");
    let location = header(&odd, &LOCATION).expect("a redirect");
    let value = location.strip_prefix("/login?next=").expect("one parameter");
    assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)), "{value}");
    let login = Login::new("https://id.example/in?app=1", "redirect_url", "https://read.example").expect("a page");
    let links = Links::new("https://read.example", &[], login, "/p");
    let asked = Asked {
        method: &Method::GET,
        headers: &HeaderMap::from_iter([(ACCEPT, "text/html".parse().expect("a value"))]),
        target: b"/a",
    };
    assert_eq!(
        header(&denial(&Denial::SignIn, asked, &links), &LOCATION),
        Some("https://id.example/in?app=1&redirect_url=https%3A%2F%2Fread.example%2Fa")
    );
}

#[test]
fn a_failure_that_may_pass_says_when_to_try_again() {
    let down = failure(StatusCode::SERVICE_UNAVAILABLE, "billing_unreachable", "x");
    assert_eq!(header(&down, &RETRY_AFTER), Some("1"));
    let gone = failure(StatusCode::BAD_GATEWAY, "upstream_unreachable", "x");
    assert_eq!(header(&gone, &RETRY_AFTER), None);
    assert_eq!(body(&refusal("ambiguous_target", "why"))["code"], "ambiguous_target");
}

#[test]
fn a_script_is_told_in_the_words_of_its_library_and_a_prefetch_is_no_navigation() {
    let hx = Some("/billing/pricing?next=%2Fa");
    let cases: [(&Lines, u16, Option<&str>, Option<&str>); 5] = [
        (&[("x-requested-with", "XMLHttpRequest")], 402, None, None),
        (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], 402, None, None),
        (&[("sec-purpose", "prefetch")], 402, None, None),
        (&[("hx-request", "true")], 402, hx, None),
        (&[("x-inertia", "true")], 409, None, hx),
    ];
    for (lines, status, htmx, inertia) in cases {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let html = (ACCEPT, HeaderValue::from_static("text/html, application/xhtml+xml"));
        let headers: HeaderMap = lines.iter().map(line).chain([html]).collect();
        let asked = Asked { method: &Method::GET, headers: &headers, target: b"/a" };
        let answer = denial(&pay(), asked, &links());
        assert_eq!((answer.status.as_u16(), header(&answer, &HX_REDIRECT)), (status, htmx), "{lines:?}");
        assert_eq!((header(&answer, &X_INERTIA_LOCATION), header(&answer, &LOCATION)), (inertia, None), "{lines:?}");
        assert_eq!((&body(&answer)["code"], &body(&answer)["status"]), (&json!("payment_required"), &json!(status)));
        let (_, about) = answer.body_for(&headers, &page::tests::pages());
        assert_eq!(about[0], (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")), "{lines:?}");
    }
}
