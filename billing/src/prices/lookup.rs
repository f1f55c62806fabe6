//! Lookup keys: which price of the provider each one names, asked at the start, with each change of the catalog, and again while it runs.
//!
//! The catalog in force holds the answers, so that a start goes on without the provider.

use std::collections::BTreeMap;
use std::time::Duration;

use entitlement::catalog::{Catalog, Looked, Provider};
use tokio::time::Instant;

use crate::chain;
use crate::component::Billing;
use crate::keys::KeyError;
use crate::ops::{OperatorError, Proposal, Word};
use crate::provider::client::ProviderError;
use crate::provider::stripe::setup::look_up;
use crate::store::StoreError;

/// How long the provider may take to name the prices of all keys.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is asked again: a key may go over to another price at any time.
const EVERY: Duration = Duration::from_mins(5);

/// How often it is asked as long as a key names no price.
const UNRESOLVED: Duration = Duration::from_secs(15);

impl Billing {
    /// The proposal with an id for each lookup key, as far as the provider or the catalog in force knows it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_prices(&self, proposal: Proposal) -> Result<Proposal, StoreError> {
        if proposal.catalog.lookup_keys().is_empty() {
            return Ok(proposal);
        }
        let known = {
            let mut conn = self.pool().acquire().await?;
            self.rules(&mut conn).await?
        };
        let found = self.looked_up(&proposal.catalog).await.unwrap_or_else(|error| {
            tracing::warn!(error = chain::told(&error), "the lookup keys of the catalog keep their last known prices");
            BTreeMap::new()
        });
        let catalog = proposal.catalog.resolved(&known.catalog, &found);
        Ok(Proposal { catalog, ..proposal })
    }

    /// The same without asking the provider: by the catalog in force alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_known_prices(&self, proposal: Proposal) -> Result<Proposal, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let known = self.rules(&mut conn).await?;
        let catalog = proposal.catalog.resolved(&known.catalog, &BTreeMap::new());
        Ok(Proposal { catalog, ..proposal })
    }

    async fn looked_up(&self, catalog: &Catalog) -> Result<BTreeMap<String, Looked>, KeyError> {
        let asked = async {
            let askable = self.askable(Provider::Stripe).await?;
            let keys: Vec<&str> = catalog.lookup_keys().into_iter().collect();
            match &askable.providers.stripe_client {
                Some(client) => Ok(look_up(client, &keys).await?),
                None => Ok(BTreeMap::new()),
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            Err(ProviderError::Unavailable("the prices of the lookup keys are not named in time".into()).into())
        })
    }

    /// Asks again when it is time, and puts in force what another answer changes: nobody loses anything by it, as prices that had a key
    /// stay known. Returns when it is time again.
    pub(crate) async fn follow_lookup_keys(&self, due: Instant) -> Result<Instant, OperatorError> {
        if Instant::now() < due {
            return Ok(due);
        }
        let rules = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            self.rules(&mut conn).await?
        };
        if rules.catalog.lookup_keys().is_empty() {
            return Ok(Instant::now() + UNRESOLVED);
        }
        let Ok(found) = self.looked_up(&rules.catalog).await else { return Ok(Instant::now() + UNRESOLVED) };
        let catalog = rules.catalog.resolved(&rules.catalog, &found);
        let next = Instant::now() + if catalog.is_resolved() { EVERY } else { UNRESOLVED };
        if catalog != rules.catalog {
            let (grace, policy) = (rules.grace, rules.policy);
            let proposal = Proposal { catalog, grace, policy, accept: None, file: String::new() };
            let plan = self.plan_catalog(&proposal).await?;
            match self.apply_catalog(&proposal, &plan, Word::None).await {
                // Another process, or a person, was faster.
                Ok(_) | Err(OperatorError::CatalogMoved) => {}
                Err(error) => {
                    tracing::warn!(
                        error = chain::told(&error),
                        "prices that have taken a lookup key over are not in force"
                    );
                }
            }
        }
        Ok(next)
    }
}
