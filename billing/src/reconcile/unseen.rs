//! Subscriptions that their provider no longer shows are ended by a person, who was told how many they are, after the
//! provider was asked about each once more.
//!
//! A person's end is not the provider's: the subscription is written off, and comes back when its provider tells of it again.

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::{Event, Fact, Object};
use entitlement::subscription::{State, Subscription, SubscriptionId};

use super::ReconcileError;
use super::compare::{self, Asking, Taking};
use super::learn::{Learnt, Told};
use crate::apply::effect::Look;
use crate::component::Billing;
use crate::keys::Askable;
use crate::provider::{self, Moments};
use crate::store::unseen::{self, Unseen};
use crate::store::{StoreError, subscriptions};
use crate::takings::{self, Verdict};

/// Rows that are read at once.
const BATCH: i64 = 100;

/// Who ends it, in the audit log.
const CAUSE: &str = "operator";

/// Subscriptions that run here and of which their providers answered just now that they do not have them.
#[derive(Clone, Debug)]
pub struct Absent {
    subscriptions: Vec<SubscriptionId>,
    /// How many they are.
    pub unseen: Unseen,
    /// From how many accounts their end may take access.
    pub verdict: Verdict,
    /// Subscriptions that the providers show after all: what they show counts.
    pub shown: u64,
}

impl Billing {
    /// Asks the providers once more about each subscription that runs here and that they no longer showed. What they show
    /// counts; the others are answered.
    ///
    /// # Errors
    /// When the database fails, a provider refuses the key, or does not answer: nobody knows what it shows then.
    pub async fn absent(&self, now: Timestamp) -> Result<Absent, ReconcileError> {
        let (mut absent, mut shown) = (Vec::new(), 0);
        for provider in provider::ALL {
            let askable = self.askable(provider).await?;
            let mut after = String::new();
            loop {
                let page = {
                    let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                    unseen::page(&mut conn, provider, &after, BATCH).await?
                };
                let Some(last) = page.last() else { break };
                if !provider::can_ask(&askable.providers, provider) {
                    return Err(ReconcileError::NotAsked { provider });
                }
                after.clone_from(&last.id);
                for id in page {
                    match self.is_shown(&askable, &id, now).await? {
                        true => shown += 1,
                        false => absent.push(id),
                    }
                }
            }
        }
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let accounts = subscriptions::accounts_of(&mut conn, &absent).await?.len();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let unseen = Unseen { subscriptions: count(absent.len()), accounts: count(accounts) };
        let verdict = takings::weigh(&mut conn, u64::try_from(accounts).unwrap_or(u64::MAX), now).await?;
        Ok(Absent { subscriptions: absent, unseen, verdict, shown })
    }

    /// Asks about one, and takes in what the provider shows. What that takes access with waits for the next comparison.
    async fn is_shown(&self, askable: &Askable, id: &SubscriptionId, now: Timestamp) -> Result<bool, ReconcileError> {
        let (provider, account, observation) = (id.provider, askable.account.as_deref(), self.draw().await?);
        let object = Object::Subscription(id.id.clone());
        let answers = provider::look(&askable.providers, provider, &object, Moments { at: now, now }).await?;
        if answers.is_empty() {
            return Ok(false);
        }
        let asking = Asking { cause: compare::CAUSE, provider, account, observation, look: Look::First, now };
        if let Learnt::WouldTake(accounts) = self.learn_as(Taking::Waits, asking, &[&answers]).await? {
            self.hold(asking, Some(&object), &accounts).await?;
        }
        Ok(true)
    }

    /// Ends the subscriptions that the providers do not have. Returns how many. The accounts count for 24 hours as those from
    /// which access was taken, unless a person was told that they are many.
    ///
    /// # Errors
    /// When the database fails: those before stay ended.
    pub async fn end_unseen(&self, absent: &Absent, now: Timestamp) -> Result<u64, ReconcileError> {
        let told = if absent.verdict.is_many() { Told::APerson } else { Told::Nobody };
        let mut ended = 0;
        for id in &absent.subscriptions {
            ended += u64::from(self.end(id.provider, id, told, now).await?);
        }
        Ok(ended)
    }

    async fn end(
        &self,
        provider: Provider,
        id: &SubscriptionId,
        told: Told,
        now: Timestamp,
    ) -> Result<bool, ReconcileError> {
        let observation = self.draw().await?;
        let known = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            // Its provider may have told of it while the person was asked.
            if !unseen::is_marked(&mut conn, id).await? {
                return Ok(false);
            }
            subscriptions::find(&mut conn, id).await?
        };
        let Some(known) = known else { return Ok(false) };
        let over = Subscription { state: State::WrittenOff { at: now }, before: None, ..known.subscription };
        let event = Event { facts: vec![Fact::Subscription(Box::new(over))], ..Event::default() };
        let asking = Asking { cause: CAUSE, provider, account: None, observation, look: Look::First, now };
        Ok(self.learn_taking(asking, &[event], told).await?.iter().any(|repaired| repaired.is_news))
    }
}
