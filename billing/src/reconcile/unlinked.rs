//! Subscriptions whose account is not known: their checkouts are asked for it, and those that none names are listed.

use cache::Sparing;
use entitlement::event::{Event, Fact};
use serde::Serialize;

use super::compare::{Asking, Differing, Taking};
use super::learn::Learnt;
use super::{ReconcileError, Report};
use crate::apply::may_run;
use crate::component::Billing;
use crate::provider::{self, List, Moments};

/// How many a report lists.
const SHOWN: usize = 100;

/// A subscription whose account is not named anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnlinkedSubscription {
    pub customer: String,
    pub subscription: String,
}

impl Billing {
    /// Learns a subscription whose customer is not linked by the checkout that bought it; one that runs and that no checkout names is counted
    /// as unlinked. Answers whether anything was learnt.
    pub(super) async fn link_by_checkout(
        &self,
        asking: Asking<'_>,
        one: &Differing,
        (customer, taking): (&str, Taking),
        report: &mut Report,
    ) -> Result<bool, ReconcileError> {
        let facts = one.events.iter().flat_map(|event| &event.facts);
        let mut running = facts.filter_map(|fact| match fact {
            Fact::Subscription(seen) if may_run(seen) => Some(seen.id.id.clone()),
            _ => None,
        });
        let Some(subscription) = running.next() else { return Ok(false) };
        let checkouts = self.checkouts_of(asking, &subscription).await?;
        if !checkouts.is_empty() {
            let events: Vec<Event> = checkouts.into_iter().chain(one.events.iter().cloned()).collect();
            match self.learn_as(taking, asking, &[&events]).await? {
                Learnt::Repaired(repaired) if repaired.iter().all(|one| one.waits_for.is_none()) => {
                    return Ok(repaired.iter().any(|one| one.is_news));
                }
                Learnt::Repaired(_) => {}
                Learnt::WouldTake(accounts) => {
                    self.hold(asking, one.object.as_ref(), &accounts).await?;
                    return Ok(false);
                }
            }
        }
        report.unlinked += 1;
        static UNLINKED: Sparing = Sparing::new();
        if let Some(untold) = UNLINKED.tells(&asking.provider) {
            tracing::warn!(provider = %asking.provider, customer, untold, "no account is known of a customer that has a subscription: `tollgate link` names it");
        }
        if report.unlinked_subscriptions.len() < SHOWN {
            report.unlinked_subscriptions.push(UnlinkedSubscription { customer: customer.to_owned(), subscription });
        }
        Ok(false)
    }

    /// The events of a subscription's checkouts that name an account.
    async fn checkouts_of(&self, asking: Asking<'_>, subscription: &str) -> Result<Vec<Event>, ReconcileError> {
        let askable = self.askable(asking.provider).await?;
        let moments = Moments { at: asking.now, now: asking.now };
        let list = List::Checkouts(Some(subscription));
        let page = provider::page(&askable.providers, asking.provider, list, None, moments).await?;
        let events = page.items.into_iter().flat_map(|listed| listed.events);
        Ok(events.filter(|event| event.claim.is_some()).collect())
    }
}
