//! `/_control/` of the simulated Polar: what the handle can do, over HTTP with JSON. Without a token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::books::{NewCustomer, NewRefund, PauseAt, Seed, Subscribe};
use super::refusal::Refusal;
use super::{RefundStatus, Shared, render};
use crate::Timestamp;
use crate::delivery::Gate;
use crate::faults::Fault;
use crate::provider::{Card, Exhausted, Telling};

/// How many rows a list shows at most: the newest.
const ROWS_MAX: usize = 1000;
/// How long `/_control/settled` waits.
const SETTLED_LIMIT: Duration = Duration::from_secs(30);

type World = State<Arc<Shared>>;
type Done = Result<Json<Value>, Refusal>;

/// What is to be done; the tag `do` names it.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Act {
    Cancel { subscription: String },
    Uncancel { subscription: String },
    Revoke { subscription: String },
    Pause { subscription: String, when: PauseAt, resumes: Option<Timestamp> },
    Resume { subscription: String },
    ChangeProduct { subscription: String, product: String },
    DeleteCustomer { customer: String },
    Card { customer: String, card: Card },
    SetRefund { refund: String, status: RefundStatus },
    Exhausted { then: Exhausted },
    Telling { telling: Telling },
    Advance { seconds: u32 },
    Webhook { url: Option<String> },
    Hold,
    Release,
    SwitchOn,
    Discard { event: String },
    Fault { fault: Fault },
    HealCalls,
    ReleaseCalls,
    ForgetCalls,
}

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/act", post(act))
        .route("/customers", post(create_customer).get(customers))
        .route("/subscribe", post(subscribe))
        .route("/purchase", post(purchase))
        .route("/refund", post(refund))
        .route("/seed", post(seed))
        .route("/emit", post(emit))
        .route("/deliver", post(deliver))
        .route("/redeliver", post(redeliver))
        .route("/settled", post(settled))
        .route("/calls", get(calls))
        .route("/{kind}", get(rows))
}

async fn act(State(shared): World, Json(act): Json<Act>) -> Done {
    match act {
        Act::Cancel { subscription } => shared.change(|books| books.cancel(&subscription))?,
        Act::Uncancel { subscription } => shared.change(|books| books.uncancel(&subscription))?,
        Act::Revoke { subscription } => shared.change(|books| books.revoke(&subscription))?,
        Act::Pause { subscription, when, resumes } => {
            shared.change(|books| books.pause(&subscription, when, resumes))?;
        }
        Act::Resume { subscription } => shared.change(|books| books.resume(&subscription))?,
        Act::ChangeProduct { subscription, product } => {
            shared.change(|books| books.change_product(&subscription, &product))?;
        }
        Act::DeleteCustomer { customer } => shared.change(|books| books.delete_customer(&customer))?,
        Act::Card { customer, card } => shared.change(|books| books.set_card(&customer, card))?,
        Act::SetRefund { refund, status } => shared.change(|books| books.set_refund(&refund, status))?,
        Act::Exhausted { then } => shared.ledger().books.exhausted = then,
        Act::Telling { telling } => shared.ledger().books.telling = telling,
        Act::Advance { seconds } => shared.advance(chrono::Duration::seconds(i64::from(seconds)))?,
        Act::Webhook { url } => shared.delivery.set_url(url),
        Act::Hold => shared.delivery.set_gate(Gate::Held),
        Act::Release => shared.delivery.set_gate(Gate::Open),
        Act::SwitchOn => shared.delivery.queue().switch_on(),
        Act::Discard { event } => {
            if !shared.delivery.discard(&event) {
                return Err(Refusal::NotFound);
            }
        }
        Act::Fault { fault } => {
            if !shared.door.plan(fault) {
                return Err(Refusal::Full);
            }
        }
        Act::HealCalls => shared.door.clear(),
        Act::ReleaseCalls => shared.door.release(),
        Act::ForgetCalls => shared.door.forget_calls(),
    }
    done()
}

