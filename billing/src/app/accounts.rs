//! `/app/v1/accounts/{account}`: moved, given out as a copy, erased. The functions are those of the command line.

use axum::Json;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use entitlement::account::AccountId;
use http::StatusCode;
use serde::Deserialize;

use super::account::Account;
use crate::Billing;
use crate::ops::{Asker, Cancel, EraseWish, Erased, Exported, Merge, MoveWish, MovedAccount, Rehearsal};
use crate::problem::Problem;

/// Where everything goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    to: String,
    #[serde(default)]
    merge: bool,
}

/// Whether subscriptions that run are ended.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasing {
    #[serde(default)]
    cancel: bool,
}

/// `POST …/move`.
pub async fn move_to(
    State(billing): State<Billing>,
    Account(from): Account,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<MovedAccount>, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail);
    let body = body.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is larger than 64 KiB.")
        }
        _ => bad("The body could not be read."),
    })?;
    let To { to, merge } = serde_json::from_slice(&body).map_err(|_| {
        bad("Send {\"to\": \"…\"}, and \"merge\": true where the other account may have something of its own.")
    })?;
    let to = AccountId::parse(&to).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_account", format!("`to` is no account id: {error}."))
    })?;
    let merge = if merge { Merge::Allow } else { Merge::Refuse };
    let (asker, rehearsal) = (Asker::Application, Rehearsal::No);
    let wish = MoveWish { from: &from, to: &to, merge, id: None, asker, rehearsal };
    Ok(Json(billing.move_account(wish).await?))
}

/// `GET …/export`.
pub async fn export(State(billing): State<Billing>, Account(account): Account) -> Result<Json<Exported>, Problem> {
    Ok(Json(billing.export_account(&account).await?))
}

/// `DELETE`: erases.
pub async fn erase(
    State(billing): State<Billing>,
    Account(account): Account,
    erasing: Result<Query<Erasing>, QueryRejection>,
) -> Result<Json<Erased>, Problem> {
    let Query(Erasing { cancel }) = erasing.map_err(|_| {
        let detail = "Beside the path there is ?cancel=true, which ends what runs, and nothing else.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    })?;
    let cancel = if cancel { Cancel::Now } else { Cancel::Refuse };
    let (asker, rehearsal) = (Asker::Application, Rehearsal::No);
    Ok(Json(billing.erase_account(EraseWish { account: &account, cancel, id: None, asker, rehearsal }).await?))
}
