//! One delivery, before it is kept: whether it comes from its provider, and what it says of itself.

use std::error::Error;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use cache::Sparing;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use http::{HeaderMap, StatusCode};

use crate::chain;
use crate::credentials::Providers;
use crate::metrics;
use crate::problem::Problem;
use crate::provider::{polar, stripe};
use crate::store::events::Arrival;

/// How long a sender may take to send its body.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A delivery that is what it says it is.
pub(super) struct Delivery {
    provider: Provider,
    pub event_id: String,
    pub kind: String,
    api_version: Option<String>,
    livemode: Option<bool>,
    body: Bytes,
}

impl Delivery {
    pub fn arrival(&self, received_at: Timestamp, due_at: Timestamp) -> Arrival<'_> {
        Arrival {
            provider: self.provider,
            event_id: &self.event_id,
            kind: &self.kind,
            api_version: self.api_version.as_deref(),
            livemode: self.livemode,
            body: &self.body,
            received_at,
            due_at,
        }
    }

    /// Reads what every event says of itself.
    fn read(provider: Provider, headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        match provider {
            Provider::Stripe => {
                let envelope = stripe::read_envelope(&body).map_err(|error| not_an_event(provider, &error))?;
                if envelope.is_of_unknown_version() {
                    metrics::count_unknown_version();
                    let (event_id, version) = (&envelope.event_id, envelope.api_version.as_deref());
                    static NEWER: Sparing = Sparing::new();
                    if let Some(untold) = NEWER.tells(&version.unwrap_or_default()) {
                        tracing::warn!(
                            event_id,
                            version,
                            untold,
                            "an event is shaped by a newer API version than this build knows: update Tollgate"
                        );
                    }
                }
                let stripe::Envelope { event_id, kind, api_version, livemode } = envelope;
                Ok(Self { provider, event_id, kind, api_version, livemode, body })
            }
            Provider::Polar => {
                let polar::Envelope { event_id, kind } =
                    polar::read_envelope(headers, &body).map_err(|error| not_an_event(provider, &error))?;
                Ok(Self { provider, event_id, kind, api_version: None, livemode: None, body })
            }
        }
    }
}

/// Everything that can be said against a delivery without the database.
pub(super) async fn verified(
    providers: &Providers,
    provider: Provider,
    request: Request,
    now: Timestamp,
) -> Result<Delivery, Problem> {
    let (secrets, variable, names): (_, _, &[&str]) = match provider {
        Provider::Stripe => (&providers.stripe.webhook_secrets, "STRIPE_WEBHOOK_SECRET", &[stripe::signature::HEADER]),
        Provider::Polar => (&providers.polar.webhook_secrets, "POLAR_WEBHOOK_SECRET", &polar::signature::HEADERS),
    };
    let is_usable = |secret| provider != Provider::Polar || polar::signature::is_usable(secret);
    if !secrets.iter().any(is_usable) {
        static UNVERIFIABLE: Sparing = Sparing::new();
        if let Some(untold) = UNVERIFIABLE.tells(&variable) {
            tracing::error!(%provider, variable, untold, "a webhook came, but there is no secret to verify it with: nothing bought is learnt before `variable` is set");
        }
        return Err(not_configured());
    }
    // Before its body is waited for.
    if names.iter().any(|name| !request.headers().contains_key(*name)) {
        return Err(missing_signature());
    }
    let headers = request.headers().clone();
    let body = body_of(request).await?;
    match provider {
        Provider::Stripe => {
            let header = headers.get(stripe::signature::HEADER).and_then(|value| value.to_str().ok());
            let header = header.ok_or_else(missing_signature)?;
            stripe::signature::verify(header, &body, secrets, now).map_err(|why| refused(provider, variable, &why))?;
        }
        Provider::Polar => {
            polar::signature::verify(&headers, &body, secrets, now).map_err(|why| match why {
                polar::signature::SignatureError::Missing => missing_signature(),
                why => refused(provider, variable, &why),
            })?;
        }
    }
    Delivery::read(provider, &headers, body)
}

fn not_configured() -> Problem {
    let detail = "No webhook secret is configured here.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
}

fn missing_signature() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "missing_signature", "A header of the signature is missing or unreadable.")
}

fn refused(provider: Provider, variable: &str, why: &dyn Error) -> Problem {
    // Every client that knows the address can send what is refused.
    static REFUSED: Sparing = Sparing::new();
    if let Some(untold) = REFUSED.tells(&format_args!("{provider}: {why}")) {
        tracing::warn!(%provider, variable, reason = %why, untold, "a webhook was refused: when all are, `variable` is not the secret of their endpoint");
    }
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", format!("The signature is refused: {why}."))
}

fn not_an_event(provider: Provider, why: &dyn Error) -> Problem {
    tracing::warn!(%provider, reason = chain::told(why), "a well-signed webhook is not an event, and is not kept");
    Problem::new(StatusCode::BAD_REQUEST, "not_an_event", format!("This is no event: {why}."))
}

async fn body_of(request: Request) -> Result<Bytes, Problem> {
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "The body took too long to arrive.");
    let body = tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, &())).await.map_err(|_| slow())?;
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "A webhook has at most 1 MiB.")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "The body cannot be read."),
    })
}
