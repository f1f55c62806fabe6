//! `/admin/reconcile`: compare with the providers, over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use billing::{Billing, Force, Kind, Problem, ReconcileError};
use entitlement::account::AccountId;
use serde::{Deserialize, Serialize};

use super::request::Query;
use crate::commands::parts;

/// `POST /admin/reconcile`: of one account at once, else of everything in the background.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    account: Option<AccountId>,
}

#[derive(Serialize)]
struct Begun {
    status: &'static str,
}

pub async fn reconcile(State(billing): State<Billing>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    if let Some(account) = asked.account {
        let reports = billing.reconcile_account(&account, parts::now()).await.map_err(problem)?;
        return Ok(Json(reports).into_response());
    }
    tokio::spawn(async move {
        for kind in [Kind::Delta, Kind::Full] {
            if let Err(error) = billing.reconcile(kind, Force::No, parts::now(), |_| {}).await {
                tracing::error!(%error, "a comparison that was asked for stopped");
            }
        }
    });
    Ok((StatusCode::ACCEPTED, Json(Begun { status: "started" })).into_response())
}

fn problem(error: ReconcileError) -> Problem {
    match error {
        ReconcileError::Store(error) => error.into(),
        ReconcileError::Provider(error) => Problem::new(StatusCode::BAD_GATEWAY, "provider_error", error.to_string()),
        error @ ReconcileError::WrongKey { .. } => Problem::new(StatusCode::CONFLICT, "wrong_key", error.to_string()),
        error @ (ReconcileError::NobodyToAsk | ReconcileError::NotAsked { .. }) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", error.to_string())
        }
    }
}
