//! Everything is compared: lists first, then what runs here and was in none of them.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::decide::Evidence;
use entitlement::event::{Event, Fact, Object};
use entitlement::subscription::{State, Subscription};

use super::compare::{Asking, CAUSE};
use super::{ReconcileError, Report};
use crate::component::Billing;
use crate::provider::client::ProviderError;
use crate::provider::{self, List, Moments};
use crate::store::StoreError;
use crate::store::reconciliations::{self, Run};
use crate::store::subscriptions;

/// How far back money is compared: cardholders may dispute for 120 days.
const MONEY: Duration = Duration::days(130);

/// Subscriptions that were in no list, read at once.
const UNSEEN_BATCH: i64 = 100;

/// The parts of a full run, in order; a run that was interrupted goes on at its part and page.
const PARTS: [&str; 5] = ["subscriptions", "refunds", "disputes", "orders", "unlisted"];

impl Billing {
    pub(super) async fn compare_all(
        &self,
        run: &mut Run,
        report: &mut Report,
        now: Timestamp,
        progress: &mut (impl FnMut(&Report) + Send),
    ) -> Result<(), ReconcileError> {
        let place = run.place.clone().unwrap_or_default();
        let (part, mut after) = match place.split_once('|') {
            Some((part, after)) => (part.to_owned(), Some(after.to_owned()).filter(|after| !after.is_empty())),
            None => (PARTS[0].to_owned(), None),
        };
        let first = PARTS.iter().position(|name| *name == part).unwrap_or(0);
        for part in &PARTS[first..] {
            loop {
                after = self.compare_part(run, part, after.as_deref(), report, now).await?;
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
        run: &Run,
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
            _ => return self.compare_unlisted(run, after.unwrap_or_default(), report, now).await,
        };
        self.compare_page(run.provider, list, after, report, now).await
    }

    /// Looks at what runs here and was in no list, one by one.
    async fn compare_unlisted(
        &self,
        run: &Run,
        after: &str,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<Option<String>, ReconcileError> {
        let (unseen, key_is_ours) = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            let unseen = reconciliations::unseen(&mut conn, run.provider, run.observation, after, UNSEEN_BATCH).await?;
            (unseen, reconciliations::any_seen(&mut conn, run.provider, run.observation).await?)
        };
        for id in &unseen {
            let asking = Asking { cause: CAUSE, provider: run.provider, observation: self.draw().await?, now };
            let object = Object::Subscription(id.id.clone());
            let answers = provider::look(&self.providers(), run.provider, &object, Moments { at: now, now }).await;
            report.compared += 1;
            // The others must not wait behind one.
            if let Err(ProviderError::Refused(why)) = &answers {
                report.refused += 1;
                tracing::error!(provider = %run.provider, subscription = id.id, why, "the provider refuses to say how a subscription stands: look at it there");
                continue;
            }
            let answers = answers?;
            let answers = match answers {
                // A key of another account sees none of ours, and must not end them all.
                answers if answers.is_empty() && !key_is_ours => {
                    return Err(ReconcileError::OtherAccount(run.provider));
                }
                answers if answers.is_empty() => self.ended(id, now).await?,
                answers => answers,
            };
            self.repair(asking, &[answers], report).await?;
        }
        Ok(unseen.last().map(|id| id.id.clone()))
    }

    /// A subscription that its provider does not have any more is over.
    async fn ended(
        &self,
        id: &entitlement::subscription::SubscriptionId,
        now: Timestamp,
    ) -> Result<Vec<Event>, ReconcileError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let Some(known) = subscriptions::find(&mut conn, id).await? else { return Ok(Vec::new()) };
        let over = Subscription { state: State::Ended { at: now }, before: None, ..known.subscription };
        let facts = vec![Fact::Subscription(Box::new(over))];
        Ok(vec![Event { facts, ..Event::default() }])
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
