//! `POST` and `DELETE /app/v1/accounts/{account}/block`.

use axum::Json;
use axum::extract::{Path, State};
use entitlement::account::AccountId;
use http::StatusCode;

use crate::Billing;
use crate::ops::{Asker, Block, Blocked, OperatorError};
use crate::problem::Problem;

/// No gated route passes from now on, whatever is paid.
pub async fn begin(State(billing): State<Billing>, Path(account): Path<String>) -> Result<Json<Blocked>, Problem> {
    ask(&billing, &account, Block::Begin).await
}

/// Payments count again.
pub async fn end(State(billing): State<Billing>, Path(account): Path<String>) -> Result<Json<Blocked>, Problem> {
    ask(&billing, &account, Block::End).await
}

async fn ask(billing: &Billing, account: &str, block: Block) -> Result<Json<Blocked>, Problem> {
    let account = AccountId::parse(account).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_account", format!("This is no account id: {error}."))
    })?;
    match billing.block(&account, block, Asker::Application).await {
        Ok(blocked) => Ok(Json(blocked)),
        Err(error @ (OperatorError::UnknownAccount(_) | OperatorError::HeldAccount(_))) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown_account", error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
