//! How the providers are spoken with right now: secrets can be replaced while billing runs.
//!
//! What is asked once and used twice must be held on to: between two questions everything may have been replaced.

use std::sync::Arc;

use entitlement::catalog::Provider;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::component::Billing;
use crate::keys::Checked;
use crate::provider::client::Client;
use crate::provider::heard::Heard;
use crate::provider::polar;
use crate::settings::{Polar, Secret, Settings, Stripe};

/// The providers as they are spoken with, and recognised, at one moment.
#[derive(Debug)]
pub(crate) struct Providers {
    pub stripe: Stripe,
    pub polar: Polar,
    /// None without a key: then nothing is sold.
    pub stripe_client: Option<Client>,
    /// None without an access token: then nothing is asked of Polar.
    pub polar_client: Option<polar::api::Client>,
    /// Recognised only to be refused: see [`Settings::operator_token`].
    operator_token: Option<Secret>,
    /// See [`Settings::app_tokens`].
    app_tokens: Vec<Secret>,
    /// What is known of Stripe's key.
    stripe_checked: Checked,
    /// What is known of Polar's token.
    polar_checked: Checked,
}

/// The secrets that can be replaced while billing runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// See [`Stripe::api_key`].
    pub stripe_api_key: Option<Secret>,
    /// See [`Stripe::webhook_secrets`].
    pub stripe_webhook_secrets: Vec<Secret>,
    /// See [`Polar::access_token`].
    pub polar_access_token: Option<Secret>,
    /// See [`Polar::webhook_secrets`].
    pub polar_webhook_secrets: Vec<Secret>,
    /// See [`Settings::operator_token`].
    pub operator_token: Option<Secret>,
    /// See [`Settings::app_tokens`].
    pub app_tokens: Vec<Secret>,
}

/// Why credentials were not replaced: none of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("STRIPE_API_KEY cannot be used as a key")]
    StripeKey,
    #[error("POLAR_WEBHOOK_SECRET has a secret that is only a prefix: copy the whole of it")]
    PolarSecret,
    #[error("POLAR_ACCESS_TOKEN cannot be used as a token")]
    PolarToken,
}

impl Providers {
    /// As the settings say. What cannot be used was refused when billing connected.
    pub fn at_start(settings: &Settings) -> Self {
        Self {
            stripe_client: Client::configured(&settings.stripe).ok().flatten(),
            polar_client: polar::api::Client::configured(&settings.polar).ok().flatten(),
            stripe: settings.stripe.clone(),
            polar: settings.polar.clone(),
            operator_token: settings.operator_token.clone(),
            app_tokens: settings.app_tokens.clone(),
            stripe_checked: Checked::default(),
            polar_checked: Checked::default(),
        }
    }

    /// The same providers with other secrets.
    fn with(settings: &Settings, credentials: Credentials) -> Result<Self, CredentialsError> {
        let stripe = Stripe {
            api_key: credentials.stripe_api_key,
            webhook_secrets: credentials.stripe_webhook_secrets,
            ..settings.stripe.clone()
        };
        let polar = Polar {
            access_token: credentials.polar_access_token,
            webhook_secrets: credentials.polar_webhook_secrets,
            ..settings.polar.clone()
        };
        if !polar.webhook_secrets.iter().all(polar::signature::is_usable) {
            return Err(CredentialsError::PolarSecret);
        }
        let stripe_client = Client::configured(&stripe).map_err(|_| CredentialsError::StripeKey)?;
        let polar_client = polar::api::Client::configured(&polar).map_err(|_| CredentialsError::PolarToken)?;
        Ok(Self {
            stripe,
            polar,
            stripe_client,
            polar_client,
            operator_token: credentials.operator_token,
            app_tokens: credentials.app_tokens,
            stripe_checked: Checked::default(),
            polar_checked: Checked::default(),
        })
    }
}

impl Providers {
    /// What is known of the key of a provider.
    pub const fn checked(&self, provider: Provider) -> &Checked {
        match provider {
            Provider::Stripe => &self.stripe_checked,
            Provider::Polar => &self.polar_checked,
        }
    }

