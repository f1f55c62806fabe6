//! The simulated Polar: its books step by step, and its HTTP from outside.

mod calls;
mod deliveries;
mod lifecycle;
mod selling;

use std::time::Duration;

use serde_json::Value;

use super::{NewCustomer, Polar, Product, Settings, Subscribe};
use crate::provider::Cadence;

const TOKEN: &str = "polar_oat_simulated";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MONTHLY: &str = "6f1c2a34-8f5e-4a0b-9d1c-000000000001";
const ANNUAL: &str = "6f1c2a34-8f5e-4a0b-9d1c-000000000002";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    let product = |id: &str, amount, cadence| Product {
        id: id.to_owned(),
        name: "Paid plan".to_owned(),
        amount,
        currency: "gbp".to_owned(),
        cadence,
    };
    Settings {
        products: vec![product(MONTHLY, 700, Cadence::Month), product(ANNUAL, 7000, Cadence::Year)],
        retry_delays: vec![Duration::from_millis(1); 3],
        ..Settings::new(TOKEN, SECRET)
    }
}

async fn started() -> Polar {
    Polar::start(settings()).await.expect("a Polar")
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// A customer of the site, `alice`, and their subscription.
fn subscribed(polar: &Polar, trial_days: u32) -> (String, String) {
    let new = NewCustomer { external_id: Some("alice".to_owned()), ..NewCustomer::default() };
    let customer = polar.create_customer(new).expect("a customer");
    let new = Subscribe { customer: customer.clone(), product: MONTHLY.to_owned(), trial_days, ..Subscribe::default() };
    let id = polar.subscribe(new).expect("a subscription");
    (customer, id)
}

/// The kinds of the events from the `from`th on, with the status of what they carry where it has one.
fn told(polar: &Polar, from: usize) -> Vec<String> {
    let line = |(_, body): &(String, Value)| {
        let status = body["data"]["status"].as_str().map(|status| format!("[{status}]"));
        format!("{}{}", body["type"].as_str().expect("a type"), status.unwrap_or_default())
    };
    polar.events()[from..].iter().map(line).collect()
}
