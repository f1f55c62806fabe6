//! The hosted checkout: pay, be declined, or go back.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{day, money, notice, page, price_text, refused, see_other};
use crate::provider::Shared;
use crate::provider::books::Books;
use crate::provider::books::model::{CheckoutSession, SessionState};

#[derive(Template)]
#[template(path = "provider/checkout.html")]
struct Checkout {
    id: String,
    product: String,
    price: String,
    quantity: u32,
    due: String,
    /// When the trial ends and the first charge is made.
    trial_ends: Option<String>,
    trial_days: u32,
    customer: String,
    can_go_back: bool,
    was_declined: bool,
}

/// What the buyer does.
#[derive(Deserialize)]
pub struct Act {
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Pay,
    Decline,
    Back,
}

pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let ledger = shared.ledger();
    match ledger.books.session(&id) {
        Ok(session) => shown(&ledger.books, session),
        Err(refusal) => refused(&refusal),
    }
}

pub async fn act(State(shared): State<Arc<Shared>>, Path(id): Path<String>, Form(act): Form<Act>) -> Response {
    match act.action {
        Action::Pay => pay(&shared, &id),
        Action::Decline => decline(&shared, &id),
        Action::Back => {
            let ledger = shared.ledger();
            let session = ledger.books.session(&id);
            match session.map(|session| session.cancel_url.as_deref()) {
                Ok(Some(url)) => see_other(url),
                Ok(None) => notice(StatusCode::OK, "Nowhere to go back to", "The shop gave no address for that."),
                Err(refusal) => refused(&refusal),
            }
        }
    }
}

fn pay(shared: &Shared, id: &str) -> Response {
    let paid = shared.change(|books| {
        books.complete_session(id)?;
        // Stripe replaces these very characters, and not their percent-encoded form.
        Ok(books.session(id)?.success_url.replace("{CHECKOUT_SESSION_ID}", id))
    });
    match paid {
        Ok(url) => see_other(&url),
        Err(refusal) => refused(&refusal),
    }
}

/// The session stays open: the buyer may try another card.
fn decline(shared: &Shared, id: &str) -> Response {
    let ledger = shared.ledger();
    let session = match ledger.books.session(id) {
        Ok(session) => session,
        Err(refusal) => return refused(&refusal),
    };
    match &session.state {
        SessionState::Open => {
            let declined = Checkout { was_declined: true, ..form(&ledger.books, session) };
            page(StatusCode::PAYMENT_REQUIRED, &declined)
        }
        _ => shown(&ledger.books, session),
    }
}

fn shown(books: &Books, session: &CheckoutSession) -> Response {
    match &session.state {
        SessionState::Open => page(StatusCode::OK, &form(books, session)),
        SessionState::Complete { .. } => {
            notice(StatusCode::GONE, "Already paid", "This checkout was completed. Nothing more is charged.")
        }
        SessionState::Expired => {
            notice(StatusCode::GONE, "Expired", "This checkout is no longer open. Begin again at the shop.")
        }
    }
}

fn form(books: &Books, session: &CheckoutSession) -> Checkout {
    let trial_days = session.trial_days.unwrap_or(0);
    let due = if trial_days > 0 { 0 } else { session.price.amount * i64::from(session.quantity) };
    Checkout {
        id: session.id.clone(),
        product: session.price.product_name().to_owned(),
        price: price_text(&session.price),
        quantity: session.quantity,
        due: money(due, &session.price.currency),
        trial_ends: (trial_days > 0).then(|| day(books.now() + chrono::Duration::days(i64::from(trial_days)))),
        trial_days,
        customer: session.customer.clone().or_else(|| session.customer_email.clone()).unwrap_or_default(),
        can_go_back: session.cancel_url.is_some(),
        was_declined: false,
    }
}
