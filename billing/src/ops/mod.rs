//! What an operator does: the functions behind the command line and the admin interface.

mod catalog;
mod consents;
mod credits;
mod events;
mod explain;
mod live;

pub use catalog::CatalogReport;
pub use credits::{Granted, Revoked};
pub use events::Replayed;
pub use explain::{Explained, ExplainedSegment, UnseenSince};
pub use live::{GoingLive, WentLive};

use http::StatusCode;

use crate::problem::Problem;
use crate::store::StoreError;

/// Why an operator's wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the catalog has no tier `{tier}`: it has {known}")]
    UnknownTier { tier: String, known: String },
    #[error("everybody has the tier `{0}` already")]
    BaseTier(String),
    #[error("the end must lie in the future")]
    EndsInThePast,
    #[error("a credit by the day has 1 to 36500 days")]
    BadDays,
    #[error("say why, in 1 to 500 characters: somebody will ask")]
    NoReason,
    #[error("there is nothing to revoke: `{0}` has no such credit that still gives something")]
    NothingToRevoke(String),
    #[error("event {0} cannot be replayed: its body is pruned, so there is nothing left to apply")]
    BodyPruned(i64),
    #[error("STRIPE_API_KEY is a test key: set the live one first")]
    TestKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OperatorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let (status, code) = match error {
            OperatorError::Store(error) => return error.into(),
            OperatorError::UnknownTier { .. } => (StatusCode::BAD_REQUEST, "unknown_tier"),
            OperatorError::BaseTier(_) => (StatusCode::BAD_REQUEST, "base_tier"),
            OperatorError::EndsInThePast => (StatusCode::BAD_REQUEST, "ends_in_the_past"),
            OperatorError::BadDays => (StatusCode::BAD_REQUEST, "bad_request"),
            OperatorError::NoReason => (StatusCode::BAD_REQUEST, "no_reason"),
            OperatorError::NothingToRevoke(_) => (StatusCode::NOT_FOUND, "nothing_to_revoke"),
            OperatorError::TestKey => (StatusCode::CONFLICT, "test_key"),
            OperatorError::BodyPruned(_) => (StatusCode::CONFLICT, "body_pruned"),
        };
        Self::new(status, code, error.to_string())
    }
}
