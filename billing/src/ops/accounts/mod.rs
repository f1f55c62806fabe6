//! One account as a whole: found, shown, moved to another id, given out as a copy, erased. Behind the command line and the application's API.

mod erase;
mod export;
mod find;
mod moving;

pub use erase::{Cancel, EraseWish, Erased};
pub use export::Exported;
pub use find::Shown;
pub use moving::{Merge, MoveWish, MovedAccount};

use entitlement::account::AccountId;
use http::StatusCode;

use super::{OperatorError, check_no_pseudonym, check_not_moved};
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::erasure::Running;

/// Whether it is only tried out: what it would do is told, and nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    No,
    Yes,
}

/// Why nothing was done to an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("both are `{0}`: name two accounts")]
    Same(AccountId),
    #[error("`{0}` has something of its own: a merge puts both together, and cannot be undone")]
    NotEmpty(AccountId),
    #[error("it pays for {}, which would go on to be charged for: cancelling ends that at once, without a refund", told(.0))]
    Running(Vec<Running>),
    #[error("{} still runs after it was cancelled: nothing is erased, so try again shortly", told(.0))]
    NotConfirmed(Vec<Running>),
    #[error("an open checkout has to be paid or to expire first, as its provider cannot close it: nothing is erased")]
    CheckoutOpen,
    #[error("a payment is being processed: nothing is erased until it has come or failed")]
    PaymentPending,
    #[error("{subscription} could not be ended, and nothing is erased: {}", .problem.for_operator())]
    NotEnded { subscription: String, problem: Box<Problem> },
    #[error("{}", .0.for_operator())]
    Refused(Problem),
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

fn told(running: &[Running]) -> String {
    running.iter().map(named).collect::<Vec<_>>().join(", ")
}

fn named(running: &Running) -> String {
    format!("{}:{}", running.provider, running.subscription_id)
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Operator(error.into())
    }
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        Self::Operator(error.into())
    }
}

impl From<Problem> for AccountError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let (status, code) = match error {
            AccountError::Refused(ref problem) => return problem.clone().saying(error.to_string()),
            AccountError::NotEnded { ref problem, .. } => return Problem::clone(problem).saying(error.to_string()),
            AccountError::Operator(error @ (OperatorError::UnknownAccount(_) | OperatorError::HeldAccount(_))) => {
                return Self::new(StatusCode::NOT_FOUND, "unknown_account", error.to_string());
            }
            AccountError::Operator(error) => return error.into(),
            AccountError::Same(_) => (StatusCode::BAD_REQUEST, "same_account"),
            AccountError::NotEmpty(_) => (StatusCode::CONFLICT, "target_not_empty"),
            AccountError::Running(_) => (StatusCode::CONFLICT, "subscription_running"),
            AccountError::NotConfirmed(_) => (StatusCode::BAD_GATEWAY, "not_confirmed"),
            AccountError::CheckoutOpen => (StatusCode::CONFLICT, "checkout_open"),
            AccountError::PaymentPending => (StatusCode::CONFLICT, "payment_pending"),
        };
        Self::new(status, code, error.to_string())
    }
}
