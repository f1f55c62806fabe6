//! Customers whose metadata names another account than a subscription of theirs does.

use cache::Sparing;
use entitlement::account::AccountId;
use entitlement::event::Fact;

use super::compare::Asking;
use super::import::Contradiction;
use super::{ReconcileError, Report};
use crate::apply::may_run;
use crate::component::Billing;
use crate::provider::client::Listed;
use crate::store::{StoreError, imports};

/// How many a report lists.
const SHOWN: usize = 100;

impl Billing {
    /// Reports listed subscriptions that run and name another account than their customers do. Each goes on counting for the account that it
    /// names.
    pub(super) async fn report_contradictions(
        &self,
        asking: Asking<'_>,
        mut contradicting: Vec<Listed>,
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        if contradicting.is_empty() || report.contradictions.len() >= SHOWN {
            return Ok(());
        }
        // Two ids of one account are no contradiction.
        self.settle(&mut contradicting).await?;
        let named: Vec<Contradiction> = contradicting.iter().filter_map(contradiction).collect();
        let customers: Vec<_> = named.iter().map(|one| (asking.provider, one.customer.as_str())).collect();
        let owners = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            imports::owners(&mut conn, &customers).await?
        };
        for one in named {
            let owner = owners.get(&(asking.provider, one.customer.clone())).cloned();
            let one = Contradiction { account: owner.unwrap_or(one.account), ..one };
            if one.account == one.named || report.contradictions.len() >= SHOWN {
                continue;
            }
            static TOLD: Sparing = Sparing::new();
            if let Some(untold) = TOLD.tells(&asking.provider) {
                let (provider, account, named) = (asking.provider, &one.account, &one.named);
                tracing::warn!(%provider, customer = one.customer, %account, %named, untold, "a customer and a subscription of it name two accounts: correct the metadata of one of them");
            }
            report.contradictions.push(one);
        }
        Ok(())
    }
}

/// The customers of a page of which customer and subscription name two accounts.
pub(super) fn contradicting(items: &[Listed]) -> Vec<Listed> {
    items.iter().filter(|listed| contradiction(listed).is_some()).cloned().collect()
}

/// The names in what is listed of a subscription, where there are two.
fn contradiction(listed: &Listed) -> Option<Contradiction> {
    let is_running = |fact: &Fact| matches!(fact, Fact::Subscription(seen) if may_run(seen));
    let is_of_one = |fact: &Fact| matches!(fact, Fact::Subscription(_));
    let claims = || listed.events.iter().filter_map(|event| Some((event, event.claim.as_ref()?.account())));
    let (own, named) = claims().find(|(event, _)| event.facts.iter().any(is_running))?;
    let by_customer = |account: &AccountId| account != named;
    let (_, account) = claims().find(|(event, account)| !event.facts.iter().any(is_of_one) && by_customer(account))?;
    Some(Contradiction {
        customer: own.customer.clone()?,
        account: account.clone(),
        named: named.clone(),
        subscription: Some(listed.id.clone()),
    })
}
