//! `/admin/accounts`: what an account has and why, and what an operator gives it, over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use billing::{AuditLine, Billing, Explained, Granted, Problem, Revoked, Term};
use chrono::{DateTime, Utc};
use entitlement::account::AccountId;
use serde::{Deserialize, Serialize};

use super::request::{Body, Limit, Path, Query};
use crate::commands::parts;

/// `GET /admin/accounts/{account}`: at which moment; now when it does not say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    at: Option<DateTime<Utc>>,
}

/// The same as `tollgate explain account --json`.
pub async fn explain(
    State(billing): State<Billing>,
    Path(account): Path<AccountId>,
    Query(At { at }): Query<At>,
) -> Result<Json<Explained>, Problem> {
    Ok(Json(billing.explain_account(&account, at.unwrap_or_else(parts::now)).await?))
}

/// `GET /admin/accounts/{account}/audit`: how many, and from where on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Only changes with a smaller number.
    before: Option<i64>,
    #[serde(default)]
    limit: Limit,
}

/// The newest changes first.
#[derive(Serialize)]
pub struct Audited {
    changes: Vec<AuditLine>,
    /// The `before` of the next page; null when this is the last.
    next: Option<i64>,
}

pub async fn audit(
    State(billing): State<Billing>,
    Path(account): Path<AccountId>,
    Query(Page { before, limit }): Query<Page>,
) -> Result<Json<Audited>, Problem> {
    let changes = billing.changes(&account, before, limit.get()).await?;
    let is_full = u32::try_from(changes.len()).is_ok_and(|count| count == limit.get());
    let next = changes.last().filter(|_| is_full).map(|change| change.id);
    Ok(Json(Audited { changes, next }))
}

/// `POST /admin/accounts/{account}/credits`: what to give.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    tier: String,
    reason: String,
    /// For how many days, after those that it has already; or see `until`. Without both it does not end.
    days: Option<u32>,
    until: Option<DateTime<Utc>>,
    /// An id of the caller's own: it is done once, however often it is asked for.
    id: Option<String>,
}

pub async fn grant(
    State(billing): State<Billing>,
    Path(account): Path<AccountId>,
    Body(credit): Body<Credit>,
) -> Result<(StatusCode, Json<Granted>), Problem> {
    let term = term(credit.days, credit.until)?;
    let granted = billing.grant(&account, &credit.tier, &credit.reason, term, credit.id.as_deref()).await?;
    let status = if granted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(granted)))
}

/// Under which id something is done once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    id: Option<String>,
}

/// `DELETE /admin/accounts/{account}/credits`: takes back all that still give something.
pub async fn revoke_all(
    State(billing): State<Billing>,
    Path(account): Path<AccountId>,
    Query(Once { id }): Query<Once>,
) -> Result<Json<Revoked>, Problem> {
    Ok(Json(billing.revoke(&account, None, id.as_deref()).await?))
}

/// `DELETE /admin/accounts/{account}/credits/{credit}`: takes back one.
pub async fn revoke(
    State(billing): State<Billing>,
    Path((account, credit)): Path<(AccountId, i64)>,
    Query(Once { id }): Query<Once>,
) -> Result<Json<Revoked>, Problem> {
    Ok(Json(billing.revoke(&account, Some(credit), id.as_deref()).await?))
}

fn term(days: Option<u32>, until: Option<DateTime<Utc>>) -> Result<Term, Problem> {
    match (days, until) {
        (Some(_), Some(_)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Say `days` or `until`, not both."))
        }
        (Some(days), None) => Ok(Term::Days(days)),
        (None, until) => Ok(until.into()),
    }
}
