//! Controls of what is sold: customers, subscriptions, checkouts.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Json, Response};
use axum::routing::post;
use serde::Deserialize;

use super::{Done, World, done, made};
use crate::Timestamp;
use crate::provider::books::model::{Card, Metadata, Pause, PauseBehavior, TrialEnd};
use crate::provider::books::{ItemChange, NewCustomer, Proration, Settled, WhileProcessing};
use crate::provider::refusal::Refusal;
use crate::provider::{CancelAt, Shared, Subscribe};

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/customers", post(create_customer).get(customers))
        .route("/delete_customer", post(delete_customer))
        .route("/card", post(set_card))
        .route("/subscribe", post(subscribe))
        .route("/cancel", post(cancel))
        .route("/reactivate", post(reactivate))
        .route("/pause", post(pause))
        .route("/unpause", post(unpause))
        .route("/resume", post(resume))
        .route("/items", post(change_items))
        .route("/schedule", post(schedule))
        .route("/complete", post(complete))
        .route("/settle", post(settle))
        .route("/expire", post(expire))
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
    made(&shared.change(|books| books.create_customer(NewCustomer { email, name, metadata }))?)
}

async fn customers(world: World) -> Response {
    super::rows(world, Path("customers".to_owned())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerBody {
    customer: String,
}

async fn delete_customer(State(shared): World, Json(body): Json<OwnerBody>) -> Done {
    shared.change(|books| books.delete_customer(&body.customer))?;
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
struct SubscribeBody {
    customer: String,
    price: String,
    quantity: Option<u32>,
    #[serde(default)]
    also: Vec<String>,
    trial_days: Option<u32>,
    #[serde(default)]
    trial_end: TrialEnd,
    #[serde(default)]
    metadata: Metadata,
}

async fn subscribe(State(shared): World, Json(body): Json<SubscribeBody>) -> Done {
    made(&shared.subscribe(Subscribe {
        customer: body.customer,
        price: body.price,
        quantity: body.quantity.unwrap_or(1),
        also: body.also,
        trial_days: body.trial_days.unwrap_or(0),
        trial_end: body.trial_end,
        metadata: body.metadata,
    })?)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Now,
    PeriodEnd,
    Flag,
    Moment,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    subscription: String,
    at: When,
    /// For `moment`.
    moment: Option<Timestamp>,
}

async fn cancel(State(shared): World, Json(body): Json<CancelBody>) -> Done {
    let at = match body.at {
        When::Now => CancelAt::Now,
        When::PeriodEnd => CancelAt::PeriodEnd,
        When::Flag => CancelAt::Flag,
        When::Moment => CancelAt::Moment(body.moment.ok_or_else(|| Refusal::missing("moment"))?),
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
struct PauseBody {
    subscription: String,
    behavior: PauseBehavior,
    resumes_at: Option<Timestamp>,
}

async fn pause(State(shared): World, Json(body): Json<PauseBody>) -> Done {
    let pause = Pause { behavior: body.behavior, resumes_at: body.resumes_at };
    shared.change(|books| books.pause_collection(&body.subscription, pause))?;
    done()
}

async fn unpause(State(shared): World, Json(body): Json<SubscriptionBody>) -> Done {
    shared.change(|books| books.unpause_collection(&body.subscription))?;
    done()
}

async fn resume(State(shared): World, Json(body): Json<SubscriptionBody>) -> Done {
    shared.change(|books| books.resume(&body.subscription))?;
    done()
}

/// One change of the items: `add` a price, `remove` an item, or `set` one to another price or quantity. An item is named
/// by its id or its price.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemsBody {
    subscription: String,
    add: Option<String>,
    remove: Option<String>,
    set: Option<String>,
    price: Option<String>,
    quantity: Option<u32>,
    /// Whether the difference is charged at once.
    #[serde(default)]
    prorate: bool,
}

async fn change_items(State(shared): World, Json(body): Json<ItemsBody>) -> Done {
    let proration = if body.prorate { Proration::AlwaysInvoice } else { Proration::None };
    shared.change(|books| {
        let named = |id: &String| books.price(id, "price").cloned();
        let mut changes = Vec::new();
        if let Some(price) = &body.add {
            changes.push(ItemChange::Add { price: named(price)?, quantity: body.quantity.unwrap_or(1) });
        }
        if let Some(item) = body.remove {
            changes.push(ItemChange::Remove { item });
        }
        if let Some(item) = body.set {
            let price = body.price.as_ref().map(named).transpose()?;
            changes.push(ItemChange::Set { item, price, quantity: body.quantity });
        }
        books.change_items(&body.subscription, changes, proration)
    })?;
    done()
}

/// With the period's end, another price.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    subscription: String,
    price: String,
}

async fn schedule(State(shared): World, Json(body): Json<ScheduleBody>) -> Done {
    made(&shared.change(|books| {
        let price = books.price(&body.price, "price")?.clone();
        books.schedule_change(&body.subscription, price)
    })?)
}

/// How the buyer pays.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Paying {
    #[default]
    Card,
    /// Not at all: a trial begins without a card.
    NoCard,
    /// By a debit that takes days, and the subscription waits for it.
    Later,
    /// By a debit that takes days, and the subscription is active meanwhile.
    LaterActive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompleteBody {
    session: String,
    #[serde(default)]
    paying: Paying,
}

async fn complete(State(shared): World, Json(body): Json<CompleteBody>) -> Done {
    shared.change(|books| match body.paying {
        Paying::Card => books.complete_session(&body.session),
        Paying::NoCard => books.complete_session_without_card(&body.session),
        Paying::Later => books.complete_session_later(&body.session, WhileProcessing::Incomplete),
        Paying::LaterActive => books.complete_session_later(&body.session, WhileProcessing::Active),
    })?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleBody {
    session: String,
    settled: Settled,
}

async fn settle(State(shared): World, Json(body): Json<SettleBody>) -> Done {
    shared.change(|books| books.settle_session(&body.session, body.settled))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    session: String,
}

async fn expire(State(shared): World, Json(body): Json<SessionBody>) -> Done {
    shared.change(|books| books.expire_session(&body.session))?;
    done()
}
