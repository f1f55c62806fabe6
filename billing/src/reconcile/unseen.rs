//! Subscriptions that their provider no longer shows are ended by a person, who was told how many they are.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::{Event, Fact};
use entitlement::subscription::{State, Subscription, SubscriptionId};

use super::ReconcileError;
use super::compare::Asking;
use crate::component::Billing;
use crate::keys::KeyError;
use crate::provider;
use crate::provider::client::ProviderError;
use crate::store::unseen::{self, Unseen};
use crate::store::{StoreError, subscriptions};
use crate::takings::{self, Verdict};

/// Rows that are read at once.
const BATCH: i64 = 100;

/// Who ends it, in the audit log.
const CAUSE: &str = "operator";

impl Billing {
    /// How many subscriptions that run here the providers no longer show, and how many accounts may lose access with them.
    ///
    /// # Errors
    /// When the database fails, or a provider refuses the key: nobody knows what it shows then.
    pub async fn unseen(&self, now: Timestamp) -> Result<(Unseen, Verdict), ReconcileError> {
        for provider in provider::ALL {
            // A subscription that was not shown before counts, whether the provider can be asked now or not.
            let asked = self.askable(provider).await;
            if let Err(error @ (KeyError::Wrong { .. } | KeyError::Provider(ProviderError::Key(_)))) = asked {
                return Err(error.into());
            }
        }
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let unseen = unseen::count(&mut conn, None).await?;
        let verdict = takings::weigh(&mut conn, u64::try_from(unseen.accounts).unwrap_or(0), now).await?;
        Ok((unseen, verdict))
    }

    /// Ends the subscriptions that the providers no longer show. Returns how many.
    ///
    /// # Errors
    /// When the database fails: those before stay ended.
    pub async fn end_unseen(&self, now: Timestamp) -> Result<u64, ReconcileError> {
        let mut ended = 0;
        for provider in provider::ALL {
            let mut after = String::new();
            loop {
                let page = {
                    let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                    unseen::page(&mut conn, provider, &after, BATCH).await?
                };
                let Some(last) = page.last() else { break };
                after.clone_from(&last.id);
                for id in &page {
                    ended += u64::from(self.end(provider, id, now).await?);
                }
            }
        }
        Ok(ended)
    }

    async fn end(&self, provider: Provider, id: &SubscriptionId, now: Timestamp) -> Result<bool, ReconcileError> {
        let observation = self.draw().await?;
        let known = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            subscriptions::find(&mut conn, id).await?
        };
        let Some(known) = known else { return Ok(false) };
        let over = Subscription { state: State::Ended { at: now }, before: None, ..known.subscription };
        let event = Event { facts: vec![Fact::Subscription(Box::new(over))], ..Event::default() };
        let asking = Asking { cause: CAUSE, provider, account: None, observation, now };
        Ok(self.learn(asking, &[&[event]]).await?.iter().any(|repaired| repaired.is_news))
    }
}
