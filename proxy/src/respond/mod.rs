//! Every answer that the gate gives itself. Nothing else in this crate writes a response.
//!
//! Errors are problem documents (RFC 9457) with a stable `code`, or small pages for those who accept HTML; a browser that
//! navigates is sent to sign in or to the prices instead.

mod page;
mod unread;

pub use unread::unread;

use bytes::Bytes;
use entitlement::authorize::{Denial, Requirement};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde::Serialize;
use tokio::time::timeout;

use crate::wire;

/// Seconds after which it is worth to try again what failed because of us.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Longest `next` of a redirect, in bytes before encoding; without it the user starts over at the front page.
const NEXT_BYTES_MAX: usize = 2048;

/// What a query value need not encode (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where users are sent.
#[derive(Clone, Debug)]
pub struct Links {
    /// To sign in.
    pub login: String,
    /// To pay.
    pub pricing: String,
    /// To pay, as a program may want to know it: with the site's origin.
    pub upgrade: String,
}

impl Links {
    /// Links as they are configured: paths of the site, or URLs.
    #[must_use]
    pub fn new(site_url: &str, login_url: &str, pricing_url: &str) -> Self {
        let upgrade = if pricing_url.starts_with('/') {
            format!("{}{pricing_url}", site_url.trim_end_matches('/'))
        } else {
            pricing_url.to_owned()
        };
        Self { login: login_url.to_owned(), pricing: pricing_url.to_owned(), upgrade }
    }
}

/// What of a request shapes the answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The canonical path and the query.
    pub target: &'a [u8],
}

/// A response that has not been written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Body,
}

/// What an answer says, in the two forms in which it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// A problem document; nothing when it is empty.
    pub json: Bytes,
    pub detail: String,
    /// Where to pay, when that would help.
    pub upgrade: Option<String>,
}

/// A problem document.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<&'a Requirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade_url: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// `title` is the status' own phrase, as `type` says nothing more (RFC 9457 section 4.2.1).
    fn new(status: StatusCode, code: &'a str, detail: &'a str) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let (required, current, upgrade_url) = (None, None, None);
        Self { r#type: "about:blank", title, status: status.as_u16(), code, detail, required, current, upgrade_url }
    }
}

/// The answer to a request that may not pass.
#[must_use]
pub fn denial(denial: &Denial, asked: Asked<'_>, links: &Links) -> Answer {
    let code = denial.code();
    match denial {
        Denial::SignIn | Denial::BadCredential | Denial::Pay { .. } if navigates(asked) => {
            redirect(if matches!(denial, Denial::Pay { .. }) { &links.pricing } else { &links.login }, asked.target)
        }
        Denial::SignIn => {
            let answer = Answer::problem(&Problem::new(StatusCode::UNAUTHORIZED, code, "This needs you to sign in."));
            answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Denial::BadCredential => {
            let detail = "The token is not valid here, or has expired.";
            let answer = Answer::problem(&Problem::new(StatusCode::UNAUTHORIZED, code, detail));
            // RFC 6750 section 3.1.
            answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
        }
        Denial::Pay { required, current } => {
            let detail = format!("This needs {required}; the account has tier {current}.");
            let problem = Problem::new(StatusCode::PAYMENT_REQUIRED, code, &detail);
            Answer::problem(&Problem {
                required: Some(required),
                current: Some(current),
                upgrade_url: Some(&links.upgrade),
                ..problem
            })
        }
        Denial::Forbidden { required, current } => {
            let detail = format!("This needs {required}, which is not for sale; the account has tier {current}.");
            let problem = Problem::new(StatusCode::FORBIDDEN, code, &detail);
            Answer::problem(&Problem { required: Some(required), current: Some(current), ..problem })
        }
        Denial::Unknown => {
            let detail = "What the account has paid for cannot be found out right now.";
            let answer = Answer::problem(&Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail));
            answer.with(RETRY_AFTER, RETRY_AFTER_SECONDS)
        }
    }
}

/// The answer to a request that is refused before any rule is read.
#[must_use]
pub fn refusal(code: &str, detail: &str) -> Answer {
    Answer::problem(&Problem::new(StatusCode::BAD_REQUEST, code, detail))
}

/// The answer when what is behind the gate fails, or the gate itself.
#[must_use]
pub fn failure(status: StatusCode, code: &str, detail: &str) -> Answer {
    let answer = Answer::problem(&Problem::new(status, code, detail));
    if status == StatusCode::SERVICE_UNAVAILABLE { answer.with(RETRY_AFTER, RETRY_AFTER_SECONDS) } else { answer }
}

/// Whether a browser navigates, rather than a program that can read a problem document.
fn navigates(asked: Asked<'_>) -> bool {
    *asked.method == Method::GET && page::is_wanted(asked.headers)
}

