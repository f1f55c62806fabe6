//! `/_control/`: what the handle can do, over HTTP with JSON, for scripts and people. Without a key.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::books::model::{Card, Metadata};
use super::books::{Books, NewCustomer, NewSubscription};
use super::delivery::Gate;
use super::refusal::Refusal;
use super::{CancelAt, Shared, render};

/// How many rows a list shows at most: the newest.
const ROWS_MAX: usize = 1000;
/// How long `/_control/settled` waits.
const SETTLED_LIMIT: Duration = Duration::from_secs(30);

type World = State<Arc<Shared>>;
type Done = Result<Json<Value>, Refusal>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(summary))
        .route("/advance", post(advance))
        .route("/customers", post(create_customer))
        .route("/subscribe", post(subscribe))
        .route("/cancel", post(cancel))
        .route("/reactivate", post(reactivate))
        .route("/card", post(set_card))
        .route("/complete", post(complete))
        .route("/refund", post(refund))
        .route("/dispute", post(dispute))
        .route("/emit", post(emit))
        .route("/webhook", post(set_webhook))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/deliver", post(deliver))
        .route("/redeliver", post(redeliver))
        .route("/discard", post(discard))
        .route("/settled", post(settled))
        .route("/{kind}", get(rows))
}

async fn summary(State(shared): World) -> Json<Value> {
    let waiting = shared.delivery.queue().waiting();
    let ledger = shared.ledger();
    let books = &ledger.books;
    Json(json!({
        "now": books.now(),
        "shape": books.view().shape,
        "customers": books.customers.len(),
        "subscriptions": books.subscriptions.len(),
        "invoices": books.invoices.len(),
        "open_sessions": books.open_sessions(),
        "events": books.events().count(),
        "waiting": waiting,
    }))
}

async fn rows(State(shared): World, Path(kind): Path<String>) -> Response {
    let list = match kind.as_str() {
        "deliveries" => newest(shared.delivery.queue().log().rev().map(|attempt| json!(attempt))),
        "waiting" => newest(shared.delivery.queue().waiting().into_iter().rev().map(Value::from)),
        _ => {
            let ledger = shared.ledger();
            let Some(list) = book_rows(&ledger.books, &kind) else { return StatusCode::NOT_FOUND.into_response() };
            list
        }
    };
    Json(list).into_response()
}

fn book_rows(books: &Books, kind: &str) -> Option<Vec<Value>> {
    let view = books.view();
    Some(match kind {
        "customers" => newest(books.customers.iter().rev().map(render::customer)),
        "subscriptions" => newest(books.subscriptions.iter().rev().map(|row| render::subscription(row, view))),
        "sessions" => newest(books.sessions.iter().rev().map(|row| render::session(row, view))),
        "invoices" => newest(books.invoices.iter().rev().map(|row| render::invoice(row, view))),
        "events" => newest(books.events().rev().map(|event| event.body.clone())),
        _ => return None,
    })
}

/// The newest rows, oldest first.
fn newest(newest_first: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut rows: Vec<Value> = newest_first.take(ROWS_MAX).collect();
    rows.reverse();
    rows
}

/// How far to move the clock; what is named is added up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    seconds: u32,
    minutes: u32,
    hours: u32,
    days: u32,
}

async fn advance(State(shared): World, Json(step): Json<Step>) -> Done {
    let of = |count: u32, seconds: i64| chrono::Duration::seconds(i64::from(count) * seconds);
    let by = of(step.seconds, 1) + of(step.minutes, 60) + of(step.hours, 3600) + of(step.days, 86_400);
    shared.advance(by)?;
    Ok(Json(json!({ "now": shared.ledger().books.now() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerBody {
    email: Option<String>,
    name: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

async fn create_customer(State(shared): World, Json(body): Json<CustomerBody>) -> Done {
    let CustomerBody { email, name, metadata } = body;
    let id = shared.change(|books| books.create_customer(NewCustomer { email, name, metadata }))?;
    Ok(Json(json!({ "id": id })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeBody {
    customer: String,
    price: String,
    trial_days: Option<u32>,
    #[serde(default)]
    metadata: Metadata,
}

async fn subscribe(State(shared): World, Json(body): Json<SubscribeBody>) -> Done {
    let id = shared.change(|books| {
        let price = books.price(&body.price, "price")?.clone();
        let SubscribeBody { customer, trial_days, metadata, .. } = body;
        books.subscribe(NewSubscription { customer, price, quantity: 1, trial_days, metadata })
    })?;
    Ok(Json(json!({ "id": id })))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Now,
    PeriodEnd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    subscription: String,
    at: When,
}

async fn cancel(State(shared): World, Json(body): Json<CancelBody>) -> Done {
    let at = match body.at {
        When::Now => CancelAt::Now,
        When::PeriodEnd => CancelAt::PeriodEnd,
    };
    shared.cancel(&body.subscription, at)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionBody {
    subscription: String,
}

async fn reactivate(State(shared): World, Json(body): Json<SubscriptionBody>) -> Done {
    shared.change(|books| books.reactivate(&body.subscription))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardBody {
    customer: String,
    card: Card,
}

async fn set_card(State(shared): World, Json(body): Json<CardBody>) -> Done {
    shared.change(|books| books.set_card(&body.customer, body.card))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    session: String,
}

async fn complete(State(shared): World, Json(body): Json<SessionBody>) -> Done {
    shared.change(|books| books.complete_session(&body.session))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    invoice: String,
    amount: Option<i64>,
}

async fn refund(State(shared): World, Json(body): Json<RefundBody>) -> Done {
    shared.change(|books| books.refund(&body.invoice, body.amount))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeBody {
    invoice: String,
    status: String,
}

async fn dispute(State(shared): World, Json(body): Json<DisputeBody>) -> Done {
    shared.change(|books| books.dispute(&body.invoice, &body.status))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmitBody {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

async fn emit(State(shared): World, Json(body): Json<EmitBody>) -> Done {
    let id = shared.change(|books| Ok(books.emit(&body.kind, body.object, None)))?;
    Ok(Json(json!({ "id": id })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookBody {
    url: Option<String>,
}

async fn set_webhook(State(shared): World, Json(body): Json<WebhookBody>) -> Done {
    shared.delivery.set_url(body.url);
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

fn done() -> Done {
    Ok(Json(json!({ "status": "ok" })))
}
