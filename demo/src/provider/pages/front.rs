//! The front page: the provider's clock, who subscribes, and what became of the last deliveries.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Months;
use serde::Deserialize;

use super::{day, items_text, page, refused, see_other};
use crate::delivery::Attempt;
use crate::provider::Shared;
use crate::provider::books::Books;
use crate::provider::books::model::Presence;

/// Rows of each table: the newest.
const ROWS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "provider/front.html")]
struct Front {
    now: String,
    customers: Vec<CustomerRow>,
    subscriptions: Vec<SubscriptionRow>,
    deliveries: Vec<DeliveryRow>,
    waiting: usize,
}

struct CustomerRow {
    id: String,
    account: String,
    card: &'static str,
}

struct SubscriptionRow {
    id: String,
    customer: String,
    price: String,
    status: &'static str,
    period_end: String,
    is_ending: bool,
}

struct DeliveryRow {
    at: String,
    kind: String,
    event: String,
    status: String,
    is_accepted: bool,
}

/// One of the buttons that move the clock.
#[derive(Deserialize)]
pub struct Step {
    by: Stride,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stride {
    Day,
    Month,
    Year,
}

pub async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let (deliveries, waiting) = {
        let queue = shared.delivery.queue();
        (queue.log().rev().take(ROWS_MAX).map(delivery_row).collect(), queue.waiting().len())
    };
    let ledger = shared.ledger();
    page(StatusCode::OK, &front(&ledger.books, deliveries, waiting))
}

pub async fn advance(State(shared): State<Arc<Shared>>, Form(step): Form<Step>) -> Response {
    let now = shared.ledger().books.now();
    let later = match step.by {
        Stride::Day => now.checked_add_days(chrono::Days::new(1)),
        Stride::Month => now.checked_add_months(Months::new(1)),
        Stride::Year => now.checked_add_months(Months::new(12)),
    };
    match shared.advance(later.map_or_else(chrono::Duration::zero, |later| later - now)) {
        Ok(()) => see_other("/"),
        Err(refusal) => refused(&refusal),
    }
}

fn front(books: &Books, deliveries: Vec<DeliveryRow>, waiting: usize) -> Front {
    let customers = books.customers.iter().rev().filter(|customer| customer.presence == Presence::Here);
    let customers = customers.take(ROWS_MAX).map(|customer| CustomerRow {
        id: customer.id.clone(),
        account: customer.metadata.get("account").or(customer.email.as_ref()).cloned().unwrap_or_default(),
        card: customer.card.name(),
    });
    let subscriptions = books.subscriptions.iter().rev().take(ROWS_MAX).map(|subscription| SubscriptionRow {
        id: subscription.id.clone(),
        customer: subscription.customer.clone(),
        price: items_text(&subscription.items),
        status: subscription.status.name(),
        period_end: day(subscription.period.end),
        is_ending: subscription.ending.is_some(),
    });
    Front {
        now: books.now().format("%A, %-d %B %Y, %H:%M UTC").to_string(),
        customers: customers.collect(),
        subscriptions: subscriptions.collect(),
        deliveries,
        waiting,
    }
}

fn delivery_row(attempt: &Attempt) -> DeliveryRow {
    DeliveryRow {
        at: attempt.at.format("%H:%M:%S").to_string(),
        kind: attempt.kind.clone(),
        event: attempt.event.clone(),
        status: attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
        is_accepted: attempt.is_accepted(),
    }
}