/// Sends a browser to `to`, and from there back to `target`, which is always a canonical path of this very site.
fn redirect(to: &str, target: &[u8]) -> Answer {
    let target = if target.len() > NEXT_BYTES_MAX { b"/" } else { target };
    let mark = if to.contains('?') { '&' } else { '?' };
    let location = format!("{to}{mark}next={}", percent_encode(target, ENCODED));
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    let headers = vec![(CACHE_CONTROL, HeaderValue::from_static("no-store")), (LOCATION, location)];
    Answer { status: StatusCode::SEE_OTHER, headers, body: Body::default() }
}

impl Answer {
    fn problem(problem: &Problem<'_>) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem has nothing that JSON cannot say.
        let json = serde_json::to_vec(problem).unwrap_or_default().into();
        let body = Body { json, detail: problem.detail.to_owned(), upgrade: problem.upgrade_url.map(str::to_owned) };
        Self { status, headers: vec![(CACHE_CONTROL, HeaderValue::from_static("no-store"))], body }
    }

    /// The same answer, which no cache may keep.
    #[must_use]
    pub fn not_stored(self) -> Self {
        self.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// The same answer with more headers.
    #[must_use]
    pub fn and(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The body for whoever sent these headers, and the headers that tell what it is.
    #[must_use]
    pub fn body_for(&self, asked: &HeaderMap) -> (Bytes, Vec<(HeaderName, HeaderValue)>) {
        let Body { json, detail, upgrade } = &self.body;
        if json.is_empty() {
            return (Bytes::new(), Vec::new());
        }
        if !page::is_wanted(asked) {
            return (json.clone(), vec![(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))]);
        }
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, page::POLICY),
        ];
        (page::page(self.status, detail, upgrade.as_deref()), headers)
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Writes the answer, unless a response has begun already.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn write(self, session: &mut Session) -> Result<()> {
        if session.response_written().is_some_and(|begun| !begun.status.is_informational()) {
            return Ok(());
        }
        let (body, about) = self.body_for(&session.req_header().headers);
        let mut header = ResponseHeader::build(self.status, Some(self.headers.len() + about.len() + 1))?;
        for (name, value) in self.headers.into_iter().chain(about) {
            header.append_header(name, value)?;
        }
        header.insert_header(CONTENT_LENGTH, body.len())?;
        let bodiless = body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(header), bodiless).await?;
        if bodiless {
            session.finish_body().await?;
        } else {
            session.write_response_body(Some(body), true).await?;
        }
        linger(session).await;
        Ok(())
    }
}

/// Over HTTP/2, reads away what still comes of the request's body: some clients lose the answer when their stream is reset.
/// The end of an HTTP/1 connection sees to the same ([`wire::linger`]).
async fn linger(session: &mut Session) {
    if !session.is_http2() || session.is_body_done() {
        return;
    }
    let Some(_place) = wire::linger::place() else { return };
    let read_away =
        async { while let Ok(Ok(Some(_))) = timeout(wire::linger::PAUSE, session.read_request_body()).await {} };
    let _ = timeout(wire::linger::TIME, read_away).await;
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;
    use serde_json::{Value, json};

    use super::*;

    fn links() -> Links {
        Links::new("https://read.example/", "/login", "/billing/pricing")
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
            (pay(), 402, "payment_required", None, None),
            (forbidden, 403, "forbidden", None, None),
            (Denial::Unknown, 503, "entitlement_unknown", None, Some("1")),
        ];
        for (denied, status, code, challenge, retry) in cases {
            let answer = answer(&denied, &Method::GET, "application/json", "/a");
            assert_eq!(answer.status, status, "{code}");
            assert_eq!(header(&answer, &CACHE_CONTROL), Some("no-store"));
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
            let (body, about) = answer.body_for(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
            assert_eq!(about[0], (CONTENT_TYPE, HeaderValue::from_static(kind)), "{accept}");
            assert_eq!(body.starts_with(b"<!doctype html>"), kind.starts_with("text/html"), "{accept}");
        }
    }

    #[test]
    fn next_keeps_to_the_query_and_within_bounds() {
        let asked = |target: &str| answer(&Denial::SignIn, &Method::GET, "text/html", target);
        let long = format!("/{}", "a".repeat(NEXT_BYTES_MAX));
        assert_eq!(header(&asked(&long), &LOCATION), Some("/login?next=%2F"));
        let odd = asked("/%C3%A9?x=//evil.example/%0d%0a&next=\u{e9}\"<>");
        let location = header(&odd, &LOCATION).expect("a redirect");
        let value = location.strip_prefix("/login?next=").expect("one parameter");
        assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)), "{value}");
        let links = Links::new("https://read.example", "https://id.example/in?app=1", "/p");
        let asked = Asked {
            method: &Method::GET,
            headers: &HeaderMap::from_iter([(ACCEPT, "text/html".parse().expect("a value"))]),
            target: b"/a",
        };
        assert_eq!(
            header(&denial(&Denial::SignIn, asked, &links), &LOCATION),
            Some("https://id.example/in?app=1&next=%2Fa")
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
}
