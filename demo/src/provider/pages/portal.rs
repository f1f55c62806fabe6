//! The customer portal: end a subscription with its period, take that back, change the card.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Duration;
use serde::Deserialize;

use super::{day, notice, page, price_text, refused, see_other};
use crate::provider::Shared;
use crate::provider::books::Books;
use crate::provider::books::model::{Card, Ending, Subscription};
use crate::provider::refusal::Refusal;

/// How long a link into the portal works, in minutes.
const LINK_MINUTES: i64 = 60;

#[derive(Template)]
#[template(path = "provider/portal.html")]
struct Portal {
    id: String,
    customer: String,
    card_is_good: bool,
    return_url: Option<String>,
    subscriptions: Vec<Row>,
}

struct Row {
    id: String,
    product: String,
    price: String,
    status: &'static str,
    renews: String,
    ends: Option<String>,
    is_over: bool,
}

/// What the customer does.
#[derive(Deserialize)]
pub struct Act {
    action: Action,
    #[serde(default)]
    subscription: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Cancel,
    Reactivate,
    CardGood,
    CardDeclined,
}

pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let ledger = shared.ledger();
    match view(&ledger.books, &id) {
        Ok(Some(portal)) => page(StatusCode::OK, &portal),
        Ok(None) => expired(),
        Err(refusal) => refused(&refusal),
    }
}

pub async fn act(State(shared): State<Arc<Shared>>, Path(id): Path<String>, Form(act): Form<Act>) -> Response {
    let done = shared.change(|books| {
        let Some(customer) = owner(books, &id)?.map(|(customer, _)| customer) else { return Ok(false) };
        match act.action {
            Action::CardGood => books.set_card(&customer, Card::Good)?,
            Action::CardDeclined => books.set_card(&customer, Card::Declined)?,
            Action::Cancel => books.cancel_in_portal(own(books, &customer, &act.subscription)?)?,
            Action::Reactivate => books.reactivate(own(books, &customer, &act.subscription)?)?,
        }
        Ok(true)
    });
    match done {
        Ok(true) => see_other(&format!("/portal/{id}")),
        Ok(false) => expired(),
        Err(refusal) => refused(&refusal),
    }
}

fn expired() -> Response {
    notice(StatusCode::GONE, "Expired", "This link into the portal has expired. Ask the shop for another one.")
}

/// Whose link this is, and where it leads back to; `None` when it has expired.
fn owner(books: &Books, id: &str) -> Result<Option<(String, Option<String>)>, Refusal> {
    let portal = books.portals.get(id).ok_or_else(|| Refusal::no_such("billing_portal.session", id, "id"))?;
    let works = books.now() < portal.created + Duration::minutes(LINK_MINUTES);
    Ok(works.then(|| (portal.customer.clone(), portal.return_url.clone())))
}

/// Nobody touches what is not theirs.
fn own<'a>(books: &Books, customer: &str, subscription: &'a str) -> Result<&'a str, Refusal> {
    if books.subscription(subscription)?.customer != customer {
        return Err(Refusal::no_such("subscription", subscription, "id"));
    }
    Ok(subscription)
}

fn view(books: &Books, id: &str) -> Result<Option<Portal>, Refusal> {
    let Some((customer, return_url)) = owner(books, id)? else { return Ok(None) };
    let card_is_good = books.customer(&customer, "customer")?.card == Card::Good;
    let subscriptions = books.subscriptions.of(&customer).rev().map(row).collect();
    Ok(Some(Portal { id: id.to_owned(), customer, card_is_good, return_url, subscriptions }))
}

fn row(subscription: &Subscription) -> Row {
    let ends = subscription.ending.map(|ending| match ending {
        Ending::PeriodEnd => day(subscription.period.end),
        Ending::At(moment) => day(moment),
    });
    Row {
        id: subscription.id.clone(),
        product: subscription.items.first().price.product_name().to_owned(),
        price: price_text(&subscription.items.first().price),
        status: subscription.status.name(),
        renews: day(subscription.period.end),
        ends,
        is_over: subscription.status.is_over(),
    }
}
