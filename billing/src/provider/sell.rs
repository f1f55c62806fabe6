//! Selling, and ending what was sold: one question, whichever provider it goes to. Polar makes its own customers; at Stripe
//! they are made first.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::Event;
use entitlement::subscription::SubscriptionId;

use super::Moments;
use super::client::{Bill, Checkout, CheckoutState, Kept, Opened, ProviderError};
use crate::credentials::Providers;

fn nobody() -> ProviderError {
    ProviderError::Settings("there is no key".into())
}

/// Opens a checkout, at Stripe for a customer.
pub(crate) async fn create_checkout(
    providers: &Providers,
    provider: Provider,
    customer: Option<&str>,
    checkout: &Checkout<'_>,
    now: Timestamp,
) -> Result<Opened, ProviderError> {
    match (provider, customer) {
        (Provider::Stripe, Some(customer)) => {
            let client = providers.stripe_client.as_ref().ok_or_else(nobody)?;
            client.create_checkout(customer, checkout, now).await
        }
        (Provider::Stripe, None) => Err(ProviderError::UnknownCustomer),
        (Provider::Polar, _) => providers.polar_client.as_ref().ok_or_else(nobody)?.create_checkout(checkout).await,
    }
}

/// How a checkout stands.
pub(crate) async fn checkout_state(
    providers: &Providers,
    provider: Provider,
    id: &str,
) -> Result<CheckoutState, ProviderError> {
    match provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.checkout_state(id).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.checkout_state(id).await,
    }
}

/// Closes a checkout where the provider can; answers how it stands then. Polar's close by themselves.
pub(crate) async fn close_checkout(
    providers: &Providers,
    provider: Provider,
    id: &str,
) -> Result<CheckoutState, ProviderError> {
    match provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.close_checkout(id).await,
        Provider::Polar => checkout_state(providers, provider, id).await,
    }
}

/// Opens the customer portal.
pub(crate) async fn create_portal(
    providers: &Providers,
    provider: Provider,
    customer: &str,
    return_url: &str,
) -> Result<String, ProviderError> {
    match provider {
        Provider::Stripe => {
            providers.stripe_client.as_ref().ok_or_else(nobody)?.create_portal(customer, return_url).await
        }
        Provider::Polar => {
            providers.polar_client.as_ref().ok_or_else(nobody)?.create_portal(customer, return_url).await
        }
    }
}

/// Schedules a subscription to end with the paid period, if no end is scheduled yet; answers when it ends, or nothing
/// when the provider does not say.
pub(crate) async fn end_with_period(
    providers: &Providers,
    subscription: &SubscriptionId,
) -> Result<Option<Timestamp>, ProviderError> {
    let id = &subscription.id;
    match subscription.provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.end_with_period(id).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.end_with_period(id).await,
    }
}

/// Ends a subscription at once, if it is not over; nothing is given back.
pub(crate) async fn end_now(providers: &Providers, subscription: &SubscriptionId) -> Result<(), ProviderError> {
    let id = &subscription.id;
    match subscription.provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.end_now(id).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.end_now(id).await,
    }
}

/// Takes prices off a subscription that goes on with others; nothing is given back. Polar's are for one thing only.
pub(crate) async fn end_prices(
    providers: &Providers,
    subscription: &SubscriptionId,
    prices: &[&str],
) -> Result<(), ProviderError> {
    match subscription.provider {
        Provider::Stripe => {
            providers.stripe_client.as_ref().ok_or_else(nobody)?.end_prices(&subscription.id, prices).await
        }
        Provider::Polar => end_now(providers, subscription).await,
    }
}

/// Lets a paused subscription go on.
pub(crate) async fn resume(providers: &Providers, subscription: &SubscriptionId) -> Result<Kept, ProviderError> {
    let id = &subscription.id;
    match subscription.provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.resume(id).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.resume(id).await,
    }
}

/// Takes a scheduled end back.
pub(crate) async fn keep(providers: &Providers, subscription: &SubscriptionId) -> Result<Kept, ProviderError> {
    let id = &subscription.id;
    match subscription.provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.keep(id).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.keep(id).await,
    }
}

/// The newest bills of a customer, newest first.
pub(crate) async fn bills(
    providers: &Providers,
    provider: Provider,
    customer: &str,
) -> Result<Vec<Bill>, ProviderError> {
    match provider {
        Provider::Stripe => providers.stripe_client.as_ref().ok_or_else(nobody)?.bills(customer).await,
        Provider::Polar => providers.polar_client.as_ref().ok_or_else(nobody)?.bills(customer).await,
    }
}

/// The checkout that a subscription came from, as its provider shows it; nothing where there is none, or no client to ask for it. Polar's
/// customers are accounts of ours, so none pays for another.
///
/// # Errors
/// Any [`ProviderError`].
pub(crate) async fn purchase(
    providers: &Providers,
    provider: Provider,
    subscription: &str,
    moments: Moments,
) -> Result<Vec<Event>, ProviderError> {
    match (provider, &providers.stripe_client) {
        (Provider::Stripe, Some(client)) => client.look_at_purchase(subscription, moments.stripe(providers)).await,
        (Provider::Stripe, None) | (Provider::Polar, _) => Ok(Vec::new()),
    }
}
