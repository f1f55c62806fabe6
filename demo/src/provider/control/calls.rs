//! Controls of the API itself: what goes wrong with the next calls, and how many came.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::{Done, World, done};
use crate::faults::Fault;
use crate::provider::Shared;
use crate::provider::refusal::Refusal;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/faults", post(plan))
        .route("/faults/clear", post(clear))
        .route("/faults/release", post(release))
        .route("/calls", get(calls).delete(forget))
}

async fn plan(State(shared): World, Json(fault): Json<Fault>) -> Done {
    if shared.door.plan(fault) { done() } else { Err(Refusal::full()) }
}

async fn clear(State(shared): World) -> Done {
    shared.door.clear();
    done()
}

async fn release(State(shared): World) -> Done {
    shared.door.release();
    done()
}

async fn calls(State(shared): World) -> Json<Value> {
    Json(json!({ "calls": shared.door.calls(), "held": shared.door.held() }))
}

async fn forget(State(shared): World) -> Done {
    shared.door.forget_calls();
    done()
}
