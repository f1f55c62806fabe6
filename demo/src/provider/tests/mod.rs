//! The provider from outside: over HTTP, with a receiver of webhooks that keeps what it got.

mod calls;
mod deliveries;
mod faults;
mod pages;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect::Policy};
use serde_json::Value;

use super::{Cadence, Price, Provider, Settings, Shape};

const KEY: &str = "sk_test_simulated";
const SECRET: &str = "whsec_simulated";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings(shape: Shape) -> Settings {
    let price = |id: &str, amount, cadence| Price {
        id: id.to_owned(),
        amount,
        currency: "gbp".to_owned(),
        cadence,
        product: "Paid plan".to_owned(),
        metered: false,
    };
    Settings {
        prices: vec![price("price_monthly", 700, Cadence::Month), price("price_annual", 7000, Cadence::Year)],
        shape,
        retry_delays: vec![Duration::from_millis(1); 3],
        ..Settings::new(KEY, SECRET)
    }
}

async fn started() -> Provider {
    Provider::start(settings(Shape::Endive)).await.expect("a provider")
}

fn client() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// A call of the API with its key.
fn call(request: RequestBuilder) -> RequestBuilder {
    request.bearer_auth(KEY)
}

async fn json(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}