async fn create_customer(State(shared): World, Json(new): Json<NewCustomer>) -> Done {
    made(&shared.change(|books| books.create_customer(new))?)
}

async fn subscribe(State(shared): World, Json(new): Json<Subscribe>) -> Done {
    made(&shared.change(|books| books.subscribe(new))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurchaseBody {
    customer: String,
    product: String,
}

async fn purchase(State(shared): World, Json(body): Json<PurchaseBody>) -> Done {
    made(&shared.change(|books| books.purchase(&body.customer, &body.product))?)
}

async fn refund(State(shared): World, Json(new): Json<NewRefund>) -> Done {
    made(&shared.change(|books| books.give_back(&new))?)
}

async fn seed(State(shared): World, Json(seed): Json<Seed>) -> Done {
    let made = shared.change(|books| books.seed(&seed))?;
    Ok(Json(json!({ "subscriptions": made.len(), "first": made.first(), "last": made.last() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmitBody {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

async fn emit(State(shared): World, Json(body): Json<EmitBody>) -> Done {
    made(&shared.change(|books| Ok(books.emit(&body.kind, &body.data)))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    event: String,
}

async fn deliver(State(shared): World, Json(body): Json<EventBody>) -> Done {
    let event = Arc::clone(shared.ledger().books.event(&body.event)?);
    let attempt = shared.delivery.deliver(&event).await;
    Ok(Json(json!(attempt.map_err(|_| Refusal::invalid("event", "There is no webhook endpoint."))?)))
}

async fn redeliver(State(shared): World, Json(body): Json<EventBody>) -> Done {
    let event = Arc::clone(shared.ledger().books.event(&body.event)?);
    let attempt = shared.delivery.redeliver(&event).await;
    Ok(Json(json!(attempt.map_err(|_| Refusal::invalid("event", "There is no webhook endpoint."))?)))
}

async fn settled(State(shared): World) -> Done {
    let idle = shared.delivery.idle(SETTLED_LIMIT).await;
    idle.map_err(|_| Refusal::invalid("settled", "Events were still waiting."))?;
    done()
}

async fn calls(State(shared): World) -> Json<Value> {
    Json(json!({ "calls": shared.door.calls(), "held": shared.door.held() }))
}

async fn customers(world: World) -> Done {
    rows(world, Path("customers".to_owned())).await
}

async fn rows(State(shared): World, Path(kind): Path<String>) -> Done {
    let mut rows: Vec<Value> = match kind.as_str() {
        "deliveries" => shared.delivery.queue().log().rev().take(ROWS_MAX).map(|attempt| json!(attempt)).collect(),
        "waiting" => shared.delivery.queue().waiting().into_iter().rev().take(ROWS_MAX).map(Value::from).collect(),
        _ => {
            let books = &shared.ledger().books;
            match kind.as_str() {
                "customers" => {
                    books.customers.iter().rev().take(ROWS_MAX).map(|row| render::customer(row, books)).collect()
                }
                "subscriptions" => books
                    .subscriptions
                    .iter()
                    .rev()
                    .take(ROWS_MAX)
                    .map(|row| render::subscription(row, books))
                    .collect(),
                "orders" => books.orders.iter().rev().take(ROWS_MAX).map(|row| render::order(row, books)).collect(),
                "refunds" => books.refunds.iter().rev().take(ROWS_MAX).map(|row| render::refund(row, books)).collect(),
                "events" => {
                    let row = |event: &Arc<crate::delivery::Event>| json!({ "id": event.id, "body": event.body });
                    books.events().rev().take(ROWS_MAX).map(row).collect()
                }
                _ => return Err(Refusal::NotFound),
            }
        }
    };
    rows.reverse();
    Ok(Json(Value::Array(rows)))
}

fn done() -> Done {
    Ok(Json(json!({ "status": "ok" })))
}

fn made(id: &str) -> Done {
    Ok(Json(json!({ "id": id })))
}
