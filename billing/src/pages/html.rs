//! How pages are sent: never stored, nothing loaded from elsewhere, in nobody's frame.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::problem::Problem;

/// No inline script or style, so that nothing that finds its way into a page can run. Forms lead to this site alone:
/// the way on to a provider is a page of ours, because a browser would hold a redirect against `form-action` too.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                       font-src 'self' data:; base-uri 'none'; form-action 'self'; \
                                       frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Renders a page.
pub fn page(template: &impl Template) -> Response {
    template.render().map(|body| Html(body).into_response()).unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        broken()
    })
}

/// A page that says what went wrong, with the problem's status, and when it may go well.
pub fn page_with(problem: &Problem, template: &impl Template) -> Response {
    let mut answer = page(template);
    if answer.status().is_success() {
        *answer.status_mut() = problem.status();
        answer.headers_mut().extend(problem.told_retry_after().map(|after| (header::RETRY_AFTER, after)));
    }
    answer
}

/// A 303 to a URL that was built or checked here.
pub fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        tracing::error!("a redirect could not be written as a header");
        return broken();
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn broken() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The page could not be made.").into_response()
}

/// Adds to every answer under `/billing` what keeps it private and inert.
pub async fn guarded(mut answer: Response) -> Response {
    let guards: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The session's id stands in the address of the return page. Our own forms still name their origin.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in guards {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}
