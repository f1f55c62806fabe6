//! What a form must look like to be believed: sent by one of our own pages, by a browser that says so.

use axum::Form;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::Billing;
use crate::origin::Sender;
use crate::problem::Problem;

/// The fields of a form that one of our own pages has sent.
#[derive(Debug)]
pub struct OwnForm<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Billing> for OwnForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, billing: &Billing) -> Result<Self, Problem> {
        if Sender::of(request.headers(), &billing.settings().origins) != Sender::Own {
            let detail = "The form was not sent by a page of this site.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
        }
        let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The form could not be read.");
        Form::from_request(request, billing).await.map(|Form(fields)| Self(fields)).map_err(bad)
    }
}
