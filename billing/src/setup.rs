//! Setting a provider up, and reading a catalog from what it sells: for commands, which need no database for it.

use entitlement::binding::Misfit;
use entitlement::catalog::{Catalog, Provider};

use crate::clock;
use crate::component::Billing;
use crate::keys::KeyError;
use crate::provider::client::{Client, ProviderError};
use crate::provider::stripe::{import, livemode_of_key, setup};
use crate::settings::{Settings, Stripe};
use crate::store::{StoreError, schema};

pub use crate::provider::stripe::import::Imported as ImportedCatalog;
pub use crate::provider::stripe::setup::{Foreign, Secret as WebhookSecret, SetupError, Wishes as SetupWishes};

/// A plan of all that Stripe lacks: nothing is done yet.
#[derive(Debug)]
pub struct Setup {
    client: Client,
    plan: setup::Plan,
    namespace: String,
}

/// Where setting up ended, and how many steps were done before.
#[derive(Debug, thiserror::Error)]
#[error("{error} ({done} of {steps} steps are done)")]
pub struct Stopped {
    pub done: usize,
    pub steps: usize,
    pub error: SetupError,
}

/// Whether a key of Stripe moves real money; `None` when it does not say.
#[must_use]
pub fn is_live_key(key: &str) -> Option<bool> {
    livemode_of_key(key)
}

impl Billing {
    /// Why Stripe's key belongs elsewhere than what the database holds, where it does. A database without tables holds nothing.
    ///
    /// # Errors
    /// When the database fails, or Stripe has to be asked and does not answer.
    pub async fn misfit(&self) -> Result<Option<Misfit>, KeyError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let is_migrated = schema::is_migrated(&mut conn).await?;
        drop(conn);
        if !is_migrated {
            return Ok(None);
        }
        match self.askable(Provider::Stripe).await {
            Ok(_) => Ok(None),
            Err(KeyError::Wrong { misfit, .. }) => Ok(Some(misfit)),
            Err(error) => Err(error),
        }
    }
}

impl Setup {
    /// Compares what the catalog and the site need with what Stripe has.
    ///
    /// # Errors
    /// When there is no key, or something cannot be read.
    pub async fn prepare(settings: &Settings, catalog: &Catalog, wishes: SetupWishes) -> Result<Self, SetupError> {
        let client = client(&settings.stripe)?;
        let namespace = settings.namespace.as_str().to_owned();
        let wanted = setup::Wanted::new(&namespace, catalog, &settings.webhook_url(), wishes);
        let plan = setup::prepare(&client, &wanted).await?;
        Ok(Self { client, plan, namespace })
    }

    /// Each step, for a person.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        self.plan.steps.iter().map(setup::Step::told).collect()
    }

    /// Remarks for the operator.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.plan.notes
    }

    /// Things that only the operator can do or decide.
    #[must_use]
    pub fn open(&self) -> &[String] {
        &self.plan.open
    }

    /// Whether a secret is to be written.
    #[must_use]
    pub fn brings_secret(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step, setup::Step::MakeEndpoint { .. }))
    }

    /// Does the steps in order, and tells each one that is done. The secret of the webhook endpoint goes to `keep`.
    ///
    /// # Errors
    /// At the first step that fails: what is before it stays.
    pub async fn run(
        &self,
        mut done: impl FnMut(&str),
        mut keep: impl FnMut(&str) -> std::io::Result<()>,
    ) -> Result<(), Stopped> {
        for (number, step) in self.plan.steps.iter().enumerate() {
            let performed = setup::perform(&self.client, step, (&self.namespace, clock::now()), &mut keep).await;
            performed.map_err(|error| Stopped { done: number, steps: self.plan.steps.len(), error })?;
            done(&step.told());
        }
        Ok(())
    }
}

/// A catalog's text, from what Stripe sells, and what it does not say of that.
///
/// # Errors
/// When there is no key, or it cannot be read.
pub async fn import_catalog(stripe: &Stripe) -> Result<ImportedCatalog, SetupError> {
    import::catalog(&client(stripe)?).await
}

fn client(stripe: &Stripe) -> Result<Client, SetupError> {
    let configured = Client::configured(stripe)
        .and_then(|client| client.ok_or_else(|| ProviderError::Settings("STRIPE_API_KEY is not set".into())));
    configured.map_err(|error| SetupError::Provider { doing: "asking Stripe".to_owned(), error })
}
