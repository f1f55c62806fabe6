//! Takes in webhooks: verify, make durable, acknowledge. It decides nothing.
//!
//! A 2xx means that the whole event is committed. Only the durable row says what is a duplicate, and only a row that is
//! done is one. When there is time, the event is also applied before the answer, so that a buyer who comes back from
//! a checkout finds what was bought; but an answer never waits for long.

mod delivery;

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use cache::Sparing;
use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use self::delivery::verified;
use crate::apply::{Applied, Fate};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::metrics;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::events::{self, Arrival, Arrived};

/// Largest body, in bytes: Stripe's are a few kilobytes, with long invoices up to a few hundred.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a delivery waits to be taken in when there are too many.
const PLACE_PATIENCE: Duration = Duration::from_secs(2);

/// How long it is tried again to make an event durable, and how often.
const RETRIED_FOR: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long the database may take to make an event durable.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How long the worker leaves an event to the request that brought it.
const HEAD_START: TimeDelta = TimeDelta::seconds(1);

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Applied, and whoever gates on it knows.
    Ok,
    /// Durable; it is still being applied.
    Accepted,
    /// Applied or ignored before.
    Duplicate,
    /// It changes nothing.
    Ignored,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
        }
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Answer {
            status: Status,
        }
        Json(Answer { status: self }).into_response()
    }
}

/// `POST /api/stripe/webhook`.
pub(crate) async fn stripe(State(billing): State<Billing>, request: Request) -> Result<Status, Problem> {
    answer(&billing, Provider::Stripe, request).await
}

/// `POST /api/polar/webhook`.
pub(crate) async fn polar(State(billing): State<Billing>, request: Request) -> Result<Status, Problem> {
    answer(&billing, Provider::Polar, request).await
}

#[tracing::instrument(name = "webhook", skip_all, fields(provider = provider.as_str(), event_id, kind))]
async fn answer(billing: &Billing, provider: Provider, request: Request) -> Result<Status, Problem> {
    let mut kind = UNVERIFIED.to_owned();
    let answer = receive(billing, provider, request, &mut kind).await;
    let outcome = answer.as_ref().map_or_else(Problem::code, |status| status.as_str());
    metrics::count_webhook(provider, &kind, outcome);
    tracing::info!(outcome, "a webhook was answered");
    answer
}

/// What an unverified body says of its type is not believed.
const UNVERIFIED: &str = "unverified";

/// Verifies a delivery, makes it durable, and applies it if that is quick. `kind` becomes its type when it is verified.
async fn receive(
    billing: &Billing,
    provider: Provider,
    request: Request,
    kind: &mut String,
) -> Result<Status, Problem> {
    let crowded = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many deliveries at once. Try again.");
    let now = clock::now();
    let place = tokio::time::timeout(PLACE_PATIENCE, billing.shared().intake.acquire()).await;
    let place = place.map_err(|_| crowded())?.map_err(|_| crowded())?;
    let delivery = verified(&billing.providers(), provider, request, now).await?;
    tracing::Span::current().record("event_id", &delivery.event_id).record("kind", &delivery.kind);
    kind.clone_from(&delivery.kind);
    let slot = billing.shared().inline.clone().try_acquire_owned().ok().filter(|_| !billing.is_crowded());
    let due_at = if slot.is_some() { now + HEAD_START } else { now };
    let arrived = billing.make_durable(delivery.arrival(now, due_at)).await?;
    drop((delivery, place));
    match (arrived, slot) {
        (Arrived::Done, _) => Ok(Status::Duplicate),
        (Arrived::New(id), Some(slot)) => Ok(billing.apply_inline(id, slot, now).await),
        (Arrived::New(_), None) | (Arrived::Unfinished, _) => {
            billing.shared().event_due.notify_one();
            Ok(Status::Accepted)
        }
    }
}

impl Billing {
    /// Commits an event. A connection that died while it was idle is found out only by using it, and a database that
    /// has just come back leaves a pool full of those: others are tried for a moment.
    async fn make_durable(&self, arrival: Arrival<'_>) -> Result<Arrived, Problem> {
        let last_try = tokio::time::Instant::now() + RETRIED_FOR;
        let storing = async {
            loop {
                match self.store(arrival).await {
                    Err(error) if error.is_transient() && tokio::time::Instant::now() < last_try => {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    stored => return stored,
                }
            }
        };
        match tokio::time::timeout(STORE_PATIENCE, storing).await {
            Ok(stored) => Ok(stored?),
            Err(_) => {
                static SLOW: Sparing = Sparing::new();
                if let Some(untold) = SLOW.tells(&"") {
                    tracing::error!(
                        untold,
                        "the database took too long to make a webhook durable: its provider delivers it again; look at the load of PostgreSQL"
                    );
                }
                Err(Problem::database_unavailable())
            }
        }
    }

    async fn store(&self, arrival: Arrival<'_>) -> Result<Arrived, StoreError> {
        let mut conn = self.pool().acquire().await?;
        events::insert(&mut conn, arrival).await
    }

    /// Applies an event while its sender waits a moment, a short one when others wait as well. It goes on when the moment
    /// is over.
    async fn apply_inline(&self, id: i64, slot: OwnedSemaphorePermit, now: Timestamp) -> Status {
        let billing = self.clone();
        let wait = if self.is_alone() { self.settings().inline_wait } else { self.settings().inline_wait / 10 };
        let applying = self.shared().tasks.spawn(async move {
            let applied = billing.apply_event(id, now).await;
            drop(slot);
            applied
        });
        match tokio::time::timeout(wait, applying).await {
            Ok(Ok(Ok(applied))) => status_of(&applied),
            Ok(Ok(Err(error))) => {
                tracing::warn!(event = id, error = chain::told(&error), "an event is durable, and is applied later");
                Status::Accepted
            }
            // The worker counts the failure of what panicked here when it panics again there.
            Ok(Err(_)) | Err(_) => Status::Accepted,
        }
    }
}

const fn status_of(applied: &Applied) -> Status {
    match applied.fate {
        Fate::Applied { .. } if applied.published => Status::Ok,
        Fate::Ignored => Status::Ignored,
        Fate::Applied { .. } | Fate::Parked | Fate::Failed | Fate::Dead | Fate::Taken => Status::Accepted,
    }
}
