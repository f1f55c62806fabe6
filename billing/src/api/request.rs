//! What a request that changes something must look like: JSON, and from this site's own pages.

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::Billing;
use crate::origin::Sender;
use crate::problem::Problem;

/// A request that another site's page cannot have made: a browser lets foreign pages send neither JSON (without asking
/// first, which is never granted) nor this site's `Origin`.
#[derive(Debug)]
pub struct OwnOrigin;

/// The JSON body of such a request.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl FromRequestParts<Billing> for OwnOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        check(&parts.headers, &billing.settings().origins).map(|()| Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Billing> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, billing: &Billing) -> Result<Self, Problem> {
        check(request.headers(), &billing.settings().origins)?;
        let body = Bytes::from_request(request, billing).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is longer than 16 KiB.")
            }
            _ => Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The body could not be read."),
        })?;
        let bad =
            |_| Problem::new(StatusCode::BAD_REQUEST, "not_json", "The body is not the JSON object expected here.");
        serde_json::from_slice(&body).map(Self).map_err(bad)
    }
}

fn check(headers: &HeaderMap, origins: &[String]) -> Result<(), Problem> {
    let sender = Sender::of(headers, origins);
    if sender == Sender::Foreign {
        let detail = format!("This is only for the pages of {}.", origins.join(" and "));
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
    }
    let is_json = match headers.get(header::CONTENT_TYPE) {
        Some(kind) => kind.to_str().is_ok_and(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        }),
        // A script's request without a body names no type, but its browser says where it is from.
        None => sender == Sender::Own,
    };
    if is_json {
        return Ok(());
    }
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "not_json", "Send `Content-Type: application/json`."))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_from_this_site_changes_anything() {
        let json = Some("application/json");
        let own = Some("https://read.example");
        let cases = [
            ("a script of the site", json, own, None),
            ("a program", json, None, None),
            ("with parameters", Some("Application/JSON; charset=utf-8"), own, None),
            ("a script of the site without a body", None, own, None),
            ("a foreign page", json, Some("https://evil.example"), Some(403)),
            ("a foreign port", json, Some("https://read.example:8443"), Some(403)),
            ("without encryption", json, Some("http://read.example"), Some(403)),
            ("a sandboxed page", json, Some("null"), Some(403)),
            ("a longer name", json, Some("https://read.example.evil.example"), Some(403)),
            ("a form", Some("application/x-www-form-urlencoded"), own, Some(415)),
            ("a form's text", Some("text/plain"), None, Some(415)),
            ("no type and no origin", None, None, Some(415)),
            ("nearly JSON", Some("application/json-patch+json"), None, Some(415)),
        ];
        for (what, kind, origin, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.extend(kind.map(|kind| (header::CONTENT_TYPE, HeaderValue::from_static(kind))));
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            let refused = check(&headers, &["https://read.example".to_owned()]);
            let refused = refused.err().map(|problem| problem.into_response().status().as_u16());
            assert_eq!(refused, expected, "{what}");
        }
    }
}