    /// The word of the provider's answers on its key; none without a key.
    pub fn heard(&self, provider: Provider) -> Option<&Heard> {
        match provider {
            Provider::Stripe => self.stripe_client.as_ref().map(Client::heard),
            Provider::Polar => self.polar_client.as_ref().map(polar::api::Client::heard),
        }
    }

    /// Whether a token is the operator's.
    pub fn is_operator(&self, token: &str) -> bool {
        self.operator_token.as_ref().is_some_and(|known| is_same(known, token))
    }

    /// Whether the application has any token: without one its API is closed.
    pub const fn has_app_tokens(&self) -> bool {
        !self.app_tokens.is_empty()
    }

    /// Whether a token is one of the application's. All of them are compared, so that the time says nothing of which it is.
    pub fn is_app(&self, token: &str) -> bool {
        self.app_tokens.iter().fold(false, |is_one, known| is_same(known, token) | is_one)
    }
}

/// Whether a token is a secret. Of two digests the place of the first difference says nothing.
fn is_same(secret: &Secret, token: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(secret.expose_secret()) == digest(token)
}

impl Billing {
    /// How the providers are spoken with at this moment.
    pub(crate) fn providers(&self) -> Arc<Providers> {
        self.shared().providers.load_full()
    }

    /// Replaces the secrets of the providers: all of them, or none. What has begun goes on with the old ones.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn replace_credentials(&self, credentials: Credentials) -> Result<(), CredentialsError> {
        let providers = Providers::with(self.settings(), credentials)?;
        self.shared().providers.store(Arc::new(providers));
        self.shared().keys_replaced.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut settings = crate::tests::settings();
        settings.stripe.api_key = Some(Secret::from("sk_test_old"));
        settings
    }

    fn credentials(stripe_api_key: &str) -> Credentials {
        Credentials {
            stripe_api_key: Some(Secret::from(stripe_api_key)),
            stripe_webhook_secrets: vec![Secret::from("whsec_new")],
            polar_access_token: Some(Secret::from("polar_new")),
            polar_webhook_secrets: vec![Secret::from("polar_whs_new")],
            operator_token: Some(Secret::from("operator_new")),
            app_tokens: vec![Secret::from("app_new"), Secret::from("app_old")],
        }
    }

    fn shown(secrets: &[Secret]) -> Vec<&str> {
        secrets.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[test]
    fn every_secret_is_replaced_and_nothing_else() {
        let settings = settings();
        let providers = Providers::with(&settings, credentials("rk_test_new")).expect("they can be used");
        assert_eq!(providers.stripe.api_key.as_ref().map(ExposeSecret::expose_secret), Some("rk_test_new"));
        assert_eq!(shown(&providers.stripe.webhook_secrets), ["whsec_new"]);
        assert_eq!(providers.polar.access_token.as_ref().map(ExposeSecret::expose_secret), Some("polar_new"));
        assert_eq!(shown(&providers.polar.webhook_secrets), ["polar_whs_new"]);
        assert!(providers.stripe_client.is_some());
        assert!(providers.is_operator("operator_new") && !providers.is_operator("operator_ne"));
        let is_app = ["app_new", "app_old", "app_", "app_new,app_old", ""].map(|token| providers.is_app(token));
        assert_eq!(is_app, [true, true, false, false, false]);
        assert!(providers.has_app_tokens() && !Providers::at_start(&settings).has_app_tokens());
        assert_eq!(providers.stripe.api_base, settings.stripe.api_base);
        assert!(!format!("{providers:?}").contains("new"), "no secret is shown");
    }

    #[test]
    fn what_cannot_be_used_replaces_nothing() {
        let refused = |key| Providers::with(&settings(), credentials(key)).map(|_| ()).expect_err("refused");
        assert_eq!(refused("sk_test_\n"), CredentialsError::StripeKey);
        assert!(!format!("{} {:?}", refused("sk_test_new\n"), refused("sk_test_new\n")).contains("new"));
    }
}
