//! An event is a hint: what it is about is asked for at its provider, before the transaction that applies it.
//!
//! No connection of the pool is held meanwhile. The number of a question is drawn before it is asked, and one question
//! at a time is asked about a customer in this process, so that of many events of one moment the first asks for all.

use cache::Sparing;
use entitlement::Timestamp;
use entitlement::binding::{self, Turn};
use entitlement::catalog::Provider;
use entitlement::event::{Event, Fact, Object};
use entitlement::subscription::SubscriptionId;
use tokio::sync::MutexGuard;

use super::effect::returned_payment;
use crate::component::Billing;
use crate::keys::Key;
use crate::provider::client::ProviderError;
use crate::provider::{self, Moments};
use crate::store::events::{self, Claimed};
use crate::store::{StoreError, foreign, links, money, subscriptions, unseen};

/// Most objects that are asked for because of one event.
const OBJECTS_MAX: usize = 8;

/// Whether there was anything to ask, and anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Question {
    /// Nobody could be asked.
    #[default]
    None,
    /// An answer that tells at least as much as the event was known already.
    Answered,
    /// Its customer is of no account here, as was answered not long ago.
    Foreign,
    Asked,
}

/// What the provider answered.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub question: Question,
    pub answers: Vec<Event>,
    /// The number that was drawn before asking.
    pub observation: i64,
    /// Of an event of a customer that is of no account: that customer.
    pub customer: Option<String>,
    /// The customer that was asked for, as nothing else says whose it is.
    pub stranger: Option<String>,
    /// Why it could not be asked, when it should have been.
    pub trouble: Option<String>,
    /// The key with which it was, or would have been.
    pub key: Key,
}

impl Asked {
    /// The event says enough to go on with; it is asked about again later.
    fn fails(&mut self, claimed: &Claimed, object: &str, error: &ProviderError) {
        let provider = claimed.provider;
        // Each event meets the same fault, for as long as it lasts.
        static FAILED: Sparing = Sparing::new();
        if let Some(untold) = FAILED.tells(&format_args!("{provider}: {error}")) {
            let (event_id, variable) = (&claimed.event_id, provider::key_variable(provider));
            match error {
                // It is ours to repair.
                ProviderError::Key | ProviderError::Right(_) | ProviderError::Settings(_) => {
                    tracing::error!(%provider, event_id, object, variable, %error, untold, "the provider cannot be asked: `variable` has to hold a key that it accepts and that has the rights");
                }
                _ => {
                    tracing::warn!(%provider, event_id, object, %error, untold, "the provider could not be asked: the event counts as it was told, and is asked about again");
                }
            }
        }
        self.trouble = Some(error.to_string());
    }
}

impl Billing {
    /// Asks for what an event is about, if somebody can be asked; what its provider does not have is no answer. The
    /// guard is to be held until the answer is committed.
    pub(super) async fn ask(&self, id: i64, now: Timestamp) -> Result<(Asked, Option<MutexGuard<'_, ()>>), StoreError> {
        let Some(claimed) = self.to_ask_about(id).await? else { return Ok((Asked::default(), None)) };
        let key = self.key(claimed.provider).await?;
        // A key of another mode or account is not asked with.
        let fits = binding::turn(claimed.livemode, key.verdict(), false) == Turn::Apply;
        let unasked = |key: Key| Asked { key, ..Asked::default() };
        let Ok(event) = self.read(&claimed) else { return Ok((unasked(key), None)) };
        let topic = event.customer.as_deref().or(event.objects.first().map(Object::id)).filter(|_| fits);
        let Some(topic) = topic else { return Ok((unasked(key), None)) };
        let guard = self.shared().asking.lock(claimed.provider, topic).await;
        if let (Some(customer), false) =
            (self.stranger_of(claimed.provider, &event, now).await?, claimed.body.is_empty())
        {
            let customer = Some(customer);
            return Ok((Asked { question: Question::Foreign, customer, key, ..Asked::default() }, Some(guard)));
        }
        let Some(observation) = self.draw_unless_answered(&claimed, &event.objects).await? else {
            return Ok((Asked { question: Question::Answered, key, ..Asked::default() }, Some(guard)));
        };
        let mut asked = Asked { question: Question::Asked, observation, key, ..Asked::default() };
        if let Key::Unknown(error) = &asked.key {
            let error = error.clone();
            asked.fails(&claimed, topic, &error);
            return Ok((asked, Some(guard)));
        }
        let (provider, providers) = (claimed.provider, self.providers());
        let moments = Moments { at: event.at.unwrap_or(now), now };
        for object in event.objects.iter().take(OBJECTS_MAX) {
            let looked = match object {
                Object::Customer(id) if claimed.body.is_empty() => {
                    provider::everything_of(&providers, provider, id, moments).await
                }
                object => provider::look(&providers, provider, object, moments).await,
            };
            match looked {
                Ok(answers) if answers.is_empty() => self.note_unseen(provider, object, observation, now).await?,
                Ok(answers) => asked.answers.extend(answers),
                Err(error) => asked.fails(&claimed, object.id(), &error),
            }
        }
        if asked.trouble.is_none()
            && let Some(customer) = self.unplaced(provider, &event, (&asked.answers, now)).await?
        {
            // The last one who could say whose it is.
            match provider::look(&providers, provider, &Object::Customer(customer.clone()), moments).await {
                Ok(answers) => {
                    asked.answers.splice(0..0, answers);
                    asked.stranger = Some(customer);
                }
                Err(error) => asked.fails(&claimed, &customer, &error),
            }
        }
        Ok((asked, Some(guard)))
    }

