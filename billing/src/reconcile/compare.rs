//! One page of a provider's list against the rows: what agrees is noted in one statement, what differs is repaired like
//! an event.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::decide::{Decision, decide};
use entitlement::event::{Event, Fact, Object};
use entitlement::payment::Dispute;
use entitlement::subscription::SubscriptionId;

use super::contradicting::contradicting;
use super::full::evidence;
use super::learn::{Learnt, Repaired, undated};
use super::{ReconcileError, Report};
use crate::apply::effect::Look;
use crate::chain;
use crate::component::Billing;
use crate::credentials::Providers;
use crate::metrics;
use crate::provider::client::Listed;
use crate::provider::{self, List, Moments, sell};
use crate::store::reconciliations::{self, Compared};
use crate::store::subscriptions::Origin;
use crate::store::{StoreError, links, money};

/// Who changes an account here, in the audit log.
pub(super) const CAUSE: &str = "reconciliation";

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    /// Who changes an account, in the audit log.
    pub cause: &'static str,
    pub provider: Provider,
    /// The provider's account that answers, where it is known.
    pub account: Option<&'a str>,
    pub observation: i64,
    pub look: Look,
    pub now: Timestamp,
}

/// What happens to an answer that would take access from somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// It is noted, until all are known and can be counted.
    Waits,
    /// It counts: a person has asked for one account.
    Counts,
}

/// Something that differs, and by what it is asked about again.
pub(super) struct Differing {
    /// None when it cannot be asked about by itself.
    pub object: Option<Object>,
    pub events: Vec<Event>,
}

impl Differing {
    /// With the id by which it is asked about.
    pub fn named(self) -> (String, Vec<Event>) {
        (self.object.map(|object| object.id().to_owned()).unwrap_or_default(), self.events)
    }
}

