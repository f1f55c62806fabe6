//! A refused call, in the shape of Stripe's errors (<https://docs.stripe.com/api/errors>).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error of this status that is nobody's fault but Stripe's.
pub fn of_status(status: StatusCode) -> Value {
    if status == StatusCode::PAYMENT_REQUIRED {
        let error = json!({ "type": "card_error", "code": "card_declined", "message": "Your card was declined." });
        return json!({ "error": error });
    }
    if status == StatusCode::BAD_REQUEST {
        let error = json!({ "type": "invalid_request_error", "message": "No such price: 'price_of_tests'" });
        return json!({ "error": error });
    }
    let kind = if status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_error" } else { "api_error" };
    json!({ "error": { "type": kind, "message": "An unknown error occurred." } })
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    /// Stripe's `type`.
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into() }
    }

    fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// 401: no key, or another one. The key itself is never repeated.
    pub fn unauthorized(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", None, message)
    }

    /// 403: the key is a restricted one, and may not do this.
    pub fn not_permitted() -> Self {
        let message = "The provided key does not have the required permissions for this endpoint.";
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", Some("more_permissions_required"), message)
    }

    /// 400: a parameter makes no sense.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message).about(param)
    }

    /// 400: a required parameter is not there.
    pub fn missing(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("parameter_missing"), message).about(param)
    }

    /// 400: a parameter that Stripe does not know here.
    pub fn unknown_parameter(param: &str) -> Self {
        let message = format!("Received unknown parameter: {param}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("parameter_unknown"), message).about(param)
    }

    /// 404, or 400 when the id stood in a parameter: `param` names where it stood.
    pub fn no_such(what: &str, id: &str, param: &str) -> Self {
        let status = if param == "id" { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        let message = format!("No such {what}: '{id}'");
        Self::new(status, "invalid_request_error", Some("resource_missing"), message).about(param)
    }

    /// 400: what was to be made is there already.
    pub fn exists(what: &str) -> Self {
        let message = format!("{what} already exists.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("resource_already_exists"), message)
            .about("id")
    }

    /// 404: Stripe has, or this provider plays, no such route.
    pub fn no_route(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// 400: the object is not in a state for this.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// 402: the customer's card was declined.
    pub fn declined() -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", Some("card_declined"), "Your card was declined.")
    }

    /// 400: one idempotency key for two different calls.
    pub fn idempotency_mismatch() -> Self {
        let message =
            "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", None, message)
    }

    /// 429: the provider keeps everything in memory, and has a limit.
    pub fn full() -> Self {
        let message = "The simulated provider is full: start it anew.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", Some("rate_limit"), message)
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
        }
        if let Some(param) = &self.param {
            error["param"] = json!(param);
        }
        json!({ "error": error })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}
