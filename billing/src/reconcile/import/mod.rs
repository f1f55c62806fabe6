//! Taking over what was sold before: every customer that names its account is linked, and what it has bought counts from then on.
//!
//! Each page is learnt like the answers of a comparison, so that live webhooks may come meanwhile, and an interrupted import goes on by being
//! run again. The checkouts come first, as they name a customer's account best; the subscriptions last, as they need their customers.

mod names;
mod twice;

use std::collections::{BTreeMap, BTreeSet};

use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::{Claim, Event, Fact};
use serde::Serialize;

use self::names::Names;
pub use self::twice::PaidTwice;
use super::ReconcileError;
use super::compare::{Asking, Differing, Taking};
use super::learn::Learnt;
use crate::apply::effect::{Look, gone};
use crate::apply::may_run;
use crate::clock;
use crate::component::Billing;
use crate::ops::Doing;
use crate::provider::client::Listed;
use crate::provider::{self, List, Moments};
use crate::store::erasure::ERASED;
use crate::store::{self, StoreError, imports};

/// The actor in the audit log.
const CAUSE: &str = "import";

/// Customers that are learnt, or looked for, at once.
const BATCH: usize = 100;

/// The provider that is imported from.
const PROVIDER: Provider = Provider::Stripe;

/// Where an import stopped.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {error}")]
pub struct ImportStopped {
    /// With the object at which the page begins.
    pub doing: String,
    pub error: ReconcileError,
}

/// A customer whose account is not the one, or not the only one, that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    pub customer: String,
    /// The account that it is, or becomes.
    pub account: AccountId,
    /// Another one that is named.
    pub named: AccountId,
    /// The subscription that names it, and counts for it; none: the customer or a checkout does.
    pub subscription: Option<String>,
}

/// A customer that stays without an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unlinked {
    pub customer: String,
    /// Its subscriptions that run.
    pub running: u32,
}

/// The result of an import, done or only shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportedFrom {
    pub customers: u64,
    pub checkouts: u64,
    pub subscriptions: u64,
    /// Subscriptions that run.
    pub running: u64,
    /// Customers that are linked by this import.
    pub linked: u64,
    /// Customers that were linked before.
    pub known: u64,
    /// Customers that stay without an account: those that pay first.
    pub unlinked: Vec<Unlinked>,
    /// How many of them have a subscription that runs.
    pub unlinked_running: u64,
    pub contradictions: Vec<Contradiction>,
    /// Accounts that pay for the same by more than one subscription.
    pub paid_twice: Vec<PaidTwice>,
    /// Prices that no tier and no add-on names, with how many subscriptions run at them.
    pub unknown_prices: BTreeMap<String, u64>,
    /// Objects that would take access from an account, and are left to a comparison.
    pub left: Vec<String>,
}

impl Billing {
    /// Reads all checkouts, customers and subscriptions, and links and learns what they say, unless it is only to be shown. `progress` is told
    /// after each page.
    ///
    /// # Errors
    /// When there is no key or it does not fit, the provider does not answer, or the database fails: what was learnt stays.
    pub async fn import_stripe(
        &self,
        doing: Doing,
        mut progress: impl FnMut(&ImportedFrom) + Send,
    ) -> Result<ImportedFrom, ImportStopped> {
        let mut report = ImportedFrom::default();
        let mut names = Names::default();
        if !provider::can_ask(&self.providers(), PROVIDER) {
            let error = ReconcileError::NobodyToAsk;
            return Err(ImportStopped { doing: "asking Stripe".to_owned(), error });
        }
        let mut see = |report: &ImportedFrom| progress(report);
        self.import_all(List::Customers, doing, (&mut names, &mut report), &mut see).await?;
        let stopped =
            |error: StoreError| ImportStopped { doing: "looking for accounts".to_owned(), error: error.into() };
        let owners = self.owners(&names).await.map_err(stopped)?;
        names.know(owners);
        self.import_all(List::Checkouts(None), doing, (&mut names, &mut report), &mut see).await?;
        if doing == Doing::Apply {
            self.link_named(&names, &mut report).await?;
        }
        self.import_all(List::Subscriptions(None), doing, (&mut names, &mut report), &mut see).await?;
        let linked = match doing {
            Doing::Show => None,
            Doing::Apply => Some(self.owners(&names).await.map_err(stopped)?),
        };
        let mut conn = self.pool().acquire().await.map_err(|error| stopped(error.into()))?;
        let rules = self.rules(&mut conn).await.map_err(stopped)?;
        report.paid_twice = twice::find(names.paying(), &rules);
        names.settle(linked, &mut report);
        report.unknown_prices.retain(|price, _| rules.catalog.sold(PROVIDER, price).is_none());
        Ok(report)
    }