impl Billing {
    /// Compares one page; answers where the next one begins.
    pub(super) async fn compare_page(
        &self,
        provider: Provider,
        (list, after): (List<'_>, Option<&str>),
        taking: Taking,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<Option<String>, ReconcileError> {
        let askable = self.askable(provider).await?;
        let account = askable.account.as_deref();
        let asking =
            Asking { cause: CAUSE, provider, account, observation: self.draw().await?, look: Look::First, now };
        let page = provider::page(&askable.providers, provider, list, after, Moments { at: now, now }).await?;
        report.compared += i64::try_from(page.items.len()).unwrap_or(0);
        let split = match list {
            List::Subscriptions(_) => contradicting(&page.items),
            _ => Vec::new(),
        };
        let differing = match list {
            List::Subscriptions(_) => self.differing(asking, page.items).await?,
            List::Disputes(_) => self.with_payments(asking, &askable.providers, page.items).await?,
            _ => {
                let money = |listed: Listed| Differing { object: asked_about(list, &listed), events: listed.events };
                page.items.into_iter().map(money).collect()
            }
        };
        self.repair(asking, &differing, taking, report).await?;
        self.report_contradictions(asking, split, report).await?;
        Ok(page.next)
    }

    /// Everything of one customer.
    pub(super) async fn compare_customer(
        &self,
        provider: Provider,
        customer: &str,
        now: Timestamp,
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            let list = List::Subscriptions(Some(customer));
            after = self.compare_page(provider, (list, after.as_deref()), Taking::Counts, report, now).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Leaves out what agrees with the rows, and notes that it does.
    pub(super) async fn differing(
        &self,
        asking: Asking<'_>,
        listed: Vec<Listed>,
    ) -> Result<Vec<Differing>, StoreError> {
        let ids: Vec<String> = listed.iter().map(|listed| listed.id.clone()).collect();
        let livemode = listed.iter().flat_map(|listed| &listed.events).find_map(|event| event.livemode);
        let mut conn = self.pool().acquire().await?;
        let known = reconciliations::known(&mut conn, asking.provider, &ids).await?;
        let (mut confirmed, mut differing) = (Vec::new(), Vec::new());
        for listed in listed {
            if listed.events.iter().any(|event| event.nothing == provider::UNKNOWN_STATUS) {
                let id = SubscriptionId { provider: asking.provider, id: listed.id.clone() };
                warn_of_unknown_status(&id, links::find_subscription(&mut conn, &id, "", None).await?.0.as_ref());
            }
            let known = known.iter().find(|compared| compared.known.subscription.id.id == listed.id);
            match known {
                Some(compared) if agrees(compared, &listed, asking.observation) => confirmed.push(compared.clone()),
                _ => differing.push(Differing { object: Some(Object::Subscription(listed.id)), events: listed.events }),
            }
        }
        let origin = Origin { livemode, account: asking.account, is_shown: true };
        reconciliations::confirm(&mut conn, &confirmed, asking.observation, origin).await?;
        drop(conn);
        if !confirmed.is_empty() && self.is_held_back().await {
            let ids: Vec<_> = confirmed.into_iter().map(|compared| compared.known.subscription.id).collect();
            if let Err(error) = self.affirm(&ids, asking.now).await {
                tracing::warn!(error = chain::told(&error), "what a provider affirms is not told yet");
            }
        }
        Ok(differing)
    }

    /// Disputes of a list, each with what its provider says of the payment where nothing known says whose that was: a dispute alone
    /// names no account.
    async fn with_payments(
        &self,
        asking: Asking<'_>,
        providers: &Providers,
        listed: Vec<Listed>,
    ) -> Result<Vec<Differing>, ReconcileError> {
        let (provider, moments) = (asking.provider, Moments { at: asking.now, now: asking.now });
        let mut all = Vec::with_capacity(listed.len());
        for Listed { id, mut events } in listed {
            let object = Object::Dispute(id);
            let mut facts = events.iter().flat_map(|event| &event.facts);
            let dispute = facts.find_map(|fact| match fact {
                Fact::Dispute(dispute) => Some(dispute.clone()),
                _ => None,
            });
            if let Some(dispute) = dispute
                && self.is_news_of_nobody(provider, &dispute).await?
            {
                let answers = provider::look(providers, provider, &object, moments).await?;
                if !answers.is_empty() {
                    // All of it is asked for.
                    events = answers.into_iter().map(|event| Event { objects: Vec::new(), ..event }).collect();
                }
            }
            all.push(Differing { object: Some(object), events });
        }
        Ok(all)
    }

    /// Whether a dispute is not known as it stands, and nothing known says whose its payment was.
    async fn is_news_of_nobody(&self, provider: Provider, dispute: &Dispute) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        Ok(!money::is_known_dispute(&mut conn, provider, dispute).await?
            && money::placed(&mut conn, provider, &dispute.payment).await?.is_none())
    }

    /// Applies what a provider answered about objects, and counts as drift what was not known. All of them in one
    /// transaction; when that fails, or would take access from somebody, each by itself.
    pub(super) async fn repair(
        &self,
        asking: Asking<'_>,
        differing: &[Differing],
        taking: Taking,
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        let events: Vec<&[Event]> = differing.iter().map(|one| one.events.as_slice()).collect();
        match self.learn_as(taking, asking, &events).await {
            Ok(Learnt::Repaired(repaired)) => {
                for (one, repaired) in differing.iter().zip(repaired) {
                    self.report(asking, one, (repaired, taking), report).await?;
                }
                Ok(())
            }
            Ok(Learnt::WouldTake(_)) | Err(_) if differing.len() > 1 => {
                for one in differing {
                    Box::pin(self.repair(asking, std::slice::from_ref(one), taking, report)).await?;
                }
                Ok(())
            }
            Ok(Learnt::WouldTake(accounts)) => self.hold_each(asking, differing, &accounts).await,
            Err(error) => Err(error),
        }
    }

    async fn hold_each(
        &self,
        asking: Asking<'_>,
        differing: &[Differing],
        accounts: &[AccountId],
    ) -> Result<(), ReconcileError> {
        for one in differing {
            self.hold(asking, one.object.as_ref(), accounts).await?;
        }
        Ok(())
    }

    /// Counts what was repaired, and asks what more there is to know of it.
    async fn report(
        &self,
        asking: Asking<'_>,
        one: &Differing,
        (Repaired { is_news, waits_for, is_in_doubt }, taking): (Repaired, Taking),
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        let is_news = match waits_for {
            None => is_news,
            Some(customer) => self.link_by_checkout(asking, one, (&customer, taking), report).await? || is_news,
        };
        if !is_news {
            return Ok(());
        }
        let mut is_held = false;
        // What went back names only its payment: what that was for has to be asked.
        for object in one.events.iter().flat_map(|event| &event.objects) {
            if !matches!(object, Object::Charge(_) | Object::Dispute(_)) {
                continue;
            }
            let askable = self.askable(asking.provider).await?;
            let asking = Asking { observation: self.draw().await?, ..asking };
            let moments = Moments { at: asking.now, now: asking.now };
            let more = provider::look(&askable.providers, asking.provider, object, moments).await?;
            if let Learnt::WouldTake(accounts) = self.learn_as(taking, asking, &[&more]).await? {
                self.hold(asking, Some(object), &accounts).await?;
                is_held = true;
            }
        }
        if let (true, Some(Object::Subscription(id))) = (is_in_doubt, &one.object) {
            let askable = self.askable(asking.provider).await?;
            let asking = Asking { observation: self.draw().await?, look: Look::Second, ..asking };
            let moments = Moments { at: asking.now, now: asking.now };
            let mut more = sell::purchase(&askable.providers, asking.provider, id, moments).await?;
            more.extend(one.events.iter().cloned());
            if let Learnt::WouldTake(accounts) = self.learn_as(taking, asking, &[&more]).await? {
                self.hold(asking, one.object.as_ref(), &accounts).await?;
                is_held = true;
            }
        }
        // What waits is counted when it is taken.
        if !is_held {
            report.drift += 1;
            metrics::count_drift();
        }
        Ok(())
    }
}

/// Tells the operator of a listed subscription whose status this build does not know.
fn warn_of_unknown_status(id: &SubscriptionId, account: Option<&AccountId>) {
    let (provider, account) = (id.provider, account.map(AccountId::as_str));
    metrics::count_unknown_status(provider);
    tracing::error!(%provider, account, subscription = id.id, "a subscription has a status that this build does not know, and its access stays as it was: update Tollgate");
}

/// What a thing of a list is asked about by.
fn asked_about(list: List<'_>, listed: &Listed) -> Option<Object> {
    match list {
        List::Subscriptions(_) => Some(Object::Subscription(listed.id.clone())),
        List::Disputes(_) => Some(Object::Dispute(listed.id.clone())),
        List::Orders(_) => Some(Object::Invoice(listed.id.clone())),
        List::Customers => Some(Object::Customer(listed.id.clone())),
        List::Checkouts(_) => Some(Object::Checkout(listed.id.clone())),
        List::Refunds(_) => listed.events.iter().flat_map(|event| &event.objects).next().cloned(),
    }
}

/// Whether what is listed would change nothing.
fn agrees(compared: &Compared, listed: &Listed, observation: i64) -> bool {
    let mut facts = listed.events.iter().flat_map(|event| undated(event.clone()).facts);
    facts.all(|fact| match fact {
        Fact::Subscription(seen) => {
            matches!(
                decide(Some(&compared.known), *seen, evidence(observation), |_| None),
                Decision::Confirm(_) | Decision::Ignore(_)
            )
        }
        // The last bill comes with it; it is compared where it matters.
        _ => true,
    })
}
