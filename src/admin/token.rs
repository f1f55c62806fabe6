//! Who may use the admin API: whoever holds TOLLGATE_ADMIN_TOKEN. Without one nobody does.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use billing::Problem;
use cache::Sparing;

/// The token that is asked for; it can be replaced while requests come in. Only its digest is held.
pub struct AdminToken(ArcSwapOption<Digest>);

/// What was found against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotConfigured,
    Unauthorized,
}

impl AdminToken {
    pub fn new(token: Option<&str>) -> Self {
        Self(ArcSwapOption::new(token.map(digest_of)))
    }

    /// Asks for another token from now on.
    pub fn replace(&self, token: Option<&str>) {
        self.0.store(token.map(digest_of));
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let expected = self.0.load_full().ok_or(Refusal::NotConfigured)?;
        let given = bearer(headers).ok_or(Refusal::Unauthorized)?;
        // Of two digests, neither the length nor the place of the first difference says anything of the token.
        let given = digest(&SHA256, given.as_bytes());
        let same = constant_time::verify_slices_are_equal(expected.as_ref().as_ref(), given.as_ref());
        same.map_err(|_| Refusal::Unauthorized)
    }
}

fn digest_of(token: &str) -> Arc<Digest> {
    Arc::new(digest(&SHA256, token.as_bytes()))
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1; the scheme in any case).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Lets a request through that holds the token; what changes something is logged.
pub async fn guard(State(token): State<Arc<AdminToken>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match token.check(request.headers()) {
        Ok(()) => {}
        Err(Refusal::NotConfigured) => {
            let detail = "The admin API is closed: TOLLGATE_ADMIN_TOKEN is not set.";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail).into_response();
        }
        Err(Refusal::Unauthorized) => {
            static REFUSED: Sparing = Sparing::new();
            if let Some(untold) = REFUSED.tells(&"") {
                tracing::warn!(%method, path, untold, "a request to the admin API did not hold TOLLGATE_ADMIN_TOKEN");
            }
            let detail = "Send `Authorization: Bearer` with TOLLGATE_ADMIN_TOKEN.";
            let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
    }
    let response = next.run(request).await;
    if method != Method::GET && method != Method::HEAD {
        tracing::info!(%method, path, status = response.status().as_u16(), "an operator asked for a change");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn only_the_token_opens_and_without_one_nothing_does() {
        let token = AdminToken::new(Some("0123456789abcdef"));
        let cases = [
            ("Bearer 0123456789abcdef", Ok(())),
            ("bearer 0123456789abcdef", Ok(())),
            ("Bearer 0123456789abcdeF", Err(Refusal::Unauthorized)),
            ("Bearer 0123456789abcde", Err(Refusal::Unauthorized)),
            ("Bearer 0123456789abcdef0", Err(Refusal::Unauthorized)),
            ("Bearer ", Err(Refusal::Unauthorized)),
            ("Basic 0123456789abcdef", Err(Refusal::Unauthorized)),
            ("0123456789abcdef", Err(Refusal::Unauthorized)),
        ];
        for (value, expected) in cases {
            assert_eq!(token.check(&headers(value)), expected, "{value}");
        }
        assert_eq!(token.check(&HeaderMap::new()), Err(Refusal::Unauthorized));
        let closed = AdminToken::new(None);
        for value in ["Bearer 0123456789abcdef", "Bearer "] {
            assert_eq!(closed.check(&headers(value)), Err(Refusal::NotConfigured), "{value}");
        }
    }

    #[test]
    fn a_replaced_token_opens_no_more() {
        let token = AdminToken::new(Some("0123456789abcdef"));
        token.replace(Some("fedcba9876543210"));
        assert_eq!(token.check(&headers("Bearer 0123456789abcdef")), Err(Refusal::Unauthorized));
        assert_eq!(token.check(&headers("Bearer fedcba9876543210")), Ok(()));
    }
}
