//! What a request to the admin API must look like: what cannot be read, or says more than is understood, is refused.
//! A misspelt filter that is silently left out would replay everything.

use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use billing::{Billing, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How many lines are shown when a request does not say.
const LIMIT_DEFAULT: u32 = 50;

/// Most lines that one answer shows.
const LIMIT_MAX: u32 = 1000;

/// A part of the path.
pub struct Path<T>(pub T);

/// The query; unknown keys are the type's to refuse.
pub struct Query<T>(pub T);

/// A JSON body.
pub struct Body<T>(pub T);

/// How many lines to show: 1 to 1000.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

impl Limit {
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(limit: u32) -> Result<Self, String> {
        if (1..=LIMIT_MAX).contains(&limit) { Ok(Self(limit)) } else { Err(format!("limit is 1 to {LIMIT_MAX}")) }
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Billing> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let path = extract::Path::<T>::from_request_parts(parts, billing).await;
        path.map(|extract::Path(value)| Self(value)).map_err(|rejection| bad(&rejection.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Billing> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let query = extract::Query::<T>::from_request_parts(parts, billing).await;
        query.map(|extract::Query(value)| Self(value)).map_err(|rejection| bad(&rejection.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequest<Billing> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, billing: &Billing) -> Result<Self, Problem> {
        let body = axum::Json::<T>::from_request(request, billing).await;
        body.map(|axum::Json(value)| Self(value)).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is longer than 16 KiB.")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let detail = "Send `Content-Type: application/json`.";
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail)
            }
            _ => bad(&rejection.body_text()),
        })
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}
