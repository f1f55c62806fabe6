//! Which account a customer of a provider is, by a person's word.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::Object;
use serde::Serialize;

use super::{OperatorError, check_no_pseudonym, check_not_moved};
use crate::clock;
use crate::component::Billing;
use crate::keys::KeyError;
use crate::provider::{self, Moments};
use crate::store::links::{self, Link, Linked, Placing};
use crate::store::{accounts, victims};

/// Who acts, in the audit log.
const CAUSE: &str = "operator";

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkedBy {
    /// The account whose the customer was; `None` when it was nobody's, or this one's.
    pub from: Option<AccountId>,
    /// Whether the cache knows already.
    pub published: bool,
}

impl Billing {
    /// The account that a customer is linked to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account_of(&self, provider: Provider, customer: &str) -> Result<Option<AccountId>, OperatorError> {
        let mut conn = self.pool().acquire().await?;
        Ok(links::account_of_customer(&mut conn, provider, customer).await?)
    }

    /// Whether the provider has a customer; `None` where there is no key to ask it with.
    ///
    /// # Errors
    /// When the key does not fit what is stored, or the provider does not answer.
    pub async fn has_customer(&self, provider: Provider, customer: &str) -> Result<Option<bool>, KeyError> {
        let askable = self.askable(provider).await?;
        if !provider::can_ask(&askable.providers, provider) {
            return Ok(None);
        }
        let (customer, now) = (Object::Customer(customer.to_owned()), clock::now());
        let answers = provider::look(&askable.providers, provider, &customer, Moments { at: now, now }).await?;
        Ok(Some(!answers.is_empty()))
    }

    /// Links a customer to an account. Its subscriptions go with it, but for those that a checkout bought for another account, and
    /// no checkout overrules it; events that waited for it go on.
    ///
    /// # Errors
    /// When the account goes by another id or is a pseudonym, or the database fails.
    pub async fn link_customer(
        &self,
        account: &AccountId,
        provider: Provider,
        customer: &str,
    ) -> Result<LinkedBy, OperatorError> {
        check_no_pseudonym(account)?;
        let now = clock::now();
        let from = victims::again(|| self.link_in_database((account, provider, customer), now)).await?;
        self.shared().event_due.notify_one();
        let accounts = from.iter().chain([account]).cloned().collect::<Vec<_>>();
        let published = self.publish_at_once(accounts, now).await;
        Ok(LinkedBy { from, published })
    }

    /// The account that had the customer before, if another one had.
    async fn link_in_database(
        &self,
        (account, provider, customer): (&AccountId, Provider, &str),
        now: Timestamp,
    ) -> Result<Option<AccountId>, OperatorError> {
        let mut tx = self.pool().begin().await?;
        links::lock(&mut tx, [(provider, customer)], Placing::Adds).await?;
        check_not_moved(&mut tx, account).await?;
        // One that was erased comes back by a person's word.
        accounts::ensure(&mut tx, account, now).await?;
        let link = Link { provider, customer, account, stated_at: None, cause: CAUSE };
        let from = match links::assign(&mut tx, link, now).await? {
            Linked::Moved { from } => Some(from),
            Linked::New | Linked::Same | Linked::Kept => None,
        };
        tx.commit().await?;
        Ok(from)
    }
}
