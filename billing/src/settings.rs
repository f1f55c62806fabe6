//! What billing needs to be told by the configuration; nothing here is read from the environment.

use std::time::Duration;

use entitlement::assertion::AssertionKey;
use entitlement::subscription::Grace;

/// A text that is never shown: `Debug` redacts it, and it is wiped from memory when dropped.
pub type Secret = secrecy::SecretString;

/// The audience of the assertion that the proxy sends to billing.
pub const ASSERTION_AUDIENCE: &str = "tollgate-billing";

/// Everything that billing is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The public origin of the site, without a path; also the issuer of assertions.
    pub site_url: String,
    /// Where buyers choose: a path of the site or a URL.
    pub pricing_url: String,
    /// Where visitors sign in: a path of the site or a URL.
    pub login_url: String,
    /// Signs and verifies assertions.
    pub assertion: AssertionKey,
    /// The audience that an assertion must have to be believed by billing.
    pub assertion_audience: String,
    /// The audience of the assertions that the site receives.
    pub identity_audience: String,
    /// How to speak with Stripe, and how to recognise it.
    pub stripe: Stripe,
    /// How long access goes on without a word from the provider.
    pub grace: Grace,
    /// Where entitlements are cached for the proxies; in this process alone when absent.
    pub redis_url: Option<Secret>,
    /// Connections to Postgres; exactly 1 when it is the embedded one.
    pub pool_size: u32,
    /// How long a webhook waits for its own effects before it is answered as accepted.
    pub inline_wait: Duration,
}

/// How to speak with Stripe, and how to recognise it.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// A secret or restricted key; without one nothing is sold through Stripe.
    pub api_key: Option<Secret>,
    /// Stripe's API, with a trailing slash.
    pub api_base: String,
    /// The signing secrets of the webhook endpoint; several while one is being replaced.
    pub webhook_secrets: Vec<Secret>,
    /// The key of `metadata` that names the account.
    pub metadata_key: String,
}

/// Stripe's API.
pub const STRIPE_API_BASE: &str = "https://api.stripe.com/";
