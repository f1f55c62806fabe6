//! How pages are sent: never stored, nothing loaded from elsewhere, in nobody's frame.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::problem::Problem;

/// No inline script or style, so that nothing that finds its way into a page can run.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const SCRIPT: &str = include_str!("../../templates/app.js");
const STYLE: &str = include_str!("../../templates/app.css");

/// Renders a page.
pub fn page(template: &impl Template) -> Response {
    template.render().map(|body| Html(body).into_response()).unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        broken()
    })
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

/// The script of all pages.
pub async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// The style of all pages.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Adds to every answer under `/billing` what keeps it private and inert.
pub async fn guarded(mut answer: Response) -> Response {
    let guards: [(HeaderName, &'static str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The session's id stands in the address of the return page.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in guards {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
