//! Selling: from an order to the URL of a hosted checkout, and from an account to its customer portal.
//!
//! The customer is made and stored before the first checkout, so that every event of the purchase finds its account.
//! No connection to Postgres is held while the provider is asked.

mod choose;
pub mod links;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use http::StatusCode;

use crate::Billing;
use crate::api::standing;
use crate::problem::Problem;
use crate::provider::client::{Buyer, Checkout, Client, ProviderError};
use crate::store::StoreError;
use crate::store::customers::{self, Made};

pub use choose::Order;

/// The connection to the provider that sells.
///
/// # Errors
/// 503 when there is no key.
pub fn client(billing: &Billing) -> Result<Client, Problem> {
    let problem = || {
        let detail = "Selling is not set up: the payment provider's API key is missing.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
    };
    billing.providers().stripe_client.clone().ok_or_else(problem)
}

/// Opens a checkout for what is ordered and answers its URL.
///
/// A price that needs a consent is not sold without it; the consent is not stored yet.
///
/// # Errors
/// What is wrong with the order, 409 when the account pays for a tier already, 502 with the provider's message.
pub async fn open(billing: &Billing, account: &AccountId, order: &Order, now: Timestamp) -> Result<String, Problem> {
    let client = client(billing)?;
    let standing = standing::of(billing, account, now).await?;
    let choice = choose::choose(standing.catalog(), order)?;
    if !standing.live(now).is_empty() {
        let detail = "There is a subscription already: change it instead of buying another one.";
        return Err(Problem::new(StatusCode::CONFLICT, "already_subscribed", detail));
    }
    let settings = billing.settings();
    let buyer = Buyer { account, metadata_key: &settings.stripe.metadata_key };
    let customer = match stored_customer(billing, account).await? {
        Some(customer) => customer,
        None => new_customer(billing, buyer, None, now).await?,
    };
    let next = order.next.as_deref().and_then(links::own_path);
    let checkout = Checkout {
        buyer,
        customer: &customer,
        price: &choice.price.id,
        tier: &choice.tier.code,
        trial_days: if standing.is_new_buyer() { choice.price.trial_days } else { 0 },
        success_url: &links::success_url(&settings.site_url, next.as_deref()),
        cancel_url: &links::on_site(&settings.site_url, &settings.pricing_url),
    };
    let url = match client.create_checkout(&checkout, now).await {
        Err(ProviderError::UnknownCustomer) => {
            let customer = new_customer(billing, buyer, Some(&customer), now).await?;
            client.create_checkout(&Checkout { customer: &customer, ..checkout }, now).await?
        }
        opened => opened?,
    };
    tracing::info!(%account, tier = choice.tier.code, price = choice.price.id, "a checkout was opened");
    Ok(url)
}

/// Opens the customer portal and answers its URL.
///
/// # Errors
/// 404 when the account never bought anything here, 502 with the provider's message.
pub async fn open_portal(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<String, Problem> {
    let client = client(billing)?;
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_customer", "Nothing was bought here yet.");
    let standing = standing::of(billing, account, now).await?;
    // The customer that pays, before the one that would.
    let paying =
        standing.live(now).iter().find(|live| live.is_managed_here()).map(|live| live.subscription.customer.clone());
    let customer = match paying {
        Some(customer) => customer,
        None => stored_customer(billing, account).await?.ok_or_else(none)?,
    };
    let return_url = links::on_site(&billing.settings().site_url, links::ACCOUNT_PATH);
    match client.create_portal(&customer, &return_url).await {
        Err(ProviderError::UnknownCustomer) => Err(none()),
        opened => Ok(opened?),
    }
}

async fn stored_customer(billing: &Billing, account: &AccountId) -> Result<Option<String>, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    customers::customer_of(&mut conn, Provider::Stripe, account).await
}

/// Makes a customer and stores it; `replaces` is the one that the provider no longer knows.
async fn new_customer(
    billing: &Billing,
    buyer: Buyer<'_>,
    replaces: Option<&str>,
    now: Timestamp,
) -> Result<String, Problem> {
    let customer = client(billing)?.create_customer(buyer, replaces, now).await?;
    let made = Made { provider: Provider::Stripe, customer: &customer, account: buyer.account, replaces };
    let bought_as = settle(billing, made, now).await?;
    // Events may have waited for the customer.
    billing.shared().event_due.notify_one();
    Ok(bought_as)
}

async fn settle(billing: &Billing, made: Made<'_>, now: Timestamp) -> Result<String, StoreError> {
    let mut transaction = billing.pool().begin().await?;
    let bought_as = customers::settle(&mut transaction, made, now).await?;
    transaction.commit().await?;
    Ok(bought_as)
}
