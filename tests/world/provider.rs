//! The simulated provider of a world: it sells what the catalog names, and delivers its events to the public listener.

use demo::provider::{Cadence, Price, Provider, Settings, Shape};

use super::stripe::SECRETS;

/// The key with which billing may call it.
pub const API_KEY: &str = "sk_test_of_the_tests";

/// Starts it; it tells nobody yet.
pub async fn start(shape: Shape) -> Provider {
    let price = |id: &str, amount, cadence, product: &str| Price {
        id: id.to_owned(),
        amount,
        currency: "gbp".to_owned(),
        cadence,
        product: product.to_owned(),
    };
    let prices = vec![
        price("price_monthly", 700, Cadence::Month, "Paid"),
        price("price_annual", 7000, Cadence::Year, "Paid"),
        price("price_business", 2900, Cadence::Month, "Business"),
        price("price_domain", 1500, Cadence::Year, "Custom domain"),
    ];
    let settings = Settings { prices, shape, ..Settings::new(API_KEY, SECRETS[0]) };
    Provider::start(settings).await.expect("the provider starts")
}
