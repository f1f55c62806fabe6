//! The best name for each customer's account, and the outcome: the whole of a provider's customers, as far as an import needs them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::event::{Claim, Event, Fact};

use super::twice::Paying;
use super::{Contradiction, ImportedFrom, Unlinked};
use crate::apply::{is_paid_for, may_run};
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
    /// A subscription that runs and names another account than the best name does.
    elsewhere: Option<(String, AccountId)>,
    /// Whether it is in the list of customers: one that was deleted is not.
    is_listed: bool,
}

/// All customers that were read.
#[derive(Debug, Default)]
pub struct Names {
    customers: BTreeMap<String, Named>,
    /// Customers of accounts that were erased.
    erased: BTreeSet<String>,
    /// The accounts of subscriptions, by the checkouts that bought them.
    bought: BTreeMap<String, AccountId>,
    /// Subscriptions that are paid for, each with its customer and the account that its metadata names.
    paid: Vec<(Paying, String, Option<AccountId>)>,
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
            self.note_subscriptions(event);
            let running = event.facts.iter().find_map(|fact| match fact {
                Fact::Subscription(seen) if may_run(seen) => Some(&seen.id.id),
                _ => None,
            });
            let Some(customer) = event.customer.as_ref() else { continue };
            // Of a customer that was deleted, only what names it matters.
            if list != List::Customers && event.claim.is_none() && running.is_none() {
                continue;
            }
            let named = self.customers.entry(customer.clone()).or_default();
            named.is_listed |= list == List::Customers;
            named.running += u32::from(running.is_some());
            if let Some(claim) = &event.claim {
                named.name(name(list, claim), claim.account());
                let is_other = named.best.as_ref().is_some_and(|(_, best)| best != claim.account());
                if let Some(id) = running.filter(|_| is_other && named.elsewhere.is_none()) {
                    named.elsewhere = Some((id.clone(), claim.account().clone()));
                }
            }
        }
    }

    fn note_subscriptions(&mut self, event: &Event) {
        let claim = event.claim.as_ref();
        for fact in &event.facts {
            match (fact, claim) {
                (Fact::Linked { subscription: Some(id) }, Some(claim)) => {
                    self.bought.entry(id.clone()).or_insert_with(|| claim.account().clone());
                }
                (Fact::Subscription(seen), _) if is_paid_for(seen) => {
                    let paying = Paying { subscription: seen.id.id.clone(), prices: seen.prices.clone() };
                    let named = claim.map(|claim| claim.account().clone());
                    self.paid.push((paying, seen.customer.clone(), named));
                }
                _ => {}
            }
        }
    }

    /// The subscriptions that are paid for, with the account of each, as far as it is known: that of its checkout, else the one that it
    /// names, else its customer's.
    pub fn paying(&self) -> impl Iterator<Item = (AccountId, &Paying)> {
        self.paid.iter().filter_map(|(paying, customer, named)| {
            let bought = self.bought.get(&paying.subscription).or(named.as_ref());
            let account = bought.or_else(|| self.customers.get(customer)?.account())?;
            Some((account.clone(), paying))
        })
    }

    /// Says what became of each customer; `linked` are those that are linked by now, unless nothing was done.
    pub fn settle(self, linked: Option<BTreeMap<String, AccountId>>, report: &mut ImportedFrom) {
        for (customer, named) in self.customers {
            // Of one that was deleted nothing is left to do, unless it came after the list was read.
            if !named.is_listed && named.running == 0 {
                continue;
            }
            report.customers += u64::from(!named.is_listed);
            let account = match &linked {
                Some(linked) => linked.get(&customer).cloned(),
                None => named.account().cloned(),
            };
            let Named { owner, best, other, running, elsewhere, .. } = named;
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
            let names = [best, other].into_iter().flatten().filter(|(name, _)| *name < Name::Subscription);
            let told = names.into_iter().find(|(_, named)| *named != account).map(|(_, named)| (named, None));
            let is_told =
                |other: &AccountId| *other == account || told.as_ref().is_some_and(|(named, _)| named == other);
            let by_subscription = elsewhere.filter(|(_, named)| !is_told(named)).map(|(id, named)| (named, Some(id)));
            report.contradictions.extend(told.into_iter().chain(by_subscription).map(|(named, subscription)| {
                Contradiction { customer: customer.clone(), account: account.clone(), named, subscription }
            }));
        }
        report.unlinked.sort_by_key(|unlinked| Reverse(unlinked.running));
    }
}

impl Named {
    /// The account that it is, or becomes.
    fn account(&self) -> Option<&AccountId> {
        self.owner.as_ref().or_else(|| self.best.as_ref().map(|(_, account)| account))
    }

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
