//! An invoice, where Stripe would show a page or a PDF.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{day, money, page, refused};
use crate::provider::Shared;

#[derive(Template)]
#[template(path = "provider/invoice.html")]
struct Sheet {
    number: String,
    customer: String,
    product: String,
    amount: String,
    status: &'static str,
    made: String,
    from: String,
    until: String,
}

pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let ledger = shared.ledger();
    let invoice = match ledger.books.invoice(&id) {
        Ok(invoice) => invoice,
        Err(refusal) => return refused(&refusal),
    };
    let sheet = Sheet {
        number: invoice.number.clone(),
        customer: invoice.customer.clone(),
        product: invoice.lines.iter().map(|line| line.description.as_str()).collect::<Vec<_>>().join("; "),
        amount: money(invoice.amount, &invoice.currency),
        status: invoice.status.name(),
        made: day(invoice.created),
        from: day(invoice.period.start),
        until: day(invoice.period.end),
    };
    page(StatusCode::OK, &sheet)
}
