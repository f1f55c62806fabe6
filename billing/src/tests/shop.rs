//! A world whose provider can be asked: the simulated one, with its clock.

use demo::provider::{Cadence, NewCustomer, Price, Provider, Settings as ProviderSettings, Shape, Subscribe};
use entitlement::account::AccountId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, settings};
use crate::Settings;
use crate::settings::{Secret, Stripe};

const KEY: &str = "sk_test_asked";

/// A provider that sells what the worlds' catalog names.
pub async fn provider(shape: Shape) -> Provider {
    let mut sells = ProviderSettings::new(KEY, "whsec_unused");
    sells.shape = shape;
    let price = |id: &str| Price {
        id: id.into(),
        amount: 700,
        currency: "gbp".into(),
        cadence: Cadence::Month,
        product: "Paid".into(),
        metered: false,
    };
    sells.prices = vec![price("price_monthly"), price("price_team"), price("price_of_nothing")];
    Provider::start(sells).await.expect("a provider")
}

/// Settings with which that provider can be asked.
pub fn asking(provider: &Provider) -> Settings {
    let stripe =
        Stripe { api_key: Some(Secret::from(KEY)), api_base: format!("{}/", provider.url()), ..settings().stripe };
    Settings { stripe, ..settings() }
}

/// A world that can ask, and its provider. No webhook is ever sent.
pub async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> (World, Provider) {
    world_in(options, connect, Shape::Endive).await
}

/// The same, with a provider that speaks in a certain shape.
pub async fn world_in(options: PgPoolOptions, connect: PgConnectOptions, shape: Shape) -> (World, Provider) {
    let provider = provider(shape).await;
    let world = World::with(options, connect, asking(&provider)).await;
    (world, provider)
}

/// A customer and a subscription of the account, as they are at the provider.
pub fn subscribe(provider: &Provider, account: &AccountId, price: &str) -> (String, String) {
    let metadata: demo::provider::Metadata = [("account".to_owned(), account.to_string())].into_iter().collect();
    let customer = NewCustomer { metadata, ..NewCustomer::default() };
    let customer = provider.create_customer(customer).expect("a customer");
    let subscription = subscribe_customer(provider, account, &customer, price);
    (customer, subscription)
}

/// A subscription of a customer, which names the account itself.
pub fn subscribe_customer(provider: &Provider, account: &AccountId, customer: &str, price: &str) -> String {
    let metadata = [("account".to_owned(), account.to_string())].into_iter().collect();
    let new = Subscribe { customer: customer.into(), price: price.into(), metadata, ..Subscribe::default() };
    provider.subscribe(new).expect("a subscription")
}
