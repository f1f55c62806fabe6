//! Controls of what is told, how, and when it is delivered.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Done, World, done, made};
use crate::delivery::{Gate, Scheme};
use crate::provider::refusal::Refusal;
use crate::provider::{Echo, EventForm, Mode, Shape, Shared, Telling};

/// How long `/_control/settled` waits.
const SETTLED_LIMIT: Duration = Duration::from_secs(30);

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/emit", post(emit))
        .route("/telling", post(set_manner))
        .route("/webhook", post(set_webhook))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/deliver", post(deliver))
        .route("/redeliver", post(redeliver))
        .route("/discard", post(discard))
        .route("/settled", post(settled))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmitBody {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

async fn emit(State(shared): World, Json(body): Json<EmitBody>) -> Done {
    made(&shared.change(|books| Ok(books.emit(&body.kind, body.object, None)))?)
}

/// How events are made from now on; what is not named stays. An empty account takes it away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MannerBody {
    form: Option<EventForm>,
    echo: Option<Echo>,
    telling: Option<Telling>,
    account: Option<String>,
    mode: Option<Mode>,
    shape: Option<Shape>,
}

async fn set_manner(State(shared): World, Json(body): Json<MannerBody>) -> Done {
    let mut ledger = shared.ledger();
    if let Some(mode) = body.mode {
        ledger.books.set_mode(mode);
    }
    if let Some(shape) = body.shape {
        ledger.books.set_shape(shape);
    }
    ledger.books.set_manner(|manner| {
        manner.form = body.form.unwrap_or(manner.form);
        manner.echo = body.echo.unwrap_or(manner.echo);
        manner.telling = body.telling.unwrap_or(manner.telling);
        if let Some(account) = body.account {
            manner.account = Some(account).filter(|account| !account.is_empty());
        }
    });
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookBody {
    url: Option<String>,
    /// Signs with each of these from now on.
    secrets: Option<Vec<String>>,
}

async fn set_webhook(State(shared): World, Json(body): Json<WebhookBody>) -> Done {
    shared.delivery.set_url(body.url);
    if let Some(secrets) = body.secrets {
        shared.delivery.set_scheme(Scheme::Stripe(secrets));
    }
    done()
}

async fn hold(State(shared): World) -> Done {
    shared.delivery.set_gate(Gate::Held);
    done()
}

async fn release(State(shared): World) -> Done {
    shared.delivery.set_gate(Gate::Open);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    event: String,
}

async fn deliver(State(shared): World, Json(body): Json<EventBody>) -> Done {
    let event = Arc::clone(shared.ledger().books.event(&body.event)?);
    let attempt = shared.delivery.deliver(&event).await.map_err(|error| Refusal::wrong_state(error.to_string()))?;
    Ok(Json(json!(attempt)))
}

async fn redeliver(State(shared): World, Json(body): Json<EventBody>) -> Done {
    let event = Arc::clone(shared.ledger().books.event(&body.event)?);
    let attempt = shared.delivery.redeliver(&event).await.map_err(|error| Refusal::wrong_state(error.to_string()))?;
    Ok(Json(json!(attempt)))
}

async fn discard(State(shared): World, Json(body): Json<EventBody>) -> Done {
    if !shared.delivery.discard(&body.event) {
        return Err(Refusal::wrong_state("This event does not wait for delivery."));
    }
    done()
}

async fn settled(State(shared): World) -> Done {
    shared.delivery.idle(SETTLED_LIMIT).await.map_err(|error| Refusal::wrong_state(error.to_string()))?;
    done()
}
