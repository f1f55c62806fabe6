//! A refused call, in the shape of Polar's errors (<https://polar.sh/docs/api-reference/introduction>).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: no token, or another one.
    Unauthorized,
    /// 404: there is no such object.
    NotFound,
    /// 422: a parameter makes no sense.
    Invalid { param: &'static str, message: &'static str },
    /// 422: a field of the body makes no sense.
    InvalidBody { param: String, message: String },
    /// 403: the subscription is over, or on its way there.
    AlreadyCanceled,
    /// 400: there is nothing to take back.
    NotCanceled,
    /// 410: what is over is not taken back.
    Gone,
    /// 429: everything is kept in memory, and has a limit.
    Full,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("the token is not valid"),
            Self::NotFound => f.write_str("not found"),
            Self::Invalid { param, message } => write!(f, "{param}: {message}"),
            Self::InvalidBody { param, message } => write!(f, "{param}: {message}"),
            Self::AlreadyCanceled => f.write_str("the subscription is already canceled"),
            Self::NotCanceled => f.write_str("the subscription is not being canceled"),
            Self::Gone => f.write_str("the subscription is over"),
            Self::Full => f.write_str("the simulated provider is full: start it anew"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub const fn invalid(param: &'static str, message: &'static str) -> Self {
        Self::Invalid { param, message }
    }

    pub fn in_body(param: &str, message: &str) -> Self {
        Self::InvalidBody { param: param.to_owned(), message: message.to_owned() }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid { .. } | Self::InvalidBody { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::AlreadyCanceled => StatusCode::FORBIDDEN,
            Self::NotCanceled => StatusCode::BAD_REQUEST,
            Self::Gone => StatusCode::GONE,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Unauthorized => json!({
                "error": "invalid_token",
                "error_description":
                    "The access token provided is expired, revoked, malformed, or invalid for other reasons.",
            }),
            Self::NotFound => json!({ "error": "ResourceNotFound", "detail": "Not found" }),
            Self::Invalid { param, message } => json!({
                "error": "RequestValidationError",
                "detail": [{ "loc": ["query", param], "msg": message, "type": "value_error" }],
            }),
            Self::InvalidBody { param, message } => json!({
                "error": "RequestValidationError",
                "detail": [{ "loc": ["body", param], "msg": message, "type": "value_error" }],
            }),
            Self::AlreadyCanceled => json!({
                "error": "AlreadyCanceledSubscription",
                "detail": "This subscription is already canceled or will be at the end of the period.",
            }),
            Self::NotCanceled => json!({ "error": "BadRequest", "detail": "Bad request" }),
            Self::Gone => json!({ "error": "ResourceUnavailable", "detail": "Resource unavailable" }),
            Self::Full => json!({ "error": "TooManyRequests", "detail": self.to_string() }),
        }
    }
}

/// An error of this status that is nobody's fault but Polar's.
pub fn of_status(status: StatusCode) -> Value {
    json!({ "error": "PolarError", "detail": status.canonical_reason() })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if self == Self::Unauthorized {
            let challenge = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