    /// All pages of a list.
    async fn import_all(
        &self,
        list: List<'_>,
        doing: Doing,
        (names, report): (&mut Names, &mut ImportedFrom),
        progress: &mut (impl FnMut(&ImportedFrom) + Send),
    ) -> Result<(), ImportStopped> {
        let mut after = None;
        loop {
            let page = self.import_page(list, doing, after.as_deref(), (names, report)).await;
            after = page.map_err(|error| ImportStopped { doing: told(list, after.as_deref()), error })?;
            progress(report);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn import_page(
        &self,
        list: List<'_>,
        doing: Doing,
        after: Option<&str>,
        (names, report): (&mut Names, &mut ImportedFrom),
    ) -> Result<Option<String>, ReconcileError> {
        let askable = self.askable(PROVIDER).await?;
        let account = askable.account.as_deref();
        let now = clock::now();
        // Checkouts come first, and say for which account each is.
        let look = Look::Second;
        let asking = Asking { cause: CAUSE, provider: PROVIDER, account, observation: self.draw().await?, look, now };
        let mut page = provider::page(&askable.providers, PROVIDER, list, after, Moments { at: now, now }).await?;
        names.leave_out(self.settle(&mut page.items).await?);
        report.read(list, &page.items);
        names.read(list, &page.items);
        if doing == Doing::Apply && list != List::Customers {
            let news: Vec<(String, Vec<Event>)> = match list {
                List::Subscriptions(_) => {
                    self.differing(asking, page.items).await?.into_iter().map(Differing::named).collect()
                }
                _ => page.items.into_iter().map(|listed| (listed.id, listed.events)).collect(),
            };
            self.adopt(asking, &news, report).await?;
        }
        Ok(page.next)
    }

    /// Takes out what was erased, and gives accounts that were moved their present id. Returns the customers of what was erased.
    pub(super) async fn settle(&self, items: &mut [Listed]) -> Result<BTreeSet<String>, StoreError> {
        let mut names = BTreeSet::new();
        let events = items.iter().flat_map(|listed| &listed.events);
        events.for_each(|event| gone::names_of(PROVIDER, event, &mut names));
        let mut conn = self.pool().acquire().await?;
        let gone = store::gone::find(&mut conn, &names).await?;
        let mut erased = BTreeSet::new();
        for event in items.iter_mut().flat_map(|listed| &mut listed.events) {
            let customer = event.customer.clone();
            gone::settle_one(PROVIDER, event, &gone);
            erased.extend(customer.filter(|_| event.nothing == ERASED));
        }
        Ok(erased)
    }

    /// Links the customers that name their account themselves, and that are not linked yet.
    async fn link_named(&self, names: &Names, report: &mut ImportedFrom) -> Result<(), ImportStopped> {
        let news: Vec<(String, Vec<Event>)> = names
            .by_themselves()
            .map(|(customer, account)| {
                let event = Event {
                    customer: Some(customer.clone()),
                    claim: Some(Claim::Metadata(account.clone())),
                    facts: vec![Fact::Linked { subscription: None }],
                    ..Event::default()
                };
                (customer.clone(), vec![event])
            })
            .collect();
        for batch in news.chunks(BATCH) {
            let adopted = async {
                let (observation, now) = (self.draw().await?, clock::now());
                let look = Look::Second;
                let asking = Asking { cause: CAUSE, provider: PROVIDER, account: None, observation, look, now };
                self.adopt(asking, batch, report).await
            };
            let at = batch.first().map_or("", |(customer, _)| customer);
            adopted
                .await
                .map_err(|error| ImportStopped { doing: format!("linking the customers from {at} on"), error })?;
        }
        Ok(())
    }

    /// Learns what objects say: all of them in one transaction; when that fails, or would take access, each by itself.
    async fn adopt(
        &self,
        asking: Asking<'_>,
        news: &[(String, Vec<Event>)],
        report: &mut ImportedFrom,
    ) -> Result<(), ReconcileError> {
        let events: Vec<&[Event]> = news.iter().map(|(_, events)| events.as_slice()).collect();
        match self.learn_as(Taking::Waits, asking, &events).await {
            Ok(Learnt::Repaired(_)) => Ok(()),
            Ok(Learnt::WouldTake(_)) | Err(_) if news.len() > 1 => {
                for one in news {
                    Box::pin(self.adopt(asking, std::slice::from_ref(one), report)).await?;
                }
                Ok(())
            }
            Ok(Learnt::WouldTake(_)) => {
                report.left.extend(news.iter().map(|(id, _)| id.clone()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The accounts of the customers that were read, of those that are linked.
    async fn owners(&self, names: &Names) -> Result<BTreeMap<String, AccountId>, StoreError> {
        let customers: Vec<&str> = names.customers().collect();
        let mut owners = BTreeMap::new();
        for batch in customers.chunks(BATCH * 5) {
            let asked: Vec<(Provider, &str)> = batch.iter().map(|customer| (PROVIDER, *customer)).collect();
            let mut conn = self.pool().acquire().await?;
            let found = imports::owners(&mut conn, &asked).await?;
            owners.extend(found.into_iter().map(|((_, customer), account)| (customer, account)));
        }
        Ok(owners)
    }
}

impl ImportedFrom {
    fn read(&mut self, list: List<'_>, items: &[Listed]) {
        let count = items.len() as u64;
        match list {
            List::Customers => self.customers += count,
            List::Checkouts(_) => self.checkouts += count,
            _ => {
                self.subscriptions += count;
                let facts = items.iter().flat_map(|listed| &listed.events).flat_map(|event| &event.facts);
                for fact in facts {
                    if let Fact::Subscription(seen) = fact
                        && may_run(seen)
                    {
                        self.running += 1;
                        for price in &seen.prices {
                            *self.unknown_prices.entry(price.clone()).or_default() += 1;
                        }
                    }
                }
            }
        }
    }
}

/// A list, and the object after which the page begins that could not be read.
fn told(list: List<'_>, after: Option<&str>) -> String {
    let what = match list {
        List::Customers => "customers",
        List::Checkouts(_) => "checkouts",
        _ => "subscriptions",
    };
    match after {
        Some(after) => format!("reading the {what} after {after}"),
        None => format!("reading the {what}"),
    }
}