    /// The customer of an event, where that is of no account here, as its provider said not long ago, and the event names none itself.
    pub(crate) async fn stranger_of(
        &self,
        provider: Provider,
        event: &Event,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        if event.claim.is_some() {
            return Ok(None);
        }
        let mut conn = self.pool().acquire().await?;
        let customer = match (&event.customer, event.facts.iter().find_map(returned_payment)) {
            (Some(customer), _) => Some(customer.clone()),
            // A refund or a dispute names its payment alone.
            (None, Some(payment)) => money::customer_of(&mut conn, provider, payment).await?,
            (None, None) => None,
        };
        let Some(customer) = customer else { return Ok(None) };
        Ok(foreign::is_known(&mut conn, provider, &customer, now).await?.then_some(customer))
    }

    /// The customer of a subscription, or of money, that is of no account, when neither the event nor an answer names one; and the
    /// customer of a checkout that is the first to name it, as it may be another account's that has bought for this one. None that was
    /// asked for not long ago.
    async fn unplaced(
        &self,
        provider: Provider,
        event: &Event,
        (answers, now): (&[Event], Timestamp),
    ) -> Result<Option<String>, StoreError> {
        let told = || std::iter::once(event).chain(answers);
        let is_of_purchase = |fact: &Fact| matches!(fact, Fact::Linked { subscription: Some(_) });
        let purchase = told().find(|event| event.facts.iter().any(is_of_purchase));
        if let Some(customer) = purchase.and_then(|event| event.customer.clone()) {
            let mut conn = self.pool().acquire().await?;
            let is_known = links::account_of_customer(&mut conn, provider, &customer).await?.is_some();
            return Ok((!is_known).then_some(customer));
        }
        if told().any(|event| event.claim.is_some() || event.objects.iter().any(|it| matches!(it, Object::Customer(_))))
        {
            return Ok(None);
        }
        let seen = told().flat_map(|event| &event.facts).find_map(|fact| match fact {
            Fact::Subscription(seen) => Some(seen),
            _ => None,
        });
        let mut conn = self.pool().acquire().await?;
        let (customer, account) = match seen {
            Some(seen) => {
                let id = SubscriptionId { provider, id: seen.id.id.clone() };
                (seen.customer.clone(), links::find_subscription(&mut conn, &id, &seen.customer, None).await?.0)
            }
            None => {
                let Some(customer) = told().find_map(|event| event.customer.clone()) else { return Ok(None) };
                let account = links::account_of_customer(&mut conn, provider, &customer).await?;
                (customer, account)
            }
        };
        let is_asked_for = account.is_none() && !foreign::is_known(&mut conn, provider, &customer, now).await?;
        Ok(is_asked_for.then_some(customer))
    }

    /// The provider has no such object: what the event says of it counts, and a person is told.
    async fn note_unseen(
        &self,
        provider: Provider,
        object: &Object,
        observation: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tracing::warn!(%provider, object = object.id(), "the provider has no such object: what the event says of it counts");
        let Object::Subscription(id) = object else { return Ok(()) };
        let id = SubscriptionId { provider, id: id.clone() };
        let mut conn = self.pool().acquire().await?;
        unseen::mark(&mut conn, &id, observation, now).await?;
        Ok(())
    }

    /// The event, when its provider can be asked at all.
    async fn to_ask_about(&self, id: i64) -> Result<Option<Claimed>, StoreError> {
        let providers = self.providers();
        if !provider::ALL.into_iter().any(|provider| provider::can_ask(&providers, provider)) {
            return Ok(None);
        }
        let mut conn = self.pool().acquire().await?;
        let claimed = events::peek(&mut conn, id).await?;
        Ok(claimed.filter(|claimed| provider::can_ask(&providers, claimed.provider)))
    }

    /// A number for the question; `None` when there is nothing to ask, or an answer that tells at least as much as the
    /// event is known already.
    async fn draw_unless_answered(&self, claimed: &Claimed, objects: &[Object]) -> Result<Option<i64>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let mut all_answered = true;
        for object in objects {
            all_answered &= match object {
                Object::Subscription(id) => {
                    let id = SubscriptionId { provider: claimed.provider, id: id.clone() };
                    subscriptions::asked_since(&mut conn, &id, claimed.arrival).await?
                }
                _ => false,
            };
        }
        if all_answered {
            return Ok(None);
        }
        Ok(Some(subscriptions::next_observation(&mut conn).await?))
    }
}

/// One question at a time about each customer: a fixed number of locks, shared by chance.
#[derive(Debug)]
pub(crate) struct Asking {
    locks: Vec<tokio::sync::Mutex<()>>,
}

/// Far more than questions that are open at once.
const LOCKS: usize = 256;

impl Default for Asking {
    fn default() -> Self {
        Self { locks: (0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect() }
    }
}

impl Asking {
    pub async fn lock(&self, provider: Provider, topic: &str) -> MutexGuard<'_, ()> {
        let mut hasher = siphasher::sip::SipHasher13::new();
        std::hash::Hash::hash(&(provider, topic), &mut hasher);
        let place = usize::try_from(std::hash::Hasher::finish(&hasher) % LOCKS as u64).unwrap_or(0);
        self.locks[place].lock().await
    }
}
