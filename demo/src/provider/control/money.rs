//! Controls of money: bills, payments, refunds, disputes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::post;
use serde::Deserialize;

use super::{Done, World, done, made};
use crate::provider::Shared;
use crate::provider::books::model::{DisputeStatus, RefundStatus};

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/bill", post(bill))
        .route("/collect", post(collect))
        .route("/refund", post(refund))
        .route("/set_refund", post(set_refund))
        .route("/dispute", post(dispute))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BillBody {
    customer: String,
    amount: i64,
    #[serde(default)]
    description: String,
}

async fn bill(State(shared): World, Json(body): Json<BillBody>) -> Done {
    made(&shared.change(|books| books.bill(&body.customer, body.amount, &body.description))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvoiceBody {
    invoice: String,
}

async fn collect(State(shared): World, Json(body): Json<InvoiceBody>) -> Done {
    shared.change(|books| books.collect(&body.invoice))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    invoice: String,
    amount: Option<i64>,
    status: Option<RefundStatus>,
}

async fn refund(State(shared): World, Json(body): Json<RefundBody>) -> Done {
    made(&shared.change(|books| {
        let charge = books.paid_charge(&body.invoice)?.id.clone();
        books.give_back(&charge, body.amount, body.status.unwrap_or(RefundStatus::Succeeded))
    })?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRefundBody {
    refund: String,
    status: RefundStatus,
}

async fn set_refund(State(shared): World, Json(body): Json<SetRefundBody>) -> Done {
    shared.change(|books| books.set_refund(&body.refund, body.status))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeBody {
    invoice: String,
    status: DisputeStatus,
}

async fn dispute(State(shared): World, Json(body): Json<DisputeBody>) -> Done {
    made(&shared.change(|books| books.dispute_invoice(&body.invoice, body.status))?)
}
