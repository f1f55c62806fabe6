//! The account in a path of the application's API.

use axum::extract::{FromRequestParts, Path};
use entitlement::account::AccountId;
use http::StatusCode;
use http::request::Parts;

use crate::problem::Problem;

/// The account that the path names, percent-encoded where need be.
pub struct Account(pub AccountId);

impl<S: Send + Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |why: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_account", why);
        let Path(account) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| refused("This is no account id: it is not text.".to_owned()))?;
        let parsed = AccountId::parse(&account);
        Ok(Self(parsed.map_err(|error| refused(format!("This is no account id: {error}.")))?))
    }
}
