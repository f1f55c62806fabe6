//! Everything is compared: lists first, then what runs here and was in none of them.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::decide::Evidence;
use entitlement::event::Object;

use super::compare::{Asking, CAUSE, Differing, Taking};
use super::{Force, ReconcileError, Report};
use crate::apply::effect::Look;
use crate::component::Billing;
use crate::provider::client::ProviderError;
use crate::provider::{self, List, Moments};
use crate::store::reconciliations::{self, Run};
use crate::store::{StoreError, links, subscriptions, unseen};

/// How far back money is compared: cardholders may dispute for 120 days.
const MONEY: Duration = Duration::days(130);

/// Subscriptions that were in no list, read at once.
const UNLISTED_BATCH: i64 = 100;

/// The parts of a full run, in order; a run that was interrupted goes on at its part and page.
const PARTS: [&str; 6] = ["subscriptions", "refunds", "disputes", "orders", "unlisted", "takings"];

impl Billing {
    pub(super) async fn compare_all(
        &self,
        (run, force): (&mut Run, Force),
        report: &mut Report,
        now: Timestamp,
        progress: &mut (impl FnMut(&Report) + Send),
    ) -> Result<(), ReconcileError> {
        if run.place.is_none() {
            self.forget_held(run.provider).await?;
        }
        let place = run.place.clone().unwrap_or_default();
        let (part, mut after) = match place.split_once('|') {
            Some((part, after)) => (part.to_owned(), Some(after.to_owned()).filter(|after| !after.is_empty())),
            None => (PARTS[0].to_owned(), None),
        };
        let first = PARTS.iter().position(|name| *name == part).unwrap_or(0);
        for part in &PARTS[first..] {
            loop {
                after = self.compare_part((run, force), part, after.as_deref(), report, now).await?;
                progress(report);
                let place = format!("{part}|{}", after.as_deref().unwrap_or_default());
                self.advance(run, report, &place, now).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One page of a part; answers where the next one begins.
    async fn compare_part(
        &self,
        (run, force): (&Run, Force),
        part: &str,
        after: Option<&str>,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<Option<String>, ReconcileError> {
        let list = match part {
            "subscriptions" => List::Subscriptions(None),
            "refunds" => List::Refunds(now - MONEY),
            "disputes" => List::Disputes(now - MONEY),
            "orders" => List::Orders(now - MONEY),
            "takings" => return self.take_or_hold(run.provider, force, report, now).await.map(|()| None),
            _ => return self.compare_unlisted(run, after.unwrap_or_default(), report, now).await,
        };
        self.compare_page(run.provider, (list, after), Taking::Waits, report, now).await
    }

    /// Looks at what runs here and was in no list, one by one. What its provider does not have any more stays as it is, and is
    /// marked: providers keep what has ended, so it is no end.
    async fn compare_unlisted(
        &self,
        run: &Run,
        after: &str,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<Option<String>, ReconcileError> {
        let unlisted = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            reconciliations::unlisted(&mut conn, run.provider, run.observation, after, UNLISTED_BATCH).await?
        };
        for id in &unlisted {
            let askable = self.askable(run.provider).await?;
            let (account, observation) = (askable.account.as_deref(), self.draw().await?);
            let asking = Asking { cause: CAUSE, provider: run.provider, account, observation, look: Look::First, now };
            let object = Object::Subscription(id.id.clone());
            let moments = Moments { at: now, now };
            let answers = provider::look(&askable.providers, run.provider, &object, moments).await;
            report.compared += 1;
            // The others must not wait behind one.
            if let Err(ProviderError::Refused(why)) = &answers {
                report.refused += 1;
                let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                let (owner, _) = links::find_subscription(&mut conn, id, "", None).await?;
                let account = owner.as_ref().map(AccountId::as_str);
                tracing::error!(provider = %run.provider, account, subscription = id.id, why, "the provider refuses to say how a subscription stands: look at it there");
                continue;
            }
            let answers = answers?;
            if answers.is_empty() {
                let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                report.unseen += i64::from(unseen::mark(&mut conn, id, observation, now).await?);
                continue;
            }
            let differing = [Differing { object: Some(object), events: answers }];
            self.repair(asking, &differing, Taking::Waits, report).await?;
        }
        Ok(unlisted.last().map(|id| id.id.clone()))
    }

    pub(crate) async fn draw(&self) -> Result<i64, StoreError> {
        let mut conn = self.pool().acquire().await?;
        subscriptions::next_observation(&mut conn).await
    }
}

/// An answer is as old as its question.
pub(super) const fn evidence(observation: i64) -> Evidence {
    Evidence::Asked { observation }
}
