//! Why billing says nothing.

use entitlement::assertion::AssertionError;
use entitlement::record::RecordError;

/// Why billing does not say what an account has.
#[derive(Debug, thiserror::Error)]
pub enum BelowError {
    #[error("billing did not answer in time")]
    Timeout,
    #[error("billing cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("billing answered with status {0}")]
    Status(u16),
    #[error("billing's answer is not a record of the account")]
    Record(#[from] RecordError),
    #[error("billing cannot be asked with a signed assertion")]
    Assertion(#[from] AssertionError),
    #[error("billing failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}
