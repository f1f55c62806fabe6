//! `POST` and `DELETE /app/v1/accounts/{account}/block`.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use entitlement::account::AccountId;
use http::StatusCode;
use serde::Deserialize;

use super::account::Account;
use crate::Billing;
use crate::ops::{AccountError, Asker, Block, Blocked, Unknown};
use crate::problem::Problem;

/// Whether an account of which nothing is known is blocked, too.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    #[serde(default)]
    force: bool,
}

/// No gated route passes from now on, whatever is paid.
pub async fn begin(
    State(billing): State<Billing>,
    Account(account): Account,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Blocked>, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Send no body, or {\"force\": true}.");
    let body = body.map_err(|_| bad())?;
    let Beginning { force } =
        if body.is_empty() { Beginning::default() } else { serde_json::from_slice(&body).map_err(|_| bad())? };
    ask(&billing, &account, (Block::Begin, if force { Unknown::Block } else { Unknown::Refuse })).await
}

/// Payments count again.
pub async fn end(State(billing): State<Billing>, Account(account): Account) -> Result<Json<Blocked>, Problem> {
    ask(&billing, &account, (Block::End, Unknown::Refuse)).await
}

async fn ask(billing: &Billing, account: &AccountId, block: (Block, Unknown)) -> Result<Json<Blocked>, Problem> {
    Ok(Json(billing.block(account, block, Asker::Application).await.map_err(AccountError::from)?))
}
