//! The best name for each customer's account, and the outcome: the whole of a provider's customers, as far as an import needs them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Fact};

use super::{Contradiction, ImportedFrom, Unlinked};
use crate::apply::may_run;
use crate::provider::List;
use crate::provider::client::Listed;

/// The object that names a customer's account, the best first: of two checkouts the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Stated(Timestamp),
    Checkout,
    Customer,
    Subscription,
}

#[derive(Debug, Default)]
struct Named {
    /// The account that it was before.
    owner: Option<AccountId>,
    /// The best name, and the best that names another account.
    best: Option<(Name, AccountId)>,
    other: Option<(Name, AccountId)>,
    /// Its subscriptions that run.
    running: u32,
}

/// All customers that were read.
#[derive(Debug, Default)]
pub struct Names {
    customers: BTreeMap<String, Named>,
    /// Customers of accounts that were erased.
    erased: BTreeSet<String>,
}

impl Names {
    pub fn customers(&self) -> impl Iterator<Item = &str> {
        self.customers.keys().map(String::as_str)
    }

    /// Notes customers that are left out where no account has them.
    pub fn leave_out(&mut self, erased: BTreeSet<String>) {
        self.erased.extend(erased);
    }

    /// Notes which customers are linked already.
    pub fn know(&mut self, owners: BTreeMap<String, AccountId>) {
        for (customer, account) in owners {
            if let Some(named) = self.customers.get_mut(&customer) {
                named.owner = Some(account);
            }
        }
    }

    /// Customers whose own metadata is the best that names them, and that are not linked yet.
    pub fn by_themselves(&self) -> impl Iterator<Item = (&String, &AccountId)> {
        self.customers.iter().filter_map(|(customer, named)| match (&named.owner, &named.best) {
            (None, Some((Name::Customer, account))) => Some((customer, account)),
            _ => None,
        })
    }

    /// Takes in what a page says.
    pub fn read(&mut self, list: List<'_>, items: &[Listed]) {
        for event in items.iter().flat_map(|listed| &listed.events) {
            let runs = event.facts.iter().any(|fact| matches!(fact, Fact::Subscription(seen) if may_run(seen)));
            let Some(customer) = event.customer.as_ref() else { continue };
            // Of a customer that was deleted, only what names it matters.
            if list != List::Customers && event.claim.is_none() && !runs {
                continue;
            }
            let named = self.customers.entry(customer.clone()).or_default();
            named.running += u32::from(runs);
            if let Some(claim) = &event.claim {
                named.name(name(list, claim), claim.account());
            }
        }
    }

    /// Says what became of each customer; `linked` are those that are linked by now, unless nothing was done.
    pub fn settle(self, linked: Option<BTreeMap<String, AccountId>>, report: &mut ImportedFrom) {
        for (customer, named) in self.customers {
            let Named { owner, best, other, running } = named;
            let account = match &linked {
                Some(linked) => linked.get(&customer).cloned(),
                None => owner.clone().or_else(|| best.as_ref().map(|(_, account)| account.clone())),
            };
            let Some(account) = account else {
                if self.erased.contains(&customer) {
                    continue;
                }
                report.unlinked_running += u64::from(running > 0);
                report.unlinked.push(Unlinked { customer, running });
                continue;
            };
            report.known += u64::from(owner.is_some());
            report.linked += u64::from(owner.is_none());
            // A subscription may be of another account than its customer.
            let names = [best, other].into_iter().flatten().filter(|(name, _)| *name < Name::Subscription);
            if let Some((_, named)) = names.into_iter().find(|(_, named)| *named != account) {
                report.contradictions.push(Contradiction { customer, account, named });
            }
        }
        report.unlinked.sort_by_key(|unlinked| Reverse(unlinked.running));
    }
}

impl Named {
    fn name(&mut self, name: Name, account: &AccountId) {
        let named = (name, account.clone());
        match &self.best {
            Some((best, known)) if *best <= name => {
                if known != account && self.other.as_ref().is_none_or(|(other, _)| name < *other) {
                    self.other = Some(named);
                }
            }
            _ => {
                if let Some(best) = self.best.replace(named).filter(|(_, known)| known != account) {
                    self.other = Some(best);
                }
            }
        }
    }
}

fn name(list: List<'_>, claim: &Claim) -> Name {
    match (list, claim) {
        (_, Claim::Reference { stated_at, .. }) => Name::Stated(*stated_at),
        (List::Customers, Claim::Metadata(_)) => Name::Customer,
        (List::Checkouts(_), Claim::Metadata(_)) => Name::Checkout,
        (_, Claim::Metadata(_)) => Name::Subscription,
    }
}
