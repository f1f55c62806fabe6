//! What an operator does: the functions behind the command line and the admin interface.

mod catalog;
mod credits;
mod events;
mod explain;

pub use catalog::CatalogReport;
pub use credits::{Granted, Revoked};
pub use explain::{Explained, ExplainedSegment};

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
    #[error("say why, in 1 to 500 characters: somebody will ask")]
    NoReason,
    #[error("there is nothing to revoke: `{0}` has no such credit that still gives something")]
    NothingToRevoke(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OperatorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
