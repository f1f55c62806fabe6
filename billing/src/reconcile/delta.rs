//! Events that the provider made and the inbox never got: they are put into it and applied, as if they had been
//! delivered; but what takes access is counted, as the provider has not sent and signed it.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::event::Object;

use super::compare::{Asking, CAUSE};
use super::{Force, ReconcileError, Report};
use crate::apply::Drained;
use crate::apply::effect::Look;
use crate::component::Billing;
use crate::metrics;
use crate::provider::client::ProviderError;
use crate::provider::{self, ListedEvent, Moments};
use crate::store::StoreError;
use crate::store::events::{self, Arrival, Arrived};
use crate::store::reconciliations::{self, Run};

/// How far back the first delta looks: as long as Stripe tries to deliver an event. What is older is for a full run.
const FIRST: Duration = Duration::days(3);

/// How long the worker leaves to us what is taken over, as to webhooks that are applied inline.
const LEFT_TO_US: Duration = Duration::minutes(1);

/// How many events are looked at between two looks at the lease of the run.
const AT_ONCE: usize = 16;

/// How far a delta looks behind the start of the one before: longer than an event takes to be listed.
const OVERLAP: Duration = Duration::minutes(10);

impl Billing {
    pub(super) async fn take_over_events(
        &self,
        (run, force): (&mut Run, Force),
        report: &mut Report,
        now: Timestamp,
        progress: &mut (impl FnMut(&Report) + Send),
    ) -> Result<(), ReconcileError> {
        let since = run.last_started_at.map_or(now - FIRST, |last| last - OVERLAP);
        let mut after: Option<String> = None;
        let mut is_held = false;
        loop {
            let askable = self.askable(run.provider).await?;
            let page = provider::events(&askable.providers, run.provider, since, after.as_deref()).await?;
            // Without a list of events everything is compared.
            let Some(page) = page else { return self.compare_all((run, force), report, now, progress).await };
            is_held |= self.take_over(run, page.items, report, now).await?;
            progress(report);
            after = page.next;
            if after.is_none() {
                self.shared().event_due.notify_one();
                if is_held || force == Force::Yes {
                    self.take_or_hold(run.provider, force, report, now).await?;
                }
                return Ok(());
            }
        }
    }

    /// Takes over a page of events. Returns whether any of them was held.
    async fn take_over(
        &self,
        run: &mut Run,
        listed: Vec<ListedEvent>,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<bool, ReconcileError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let ids: Vec<String> = listed.iter().map(|event| event.event_id.clone()).collect();
        let received = reconciliations::received(&mut conn, run.provider, &ids).await?;
        report.compared += i64::try_from(listed.len()).unwrap_or(0);
        drop(conn);
        // From the newest page on: after a stop it begins anew, and what is in the inbox already costs little.
        self.advance(run, report, "", now).await?;
        // The oldest first, as they would have come.
        let missing: Vec<&ListedEvent> =
            listed.iter().rev().filter(|event| !received.contains(&event.event_id)).collect();
        let mut is_held = false;
        for some in missing.chunks(AT_ONCE) {
            for event in some {
                if self.hold_event(run.provider, event, now).await? {
                    is_held = true;
                } else {
                    self.apply_listed(run.provider, event, report, now).await?;
                }
            }
            self.advance(run, report, "", now).await?;
        }
        Ok(is_held)
    }

    /// Holds an event that would take access: nobody has delivered it, so that it is counted like what a comparison takes. Returns
    /// whether it would.
    async fn hold_event(
        &self,
        provider: Provider,
        listed: &ListedEvent,
        now: Timestamp,
    ) -> Result<bool, ReconcileError> {
        let Ok(event) = provider::interpret(provider, &listed.body, now, self.settings()) else { return Ok(false) };
        if self.stranger_of(provider, &event, now).await?.is_some() {
            return Ok(false);
        }
        let about = event.objects.first().cloned().or_else(|| event.customer.clone().map(Object::Customer));
        let askable = self.askable(provider).await?;
        let account = askable.account.as_deref();
        let asking =
            Asking { cause: CAUSE, provider, account, observation: self.draw().await?, look: Look::First, now };
        let mut answers = Vec::new();
        for object in &event.objects {
            match provider::look(&askable.providers, provider, object, Moments { at: now, now }).await {
                Ok(more) => answers.extend(more),
                Err(ProviderError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Of what its provider does not have any more, the event's word counts.
        let told = if answers.is_empty() { vec![event] } else { answers };
        let losing = self.would_take(asking, &told).await?;
        if losing.is_empty() || about.is_none() {
            return Ok(false);
        }
        self.hold(asking, about.as_ref(), &losing).await?;
        Ok(true)
    }

    /// Puts an event into the inbox, and applies it.
    async fn apply_listed(
        &self,
        provider: Provider,
        event: &ListedEvent,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        let arrival = Arrival {
            provider,
            event_id: &event.event_id,
            kind: &event.kind,
            api_version: event.api_version.as_deref(),
            livemode: event.livemode,
            body: &event.body,
            received_at: now,
            due_at: now + LEFT_TO_US,
        };
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let Arrived::New(id) = events::insert(&mut conn, arrival).await? else { return Ok(()) };
        drop(conn);
        tracing::info!(
            %provider,
            event_id = event.event_id,
            kind = event.kind,
            "an event that was never delivered is taken over"
        );
        // A change that was known by other means is no drift.
        if self.apply_singly(vec![id], now, &mut Drained::default()).await? > 0 {
            report.drift += 1;
            metrics::count_drift();
            tracing::warn!(%provider, event_id = event.event_id, "an event that was never delivered had an effect: look at the webhook endpoint");
        }
        Ok(())
    }
}
