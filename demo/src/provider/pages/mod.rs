//! The provider's own pages, small and without anything from elsewhere.

mod checkout;
mod front;
mod invoice;
mod portal;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Shared;
use super::books::model::Items;
use super::refusal::Refusal;
use super::settings::Price;
use crate::Timestamp;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(front::show).post(front::advance))
        .route("/checkout/{id}", get(checkout::show).post(checkout::act))
        .route("/portal/{id}", get(portal::show).post(portal::act))
        .route("/invoice/{id}", get(invoice::show))
}

/// A page that says only why there is nothing else to see.
#[derive(Template)]
#[template(path = "provider/notice.html")]
struct Notice {
    title: &'static str,
    text: String,
}

fn notice(status: StatusCode, title: &'static str, text: impl Into<String>) -> Response {
    page(status, &Notice { title, text: text.into() })
}

/// What a person sees of a refused call.
fn refused(refusal: &Refusal) -> Response {
    notice(refusal.status(), "That did not work", refusal.to_string())
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A 303: the next request is a GET, whatever this one was. The address may be anywhere, as it is for Stripe.
fn see_other(url: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response()
}

/// An amount in minor units, such as `£7.00`.
fn money(amount: i64, currency: &str) -> String {
    let (whole, rest) = (amount / 100, amount % 100);
    match currency {
        "gbp" => format!("£{whole}.{rest:02}"),
        "eur" => format!("€{whole}.{rest:02}"),
        "usd" => format!("${whole}.{rest:02}"),
        other => format!("{whole}.{rest:02} {}", other.to_uppercase()),
    }
}

/// A price, such as `£7.00 a month`.
fn price_text(price: &Price) -> String {
    format!("{} a {}", money(price.amount, &price.currency), price.cadence.interval())
}

/// What a subscription is for, such as `Paid plan, £7.00 a month`.
fn items_text(items: &Items) -> String {
    let texts = items.iter().map(|item| format!("{}, {}", item.price.product_name(), price_text(&item.price)));
    texts.collect::<Vec<_>>().join("; ")
}

/// A day, such as `4 March 2026`.
fn day(moment: Timestamp) -> String {
    moment.format("%-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_in_major_units() {
        let cases = [(700, "gbp", "£7.00"), (5, "eur", "€0.05"), (123_456, "usd", "$1234.56"), (1, "chf", "0.01 CHF")];
        for (amount, currency, shown) in cases {
            assert_eq!(money(amount, currency), shown);
        }
    }
}
