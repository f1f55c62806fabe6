//! What a form must look like to be believed: sent by one of our own pages, by a browser that says so.
//!
//! A session cookie comes along with what a foreign page sends, so the cookie proves nothing. What a browser states of
//! the sender does: `Sec-Fetch-Site` (Fetch Metadata) and `Origin` (RFC 6454), which no page can set or suppress. Both must be
//! ours where they are there, and one of them must be. All browsers have sent `Origin` with forms since 2020. That needs
//! no token, so a page can be open for days, and every process can take its form.

use axum::Form;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use url::Url;

use crate::Billing;
use crate::problem::Problem;

/// The fields of a form that one of our own pages has sent.
#[derive(Debug)]
pub struct OwnForm<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Billing> for OwnForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, billing: &Billing) -> Result<Self, Problem> {
        if !is_own(request.headers(), &billing.settings().site_url) {
            let detail = "The form was not sent by a page of this site.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
        }
        let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The form could not be read.");
        Form::from_request(request, billing).await.map(|Form(fields)| Self(fields)).map_err(bad)
    }
}

fn is_own(headers: &HeaderMap, site_url: &str) -> bool {
    let own = Url::parse(site_url).map(|url| url.origin().ascii_serialization());
    let is_own_origin = |origin: &HeaderValue| own.as_ref().is_ok_and(|own| own.as_bytes() == origin.as_bytes());
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes() == b"same-origin");
    let origin = headers.get(header::ORIGIN).map(is_own_origin);
    match (site, origin) {
        (None, None) => false,
        (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_believed() {
        let own = Some("https://read.example");
        let cases = [
            ("a form of ours", own, Some("same-origin"), true),
            ("of an older browser", own, None, true),
            ("without an origin, and the browser vouches for it", None, Some("same-origin"), true),
            ("a program, or a browser that hides everything", None, None, false),
            ("a foreign page", Some("https://evil.example"), Some("cross-site"), false),
            ("a foreign page, older browser", Some("https://evil.example"), None, false),
            ("a neighbour under the same domain", Some("https://blog.read.example"), Some("same-site"), false),
            ("a sandboxed page", Some("null"), Some("cross-site"), false),
            ("another port", Some("https://read.example:8443"), Some("same-site"), false),
            ("without encryption", Some("http://read.example"), None, false),
            ("typed in by hand", None, Some("none"), false),
            ("two that do not agree", own, Some("cross-site"), false),
            ("two that do not agree the other way", Some("https://evil.example"), Some("same-origin"), false),
        ];
        for (what, origin, site, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            assert_eq!(is_own(&headers, "https://read.example/"), expected, "{what}");
        }
    }
}
