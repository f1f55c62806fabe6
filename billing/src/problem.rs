//! Errors as HTTP answers: problem documents (RFC 9457) with a stable `code`.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use entitlement::own_paths::OwnPaths;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer that says what went wrong, for a program (`code`) and for its author (`detail`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    instead: Option<Cow<'static, str>>,
    reference: Option<Box<str>>,
    /// The cause, in words for the operator: no part of an answer to a buyer.
    cause: Option<Box<str>>,
    /// Seconds after which it may go well.
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    /// A path of this interface that leads to what was wanted (RFC 9457 section 3.2: an extension member).
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<&'a str>,
    /// By which the operator finds the cause in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl Problem {
    /// A problem with the stable `code` and a sentence that reads alone. `detail` reaches the caller: no secrets.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), instead: None, reference: None, cause: None, retry_after: None }
    }

    /// 503: Postgres cannot be reached, or refuses to work; the caller should try again.
    #[must_use]
    pub fn database_unavailable() -> Self {
        let detail = "The database cannot be reached. Try again shortly.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", detail)
    }

    /// 503: it was given up in the middle, and nothing is half done; the caller should try again.
    #[must_use]
    pub fn interrupted() -> Self {
        let detail = "This could not be finished. Nothing has happened; try again shortly.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "interrupted", detail)
    }

    /// The same, naming the path that leads to what was wanted.
    #[must_use]
    pub fn instead(self, path: &'static str) -> Self {
        Self { instead: Some(Cow::Borrowed(path)), ..self }
    }

    /// The same, with that path where browsers find it.
    #[must_use]
    pub fn at(self, own: &OwnPaths) -> Self {
        Self { instead: self.instead.map(|name| Cow::Owned(own.of(&name))), ..self }
    }

    /// The same, with what its cause is found by in the log.
    #[must_use]
    pub fn reference(self, reference: String) -> Self {
        Self { reference: Some(reference.into()), ..self }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn because(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string().into()), ..self }
    }

    /// The same, with a sentence that the operator reads.
    #[must_use]
    pub fn saying(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    /// The same, with the seconds after which it may go well.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The path that leads to what was wanted.
    #[cfg(test)]
    pub fn told_instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// What its cause is found by in the log.
    #[must_use]
    pub fn told_reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The seconds after which it may go well, as `Retry-After` has them.
    #[must_use]
    pub fn told_retry_after(&self) -> Option<HeaderValue> {
        self.retry_after.map(HeaderValue::from)
    }

    /// The stable code of the answer.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence that reads alone.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The cause, where it is known, and what the log has it by: for the operator.
    #[must_use]
    pub fn for_operator(&self) -> String {
        let cause = self.cause.as_deref().unwrap_or(&self.detail);
        match &self.reference {
            Some(reference) => format!("{cause} (reference {reference})"),
            None => cause.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            // RFC 9457 section 4.2.1: the title is then the status phrase, and the code tells problems apart.
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            instead: self.instead.as_deref(),
            reference: self.reference.as_deref(),
        };
        let mut response = (self.status, Json(document)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(self.told_retry_after().map(|after| (header::RETRY_AFTER, after)));
        // For whoever answers a person instead of a program: the hosted pages say the same in their own words.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_a_problem_document() {
        let response = Problem::new(StatusCode::NOT_FOUND, "no_customer", "Nothing was bought yet.").into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Not Found", "status": 404,
            "code": "no_customer", "detail": "Nothing was bought yet.",
        });
        assert_eq!(body, expected);
    }
}
