//! Access to the application's API: one of the tokens in TOLLGATE_APP_TOKEN. Without one it is closed.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cache::Sparing;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::Billing;
use crate::problem::Problem;

/// Lets a request through that has one of the tokens.
pub async fn checked(State(billing): State<Billing>, request: Request, next: Next) -> Response {
    let providers = billing.providers();
    if !providers.has_app_tokens() {
        let detail = "The application's API is closed: TOLLGATE_APP_TOKEN is not set.";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail).into_response();
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if !bearer(request.headers()).is_some_and(|token| providers.is_app(token)) {
        static REFUSED: Sparing = Sparing::new();
        if let Some(untold) = REFUSED.tells(&"") {
            tracing::warn!(%method, path, untold, "a request to the application's API did not hold a token of it: it is one of TOLLGATE_APP_TOKEN");
        }
        let detail = "Send `Authorization: Bearer` with TOLLGATE_APP_TOKEN.";
        let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if method != Method::GET && method != Method::HEAD {
        tracing::info!(%method, path, status = response.status().as_u16(), "the application asked for a change");
    }
    response
}

/// The token of the only `Authorization` header, of the scheme `Bearer` in any case (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_of_one_header_of_the_scheme() {
        for (values, expected) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Basic abc"], None),
            (&["abc"], None),
            (&["Bearer abc", "Bearer def"], None),
            (&[], None),
        ] {
            let lines = values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }
}
