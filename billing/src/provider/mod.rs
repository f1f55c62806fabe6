//! The providers: the only place where their words are known. Each has the same functions, in the same order.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::Event;
use secrecy::ExposeSecret;

use crate::settings::Settings;

pub mod client;
pub mod stripe;

/// Why an event that Tollgate acts on cannot be read: its form is not what its provider documents.
#[derive(Debug, thiserror::Error)]
#[error("the event cannot be read: {0}")]
pub struct Unreadable(pub String);

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
        Provider::Stripe => stripe::interpret(body, received_at, &settings.stripe.metadata_key),
        Provider::Polar => Err(Unreadable("this build does not speak with Polar".into())),
    }
}

/// The mode, live or test, in which we speak with a provider; `None` when nothing says so.
#[must_use]
pub fn livemode(provider: Provider, settings: &Settings) -> Option<bool> {
    match provider {
        Provider::Stripe => stripe::livemode_of_key(settings.stripe.api_key.as_ref()?.expose_secret()),
        Provider::Polar => None,
    }
}

/// An event's type as a metric label: senders do not decide how many labels there are.
#[must_use]
pub fn kind_label(provider: Provider, kind: &str) -> &'static str {
    match provider {
        Provider::Stripe => stripe::kind_label(kind),
        Provider::Polar => "other",
    }
}
