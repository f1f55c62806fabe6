//! The providers: the only place where their words are known. Each has the same functions, in the same order.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::{Event, Object};
use secrecy::ExposeSecret;

use crate::credentials::Providers;
use crate::settings::Settings;

use self::client::{Listed, Page, ProviderError};

mod amounts;
mod bounds;
pub mod client;
pub(crate) mod heard;
mod http;
mod ids;
pub(crate) mod offer;
pub mod polar;
pub(crate) mod sell;
pub mod stripe;
pub(crate) mod text;

pub use amounts::no_amount;
pub use ids::{no_customer, no_price};

/// Why an event that Tollgate acts on cannot be read: its form is not what its provider documents.
#[derive(Debug, thiserror::Error)]
#[error("the event cannot be read: {0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    /// With the field that is not as it should be.
    fn at(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        Self(error.to_string())
    }
}

/// Why an event about a subscription is ignored whose status this build does not know.
pub(crate) const UNKNOWN_STATUS: &str = entitlement::decide::Ignored::UnknownStatus.reason();

/// Says in our words what a stored event means.
///
/// # Errors
/// When a part that is needed is absent or not of its type.
pub fn interpret(
    provider: Provider,
    body: &[u8],
    received_at: Timestamp,
    settings: &Settings,
) -> Result<Event, Unreadable> {
    match provider {
        Provider::Stripe => {
            let account = settings.stripe.account.as_deref();
            let reader = stripe::Reader { metadata_key: &settings.stripe.metadata_key, account };
            stripe::interpret(body, received_at, reader)
        }
        Provider::Polar => polar::interpret(body, received_at, &settings.polar.metadata_key),
    }
}

/// The status that an event's object has, in the provider's word.
pub(crate) fn status_of(body: &[u8]) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(&text::mended(body)).ok()?;
    let status = event.pointer("/data/object/status").or_else(|| event.pointer("/data/status"))?;
    status.as_str().map(|status| status.chars().take(STATUS_CHARS_MAX).collect())
}

/// Longest status that is told, in characters.
const STATUS_CHARS_MAX: usize = 50;

/// An event whose object names no customer, with the customer that is known to be meant.
pub(crate) fn with_customer(provider: Provider, body: &[u8], customer: &str) -> Vec<u8> {
    let (place, field) = match provider {
        Provider::Stripe => ("/data/object", "customer"),
        Provider::Polar => ("/data", "customer_id"),
    };
    let Ok(mut event) = serde_json::from_str::<serde_json::Value>(&text::mended(body)) else { return body.to_vec() };
    if let Some(object) = event.pointer_mut(place).and_then(serde_json::Value::as_object_mut) {
        object.insert(field.into(), customer.into());
    }
    event.to_string().into_bytes()
}

/// Pages of one customer's subscriptions: nobody has so many.
const CUSTOMER_PAGES_MAX: usize = 10;

/// Every provider that there is.
pub const ALL: [Provider; 2] = [Provider::Stripe, Provider::Polar];

/// Whether a provider can be asked.
pub(crate) fn can_ask(providers: &Providers, provider: Provider) -> bool {
    match provider {
        Provider::Stripe => providers.stripe_client.is_some(),
        Provider::Polar => providers.polar_client.is_some(),
    }
}

/// The moments of a question: the provider's clock, as far as it is known, and ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub at: Timestamp,
    pub now: Timestamp,
}

impl Moments {
    fn stripe(self, providers: &Providers) -> stripe::object::Told<'_> {
        stripe::object::Told { at: self.at, received_at: self.now, metadata_key: &providers.stripe.metadata_key }
    }

    fn polar(self, providers: &Providers) -> polar::api::Told<'_> {
        polar::api::Told { at: self.at, received_at: self.now, metadata_key: &providers.polar.metadata_key }
    }
}

/// What a provider says of an object now, and of what that cannot be understood without; nothing when it has no such
/// object, or cannot be asked.
pub(crate) async fn look(
    providers: &Providers,
    provider: Provider,
    object: &Object,
    moments: Moments,
) -> Result<Vec<Event>, ProviderError> {
    match provider {
        Provider::Stripe => match &providers.stripe_client {
            Some(client) => client.look(object, moments.stripe(providers)).await,
            None => Ok(Vec::new()),
        },
        Provider::Polar => match &providers.polar_client {
            Some(client) => client.look(object, moments.polar(providers)).await,
            None => Ok(Vec::new()),
        },
    }
}

