//! What billing needs to be told by the configuration; nothing here is read from the environment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlement::assertion::AssertionKey;
use entitlement::login::Login;
use entitlement::naming::Names;
use entitlement::own_paths::OwnPaths;
use entitlement::record::Namespace;
use entitlement::subscription::{Grace, Policy};

use crate::checkout::links;
use crate::pages::Pages;

/// A text that is never shown: `Debug` redacts it, and it is wiped from memory when dropped.
pub type Secret = secrecy::SecretString;

/// The audience of the assertion that the proxy sends to billing.
pub const ASSERTION_AUDIENCE: &str = "tollgate-billing";

/// Everything that billing is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The public address of the site, without a slash at its end; also the issuer of assertions.
    pub site_url: String,
    /// Every origin of the site, as browsers write it: whose pages may change something.
    pub origins: Vec<String>,
    /// Where buyers choose: a path of the site or a URL.
    pub pricing_url: String,
    /// Where visitors sign in: a path of the site or a URL.
    pub login: Login,
    /// How the hosted pages look, and what they say.
    pub pages: Arc<Pages>,
    /// Signs and verifies assertions.
    pub assertion: AssertionKey,
    /// The audience that an assertion must have to be believed by billing.
    pub assertion_audience: String,
    /// The audience of the assertions that the site receives.
    pub identity_audience: String,
    /// How to speak with Stripe, and how to recognise it, as it was at start.
    pub stripe: Stripe,
    /// How to speak with Polar, and how to recognise it, as it was at start.
    pub polar: Polar,
    /// The operator's token for the admin interface, as it was at start: whoever holds it is nobody who buys.
    pub operator_token: Option<Secret>,
    /// The application's tokens for its API, as they were at start; without one it is closed.
    pub app_tokens: Vec<Secret>,
    /// The ways under `[identity]` by which the site is asked whose a session is; empty where this process is told of none.
    pub session_ways: Vec<String>,
    /// How long access goes on without a word from the provider.
    pub grace: Grace,
    /// What refunds, disputes, pauses and unpaid subscriptions do to access.
    pub policy: Policy,
    /// What inviting others is worth.
    pub referral: Referral,
    /// How often the rows are compared with the providers.
    pub reconcile: Reconcile,
    /// How long the body of an event is kept after it was done; for ever when absent.
    pub bodies_kept: Option<TimeDelta>,
    /// How long after it was given the consent of an erased account is kept, under a pseudonym; for ever when absent.
    pub consents_kept: Option<TimeDelta>,
    /// More waiting events than this are an alert.
    pub inbox_alert: u64,
    /// Where entitlements are cached for the proxies; in this process alone when absent.
    pub redis_url: Option<Secret>,
    /// Where migrations run, when the database is reached through a pooler.
    pub migration_url: Option<Secret>,
    /// Of the keys and the channel of the cache: what keeps installations apart that share a Redis.
    pub namespace: Namespace,
    /// By which claims accounts are named.
    pub names: Names,
    /// The addresses that proxies have to have, too, by the keys of the configuration.
    pub addresses: BTreeMap<String, String>,
    /// Connections to Postgres; exactly 1 when it is the embedded one.
    pub pool_size: u32,
    /// How long a webhook waits for its own effects before it is answered as accepted; a tenth of it when others wait too.
    pub inline_wait: Duration,
}

impl Settings {
    /// Where browsers find what is Tollgate's own.
    #[must_use]
    pub fn own_paths(&self) -> &OwnPaths {
        &self.pages.own_paths
    }

    /// Where Stripe delivers.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        links::on_site(&self.site_url, &self.stripe.webhook_path)
    }
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
    /// The site's path at which Stripe delivers.
    pub webhook_path: String,
    /// The key of `metadata` that names the account.
    pub metadata_key: String,
    /// Our own id at Stripe: events of another one are ignored. Without it, events that name one are.
    pub account: Option<String>,
}

/// How to speak with Polar, and how to recognise it.
#[derive(Clone, Debug)]
pub struct Polar {
    /// An organization's access token; without one Polar is not asked for anything.
    pub access_token: Option<Secret>,
    /// Polar's API, with a trailing slash.
    pub api_base: String,
    /// The signing secrets of the webhook endpoint; several while one is being replaced.
    pub webhook_secrets: Vec<Secret>,
    /// The key of `metadata` that names the account.
    pub metadata_key: String,
}

/// What inviting others is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// Days for both sides; 0: nothing is given.
    pub credit_days: u32,
    /// The tier of those days; the lowest that is sold when absent.
    pub tier: Option<String>,
    /// What makes an invited account one that was brought.
    pub convert_on: ConvertOn,
    /// What the first payment has to be and stay, net of refunds, in minor units of its currency: less is no payment.
    pub min_amount: i64,
    /// How often one account is rewarded; without bound when absent.
    pub rewards_max: Option<u32>,
    /// How long a browser remembers by whom it was invited, in days.
    pub cookie_days: u32,
    /// Where an invitation leads: a path of the site.
    pub landing_url: String,
}

/// What makes an invited account one that was brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConvertOn {
    /// Its first payment of real money.
    #[default]
    Payment,
    /// Its first paid tier, a trial included.
    Tier,
}

impl Default for Referral {
    fn default() -> Self {
        let (tier, rewards_max, landing_url) = (None, None, "/".to_owned());
        let convert_on = ConvertOn::Payment;
        Self { credit_days: 45, tier, convert_on, min_amount: 100, rewards_max, cookie_days: 30, landing_url }
    }
}

/// How often the rows are compared with the providers; never when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconcile {
    /// What changed at the provider lately.
    pub delta: Option<Duration>,
    /// Everything.
    pub full: Option<Duration>,
}

/// Stripe's API.
pub const STRIPE_API_BASE: &str = "https://api.stripe.com/";

/// Polar's API.
pub const POLAR_API_BASE: &str = "https://api.polar.sh/";
