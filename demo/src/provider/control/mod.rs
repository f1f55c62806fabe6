//! `/_control/`: what the handle can do, over HTTP with JSON, for scripts and people. Without a key.

mod calls;
mod deliveries;
mod money;
mod sales;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::books::{Books, Seed};
use super::refusal::Refusal;
use super::{Exhausted, Shared, render};

/// How many rows a list shows at most: the newest.
const ROWS_MAX: usize = 1000;

type World = State<Arc<Shared>>;
type Done = Result<Json<Value>, Refusal>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(summary))
        .route("/advance", post(advance))
        .route("/seed", post(seed))
        .route("/exhausted", post(set_exhausted))
        .merge(sales::router())
        .merge(money::router())
        .merge(deliveries::router())
        .merge(calls::router())
        .route("/{kind}", get(rows))
}

async fn summary(State(shared): World) -> Json<Value> {
    let waiting = shared.delivery.queue().waiting();
    let ledger = shared.ledger();
    let books = &ledger.books;
    Json(json!({
        "now": books.now(),
        "shape": books.view().shape,
        "exhausted": books.exhausted,
        "event_form": books.manner().form,
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
        "customers" => newest(books.customers.iter().rev().map(|row| render::customer(row, view))),
        "subscriptions" => newest(books.subscriptions.iter().rev().map(|row| render::subscription(row, view))),
        "sessions" => newest(books.sessions.iter().rev().map(|row| render::session(row, view))),
        "invoices" => newest(books.invoices.iter().rev().map(|row| render::invoice(row, view))),
        "charges" => newest(books.charges.iter().rev().map(|row| render::charge(row, books, view))),
        "refunds" => newest(books.refunds.iter().rev().map(|row| render::refund(row, view))),
        "disputes" => newest(books.disputes.iter().rev().map(|row| render::dispute(row, view))),
        "events" => newest(books.events().rev().map(|event| event.body.clone())),
        "thin_events" => newest(books.thin_events().rev().map(|event| event.body.clone())),
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

async fn seed(State(shared): World, Json(seed): Json<Seed>) -> Done {
    let made = shared.change(|books| books.seed(&seed))?;
    Ok(Json(json!({ "subscriptions": made.len(), "first": made.first(), "last": made.last() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExhaustedBody {
    then: Exhausted,
}

async fn set_exhausted(State(shared): World, Json(body): Json<ExhaustedBody>) -> Done {
    shared.ledger().books.exhausted = body.then;
    done()
}

fn done() -> Done {
    Ok(Json(json!({ "status": "ok" })))
}

fn made(id: &str) -> Done {
    Ok(Json(json!({ "id": id })))
}