/// Something of which a provider has a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List<'a> {
    /// In every status, of one customer or of all.
    Subscriptions(Option<&'a str>),
    /// What went back since a moment.
    Refunds(Timestamp),
    /// What is disputed since a moment.
    Disputes(Timestamp),
    /// What was paid since a moment.
    Orders(Timestamp),
    /// All buyers.
    Customers,
    /// Those that were gone through, of one subscription or all.
    Checkouts(Option<&'a str>),
}

/// One page of a list; an empty one when the provider has no such list, or cannot be asked.
pub(crate) async fn page(
    providers: &Providers,
    provider: Provider,
    list: List<'_>,
    after: Option<&str>,
    moments: Moments,
) -> Result<Page<Listed>, ProviderError> {
    let nothing = Page { items: Vec::new(), next: None };
    match provider {
        Provider::Stripe => {
            let (Some(client), told) = (&providers.stripe_client, moments.stripe(providers)) else {
                return Ok(nothing);
            };
            match list {
                List::Subscriptions(customer) => client.subscriptions(customer, after, told).await,
                List::Refunds(since) => client.refunds(since, after, told).await,
                List::Disputes(since) => client.disputes(since, after, told).await,
                List::Customers => client.customers(after, told).await,
                List::Checkouts(subscription) => client.checkouts(subscription, after, told).await,
                List::Orders(_) => Ok(nothing),
            }
        }
        Provider::Polar => {
            let (Some(client), told) = (&providers.polar_client, moments.polar(providers)) else { return Ok(nothing) };
            match list {
                List::Subscriptions(customer) => client.subscriptions(customer, after, told).await,
                List::Refunds(since) => client.refunds(since, after, told).await,
                List::Orders(since) => client.orders(since, after, told).await,
                List::Disputes(_) | List::Customers | List::Checkouts(_) => Ok(nothing),
            }
        }
    }
}

/// An event as a provider lists it: what it would be in the inbox.
#[derive(Clone, Debug)]
pub(crate) struct ListedEvent {
    pub event_id: String,
    pub kind: String,
    pub api_version: Option<String>,
    pub livemode: Option<bool>,
    pub body: Vec<u8>,
}

/// One page of the events that Tollgate needs, newest first; `None` when the provider has no such list.
pub(crate) async fn events(
    providers: &Providers,
    provider: Provider,
    since: Timestamp,
    after: Option<&str>,
) -> Result<Option<Page<ListedEvent>>, ProviderError> {
    let (Provider::Stripe, Some(client)) = (provider, &providers.stripe_client) else { return Ok(None) };
    let page = client.events(since, after).await?;
    let read = |(id, event): (String, serde_json::Value)| {
        let body = event.to_string().into_bytes();
        match stripe::read_envelope(&body) {
            Ok(stripe::Envelope { event_id, kind, api_version, livemode }) => {
                Some(ListedEvent { event_id, kind, api_version, livemode, body })
            }
            Err(error) => {
                tracing::error!(id, %error, "an event in the provider's list cannot be read, and is not taken over: look at it there, and update Tollgate");
                None
            }
        }
    };
    let items = page.items.into_iter().filter_map(read);
    let items = items.filter(|event| stripe::is_needed(&event.kind)).collect();
    Ok(Some(Page { items, next: page.next }))
}

/// A customer as its provider knows it now, with everything that it has bought.
pub(crate) async fn everything_of(
    providers: &Providers,
    provider: Provider,
    customer: &str,
    moments: Moments,
) -> Result<Vec<Event>, ProviderError> {
    let object = Object::Customer(customer.to_owned());
    let mut events = look(providers, provider, &object, moments).await?;
    // Polar's answer has them already.
    if provider == Provider::Polar || events.is_empty() {
        return Ok(events);
    }
    let mut after = None;
    for _ in 0..CUSTOMER_PAGES_MAX {
        let list = List::Subscriptions(Some(customer));
        let page = match page(providers, provider, list, after.as_deref(), moments).await {
            Err(ProviderError::UnknownCustomer) => return Ok(events),
            page => page?,
        };
        events.extend(page.items.into_iter().flat_map(|listed| listed.events));
        after = page.next;
        if after.is_none() {
            return Ok(events);
        }
    }
    Err(ProviderError::Unusable("the customer has too many subscriptions".into()))
}

/// The mode, live or test, of the key with which we speak with a provider; `None` when nothing says so.
#[must_use]
pub(crate) fn livemode(providers: &Providers, provider: Provider) -> Option<bool> {
    match provider {
        Provider::Stripe => stripe::livemode_of_key(providers.stripe.api_key.as_ref()?.expose_secret()),
        Provider::Polar => None,
    }
}

/// The provider's own account to which the key belongs; `None` when it has no such thing, or the key may not say.
pub(crate) async fn account(providers: &Providers, provider: Provider) -> Result<Option<String>, ProviderError> {
    match (provider, &providers.stripe_client) {
        (Provider::Stripe, Some(client)) => client.account().await,
        _ => Ok(None),
    }
}

/// Asks something small, for what the answer says of the key.
pub(crate) async fn try_key(providers: &Providers, provider: Provider, moments: Moments) {
    let _ = match provider {
        Provider::Stripe => account(providers, provider).await.map(drop),
        Provider::Polar => page(providers, provider, List::Subscriptions(None), None, moments).await.map(drop),
    };
}

/// The variable of the environment that holds the key.
#[must_use]
pub const fn key_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => "STRIPE_API_KEY",
        Provider::Polar => "POLAR_ACCESS_TOKEN",
    }
}

