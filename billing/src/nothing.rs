//! The answer where no route matches: an address with a slash too many leads to the one without it, all others are not found.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};

use crate::problem::Problem;

/// The answer where no route matches. What a client sends is never sent again to another address by this.
pub async fn nothing(method: Method, uri: Uri) -> Response {
    let is_read = matches!(method, Method::GET | Method::HEAD);
    if let Some(location) = without_slash(&uri).filter(|_| is_read) {
        return (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response();
    }
    Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.").into_response()
}

/// The answer where the route has another method.
pub async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This cannot be done here: see `Allow`.")
}

/// The path without the slash at its end, and the query.
fn without_slash(uri: &Uri) -> Option<HeaderValue> {
    let path = uri.path().strip_suffix('/')?;
    if path.is_empty() || path.ends_with('/') || path.starts_with("//") {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("{path}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_slash_at_the_end_is_too_many() {
        let cases = [
            ("/billing/", Some("/billing")),
            ("/billing/pricing/?next=%2Fa", Some("/billing/pricing?next=%2Fa")),
            ("/billing", None),
            ("/", None),
            ("/billing//", None),
            ("//evil.example/", None),
        ];
        for (uri, expected) in cases {
            let location = without_slash(&uri.parse().expect("a URI"));
            assert_eq!(location.as_ref().map(HeaderValue::as_bytes), expected.map(str::as_bytes), "{uri}");
        }
    }
}
