//! `/admin/events`: the inbox, over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use billing::{Billing, EventLine, Filter, Problem, Stuck, StuckState};
use chrono::{DateTime, Utc};
use entitlement::catalog::Provider;
use serde::{Deserialize, Serialize};

use super::request::{Limit, Path, Query};
use crate::inbox::EventState;

/// Batches of one request to replay many: it answers how to go on.
const BATCHES_MAX: usize = 10;

/// `GET /admin/events`: which, and how many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    state: Option<EventState>,
    #[serde(rename = "type")]
    kind: Option<String>,
    account: Option<String>,
    provider: Option<Provider>,
    /// Only events with a smaller number.
    before: Option<i64>,
    /// Only events that were received since then (RFC 3339).
    since: Option<DateTime<Utc>>,
    #[serde(default)]
    limit: Limit,
}

/// The newest events first.
#[derive(Serialize)]
pub struct Listed {
    events: Vec<EventLine>,
    /// The `before` of the next page; null when this is the last.
    next: Option<i64>,
}

pub async fn list(State(billing): State<Billing>, Query(listing): Query<Listing>) -> Result<Json<Listed>, Problem> {
    let filter = Filter {
        state: listing.state.map(|state| state.as_str().to_owned()),
        kind: listing.kind,
        account: listing.account,
        provider: listing.provider.map(|provider| provider.as_str().to_owned()),
        before: listing.before,
        since: listing.since,
    };
    let limit = listing.limit.get();
    let events = billing.events(&filter, limit).await?;
    let is_full = u32::try_from(events.len()).is_ok_and(|count| count == limit);
    let next = events.last().filter(|_| is_full).map(|event| event.id);
    Ok(Json(Listed { events, next }))
}

/// One event.
#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    event: EventLine,
    /// As it was signed; null when it is pruned.
    body: Option<String>,
}

/// `GET /admin/events/{id}`: by its number or by the provider's id.
pub async fn show(State(billing): State<Billing>, Path(id): Path<String>) -> Result<Json<Shown>, Problem> {
    let (event, body) = billing.event(&id).await?.ok_or_else(|| no_event(&id))?;
    let body = event.body_pruned_at.is_none().then(|| String::from_utf8_lossy(&body).into_owned());
    Ok(Json(Shown { event, body }))
}

/// An event that is due again.
#[derive(Serialize)]
pub struct Replayed {
    event: i64,
}

/// `POST /admin/events/{id}/replay`: puts one event back to work.
pub async fn replay(State(billing): State<Billing>, Path(id): Path<String>) -> Result<Json<Replayed>, Problem> {
    let event = billing.replay(&id).await?.ok_or_else(|| no_event(&id))?;
    Ok(Json(Replayed { event }))
}

/// `POST /admin/events/replay`: which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    state: StuckState,
    #[serde(rename = "type")]
    kind: Option<String>,
    account: Option<String>,
    provider: Option<Provider>,
    /// Only events with a greater number: where an earlier request stopped.
    #[serde(default)]
    after: i64,
}

/// Events that are due again.
#[derive(Serialize)]
pub struct ReplayedMany {
    replayed: usize,
    /// The `after` with which to go on; null when nothing is left.
    next: Option<i64>,
}

pub async fn replay_stuck(
    State(billing): State<Billing>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ReplayedMany>, Problem> {
    let stuck = Stuck { state: wanted.state, kind: wanted.kind, account: wanted.account, provider: wanted.provider };
    let mut done = ReplayedMany { replayed: 0, next: Some(wanted.after) };
    for _ in 0..BATCHES_MAX {
        let Some(after) = done.next else { break };
        let batch = billing.replay_stuck(&stuck, after).await?;
        done = ReplayedMany { replayed: done.replayed + batch.events, next: batch.next };
    }
    Ok(Json(done))
}

fn no_event(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_event", format!("There is no event {id}."))
}