/// The types of events that a provider's endpoint has to be told of.
#[must_use]
pub const fn needed_events(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Stripe => &stripe::NEEDED,
        Provider::Polar => &polar::NEEDED,
    }
}

/// An event's type as a metric label: senders do not decide how many labels there are.
#[must_use]
pub fn kind_label(provider: Provider, kind: &str) -> &'static str {
    match provider {
        Provider::Stripe => stripe::kind_label(kind),
        Provider::Polar => polar::kind_label(kind),
    }
}

/// The most days of a trial that a provider takes. Stripe ends a trial at most two years after its start (`trial_end`,
/// <https://docs.stripe.com/api/subscriptions/create>), and says 730 days when more are asked for. Polar takes a
/// `trial_interval_count` of 1 to 1000 (<https://polar.sh/docs/api-reference/checkouts/create-session>, its
/// [`TrialConfigurationInputMixin`](https://github.com/polarsource/polar/blob/main/server/polar/kit/trial.py)), and we count in days.
#[must_use]
pub const fn trial_days_max(provider: Provider) -> u32 {
    match provider {
        Provider::Stripe => 730,
        Provider::Polar => 1000,
    }
}

/// Whether a provider takes a key of `metadata` (<https://docs.stripe.com/metadata>,
/// <https://polar.sh/docs/api-reference/checkouts/create-session>).
#[must_use]
pub fn is_metadata_key(key: &str) -> bool {
    (1..=40).contains(&key.chars().count()) && key.trim() == key && !key.contains(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_those_of_other_things_and_of_the_other_provider() {
        const UUID: &str = "0190a4b2-7c1e-7d33-8f00-1234567890ab";
        for (provider, id, expected) in [
            (Provider::Stripe, "price_1", None),
            (Provider::Stripe, "gold-monthly", None),
            (Provider::Stripe, "prod_1", Some("product of Stripe")),
            (Provider::Stripe, UUID, Some("product of Polar")),
            (Provider::Polar, UUID, None),
            (Provider::Polar, "product_annual", None),
            (Provider::Polar, "price_1", Some("price of Stripe")),
            (Provider::Polar, "sk_live_1", Some("secret key of Stripe")),
        ] {
            let told = no_price(provider, id).unwrap_or_default();
            let is_told = told.is_empty() == expected.is_none() && told.contains(expected.unwrap_or_default());
            assert!(is_told, "{id}: {told}");
        }
    }

    #[test]
    fn a_key_of_metadata_is_one_that_providers_take() {
        for (key, expected) in [("account", true), ("", false), (" ", false), ("a[b]", false), (&"x".repeat(41), false)]
        {
            assert_eq!(is_metadata_key(key), expected, "{key}");
        }
    }

    #[test]
    fn the_readme_lists_the_events_that_are_needed() {
        let readme = include_str!("../../../README.md");
        for provider in ALL {
            let (_, rest) = readme.split_once(&format!("<!-- {provider} events -->")).expect("it names them");
            let (list, _) = rest.split_once("<!-- end -->").expect("the list ends");
            let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
            assert_eq!(listed, needed_events(provider), "{provider}");
        }
    }
}
