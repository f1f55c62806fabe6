//! Back from paying: what a checkout bought is read from its provider and applied at once, however late its webhook is.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::Object;
use entitlement::subscription::SubscriptionId;

use crate::Billing;
use crate::apply::effect::Look;
use crate::problem::Problem;
use crate::provider::{self, Moments};
use crate::reconcile::{Asking, ReconcileError};
use crate::store::{StoreError, checkouts};

/// Who changes the account, in the audit log.
const CAUSE: &str = "checkout";

/// Asks how the account's last checkout stands and applies that. Nothing happens when there is none, or nobody can be
/// asked.
///
/// # Errors
/// 502 when the provider does not answer, 503 when the database fails.
pub async fn confirm(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<(), Problem> {
    let mut conn = billing.pool().acquire().await.map_err(StoreError::from)?;
    let session = checkouts::session_of(&mut conn, account).await?;
    drop(conn);
    let Some(session) = session else { return Ok(()) };
    let (askable, account_id) = (billing.askable(session.provider).await?, account.as_str());
    let (account, observation) = (askable.account.as_deref(), billing.draw().await?);
    let asking = Asking { cause: CAUSE, provider: session.provider, account, observation, look: Look::First, now };
    let object = Object::Checkout(session.id);
    let moments = Moments { at: now, now };
    let answers = provider::look(&askable.providers, session.provider, &object, moments).await?;
    if answers.is_empty() {
        return Ok(());
    }
    match billing.learn(asking, &[&answers]).await {
        Ok(_) => Ok(()),
        Err(ReconcileError::Store(error)) => Err(error.into()),
        Err(ReconcileError::Provider(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(account = account_id, %error, "what a checkout bought could not be applied: its webhook tells it");
            Err(Problem::interrupted())
        }
    }
}

/// The price that the account's last checkout sells, if it is this one; nothing when that cannot be said now.
pub async fn bought(billing: &Billing, account: &AccountId, session: Option<&str>) -> Option<(Provider, String)> {
    let mut conn = billing.pool().acquire().await.ok()?;
    let last = checkouts::session_of(&mut conn, account).await.ok()??;
    (session == Some(last.id.as_str())).then_some((last.provider, last.price))
}

/// Learns how a subscription stands now: the provider has just been told to change it, and its webhook takes a while. What fails here is
/// told by that.
pub async fn observe(billing: &Billing, subscription: &SubscriptionId) {
    if let Err(problem) = observed(billing, subscription).await {
        tracing::warn!(
            account = crate::caller::account(),
            provider = %subscription.provider,
            subscription = subscription.id,
            code = problem.code(),
            "a change was made at the provider and could not be read back: its webhook tells it"
        );
    }
}

/// The same for those to whom the answer matters.
///
/// # Errors
/// 502 when the provider does not answer, 503 when its key is not used or the database fails.
pub(crate) async fn observed(billing: &Billing, subscription: &SubscriptionId) -> Result<(), Problem> {
    let provider = subscription.provider;
    let askable = billing.askable(provider).await?;
    let (account, observation, now) = (askable.account.as_deref(), billing.draw().await?, crate::clock::now());
    let object = Object::Subscription(subscription.id.clone());
    let answers = provider::look(&askable.providers, provider, &object, Moments { at: now, now }).await?;
    if answers.is_empty() {
        return Ok(());
    }
    let asking = Asking { cause: CAUSE, provider, account, observation, look: Look::First, now };
    match billing.learn(asking, &[&answers]).await {
        Ok(_) => Ok(()),
        Err(ReconcileError::Store(error)) => Err(error.into()),
        Err(ReconcileError::Provider(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(account = crate::caller::account(), subscription = subscription.id, %error, "how a subscription stands after a change could not be applied: its webhook tells it");
            Err(Problem::interrupted())
        }
    }
}
