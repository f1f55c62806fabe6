//! `/admin/consents`: what buyers agreed to, over HTTP.

use axum::Json;
use axum::extract::State;
use billing::{Billing, Consent, Problem};
use chrono::{DateTime, Utc};
use entitlement::account::AccountId;
use serde::{Deserialize, Serialize};

use super::request::{Limit, Query};

/// `GET /admin/consents`: whose, and how many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    account: Option<AccountId>,
    /// Only consents with a smaller number.
    before: Option<i64>,
    /// Only consents since then (RFC 3339).
    since: Option<DateTime<Utc>>,
    #[serde(default)]
    limit: Limit,
}

/// The newest consents first.
#[derive(Serialize)]
pub struct Listed {
    consents: Vec<Consent>,
    /// The `before` of the next page; null when this is the last.
    next: Option<i64>,
}

pub async fn list(
    State(billing): State<Billing>,
    Query(Listing { account, before, since, limit }): Query<Listing>,
) -> Result<Json<Listed>, Problem> {
    let consents = billing.consents(account.as_ref(), (since, before), limit.get()).await?;
    let is_full = u32::try_from(consents.len()).is_ok_and(|count| count == limit.get());
    let next = consents.last().filter(|_| is_full).map(|consent| consent.id);
    Ok(Json(Listed { consents, next }))
}
