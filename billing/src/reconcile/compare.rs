//! One page of a provider's list against the rows: what agrees is noted in one statement, what differs is repaired like
//! an event.

use std::collections::BTreeSet;

use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::decide::{Decision, decide};
use entitlement::event::{Event, Fact};
use entitlement::subscription::Subscription;

use super::full::evidence;
use super::{ReconcileError, Report};
use crate::apply::effect::{self, Attempt, Effects, Lesson};
use crate::component::Billing;
use crate::metrics;
use crate::provider::client::Listed;
use crate::provider::{self, List, Moments};
use crate::store::StoreError;
use crate::store::accounts::{self, Change};
use crate::store::reconciliations::{self, Compared};

/// Who changes an account here, in the audit log.
pub(super) const CAUSE: &str = "reconciliation";

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// Who changes an account, in the audit log.
    pub cause: &'static str,
    pub provider: Provider,
    pub observation: i64,
    pub now: Timestamp,
}

impl Billing {
    /// Compares one page; answers where the next one begins.
    pub(super) async fn compare_page(
        &self,
        provider: Provider,
        list: List<'_>,
        after: Option<&str>,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<Option<String>, ReconcileError> {
        let asking = Asking { cause: CAUSE, provider, observation: self.draw().await?, now };
        let page = provider::page(&self.providers(), provider, list, after, Moments { at: now, now }).await?;
        report.compared += i64::try_from(page.items.len()).unwrap_or(0);
        let differing = match list {
            List::Subscriptions(_) => self.differing(asking, page.items).await?,
            List::Refunds(_) | List::Disputes(_) | List::Orders(_) => page.items,
        };
        let differing: Vec<Vec<Event>> = differing.into_iter().map(|listed| listed.events).collect();
        self.repair(asking, &differing, report).await?;
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
            after = self.compare_page(provider, list, after.as_deref(), report, now).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Leaves out what agrees with the rows, and notes that it does.
    async fn differing(&self, asking: Asking, listed: Vec<Listed>) -> Result<Vec<Listed>, StoreError> {
        let ids: Vec<String> = listed.iter().map(|listed| listed.id.clone()).collect();
        let mut conn = self.pool().acquire().await?;
        let known = reconciliations::known(&mut conn, asking.provider, &ids).await?;
        let (mut confirmed, mut differing) = (Vec::new(), Vec::new());
        for listed in listed {
            match known.iter().find(|compared| compared.known.subscription.id.id == listed.id) {
                Some(compared) if agrees(compared, &listed, asking.observation) => confirmed.push(compared.clone()),
                _ => differing.push(listed),
            }
        }
        reconciliations::confirm(&mut conn, &confirmed, asking.observation).await?;
        Ok(differing)
    }

    /// Applies what a provider answered about objects, and counts as drift what was not known. All of them in one
    /// transaction; when that fails, each by itself, so that what is wrong with one harms no other.
    pub(super) async fn repair(
        &self,
        asking: Asking,
        objects: &[Vec<Event>],
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut repaired = match self.learn(asking, objects).await {
            Ok(repaired) => repaired,
            Err(_) if objects.len() > 1 => Vec::new(),
            Err(error) => return Err(error),
        };
        for object in &objects[repaired.len()..] {
            repaired.extend(self.learn(asking, std::slice::from_ref(object)).await?);
        }
        for (object, repaired) in objects.iter().zip(repaired) {
            self.report(asking, object, repaired, report).await?;
        }
        Ok(())
    }

    async fn report(
        &self,
        asking: Asking,
        answers: &[Event],
        Repaired { is_news, waits_for }: Repaired,
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        if let Some(customer) = waits_for {
            report.unlinked += 1;
            tracing::warn!(provider = %asking.provider, customer, "nobody has said which account this customer is");
        }
        if !is_news {
            return Ok(());
        }
        report.drift += 1;
        metrics::count_drift();
        // What went back names only its payment: what that was for has to be asked.
        for object in answers.iter().flat_map(|event| &event.objects) {
            let is_money =
                matches!(object, entitlement::event::Object::Charge(_) | entitlement::event::Object::Dispute(_));
            if is_money {
                let asking = Asking { observation: self.draw().await?, ..asking };
                let moments = Moments { at: asking.now, now: asking.now };
                let more = provider::look(&self.providers(), asking.provider, object, moments).await?;
                self.learn(asking, &[more]).await?;
            }
        }
        Ok(())
    }

    /// Writes answers like those to events, in one transaction, and publishes.
    pub(crate) async fn learn(&self, asking: Asking, objects: &[Vec<Event>]) -> Result<Vec<Repaired>, ReconcileError> {
        let lesson = |event: &Event| Lesson { event: undated(event.clone()), evidence: evidence(asking.observation) };
        let lessons: Vec<Vec<Lesson>> = objects.iter().map(|events| events.iter().map(lesson).collect()).collect();
        let of_provider: Vec<_> = lessons.iter().map(|lessons| (asking.provider, lessons.as_slice())).collect();
        let mut tx = self.pool().begin().await.map_err(StoreError::from)?;
        let rules = self.rules(&mut tx).await?;
        let attempt = Attempt {
            provider: asking.provider,
            cause: asking.cause,
            rules: &rules,
            referral: &self.settings().referral,
            now: asking.now,
        };
        effect::lock(&mut tx, &of_provider).await?;
        let (mut repaired, mut changes, mut changed) = (Vec::new(), Vec::new(), BTreeSet::new());
        for lessons in &lessons {
            let mut effects = Effects::new(attempt);
            effects.learn(&mut tx, lessons).await?;
            let waits_for = effects.waits_for.clone();
            let outcome = effects.close();
            changed.extend(outcome.changed());
            repaired.push(Repaired { is_news: outcome.is_news, waits_for });
            changes.extend(outcome.changes);
        }
        let changes = changes.iter().map(|(account, detail)| (account, Change { cause: asking.cause, detail }));
        let changes: Vec<_> = changes.collect();
        accounts::each_changed(&mut tx, &changes, asking.now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        self.shared().event_due.notify_one();
        self.publish_at_once(changed, asking.now).await;
        Ok(repaired)
    }
}

pub(crate) struct Repaired {
    is_news: bool,
    waits_for: Option<String>,
}

/// Whether what is listed would change nothing.
fn agrees(compared: &Compared, listed: &Listed, observation: i64) -> bool {
    let mut facts = listed.events.iter().flat_map(|event| undated(event.clone()).facts);
    facts.all(|fact| match fact {
        Fact::Subscription(seen) => {
            matches!(
                decide(Some(&compared.known), *seen, evidence(observation)),
                Decision::Confirm(_) | Decision::Ignore(_)
            )
        }
        // The last bill comes with it; it is compared where it matters.
        _ => true,
    })
}

/// An answer to us has no moment of the provider's clock: the moments in events stay the ones to compare with.
fn undated(event: Event) -> Event {
    let facts = event.facts.into_iter().map(|fact| match fact {
        Fact::Subscription(seen) => Fact::Subscription(Box::new(Subscription { as_of: seen.started_at, ..*seen })),
        other => other,
    });
    Event { facts: facts.collect(), ..event }
}
