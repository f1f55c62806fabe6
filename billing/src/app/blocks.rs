//! `POST` and `DELETE /app/v1/accounts/{account}/block`.

use axum::Json;
use axum::extract::State;
use entitlement::account::AccountId;

use super::account::Account;
use crate::Billing;
use crate::ops::{AccountError, Asker, Block, Blocked};
use crate::problem::Problem;

/// No gated route passes from now on, whatever is paid.
pub async fn begin(State(billing): State<Billing>, Account(account): Account) -> Result<Json<Blocked>, Problem> {
    ask(&billing, &account, Block::Begin).await
}

/// Payments count again.
pub async fn end(State(billing): State<Billing>, Account(account): Account) -> Result<Json<Blocked>, Problem> {
    ask(&billing, &account, Block::End).await
}

async fn ask(billing: &Billing, account: &AccountId, block: Block) -> Result<Json<Blocked>, Problem> {
    Ok(Json(billing.block(account, block, Asker::Application).await.map_err(AccountError::from)?))
}
