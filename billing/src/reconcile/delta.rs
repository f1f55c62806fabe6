//! Events that the provider made and the inbox never got: they are put into it and applied, as if they had been delivered.

use chrono::Duration;
use entitlement::Timestamp;

use super::{Force, ReconcileError, Report};
use crate::apply::Drained;
use crate::component::Billing;
use crate::metrics;
use crate::provider::{self, ListedEvent};
use crate::store::StoreError;
use crate::store::events::{self, Arrival, Arrived};
use crate::store::reconciliations::{self, Run};

/// How far back the first delta looks: as long as Stripe tries to deliver an event. What is older is for a full run.
const FIRST: Duration = Duration::days(3);

/// How long the worker leaves to us what is taken over, as to webhooks that are applied inline.
const LEFT_TO_US: Duration = Duration::minutes(1);

/// How many events are applied between two looks at the lease of the run.
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
        loop {
            let askable = self.askable(run.provider).await?;
            let page = provider::events(&askable.providers, run.provider, since, after.as_deref()).await?;
            // Without a list of events everything is compared.
            let Some(page) = page else { return self.compare_all((run, force), report, now, progress).await };
            self.take_over(run, page.items, report, now).await?;
            progress(report);
            after = page.next;
            if after.is_none() {
                self.shared().event_due.notify_one();
                return Ok(());
            }
        }
    }

    async fn take_over(
        &self,
        run: &mut Run,
        listed: Vec<ListedEvent>,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let ids: Vec<String> = listed.iter().map(|event| event.event_id.clone()).collect();
        let received = reconciliations::received(&mut conn, run.provider, &ids).await?;
        report.compared += i64::try_from(listed.len()).unwrap_or(0);
        let mut taken = Vec::new();
        // The oldest first, as they would have come.
        for event in listed.iter().rev().filter(|event| !received.contains(&event.event_id)) {
            let arrival = Arrival {
                provider: run.provider,
                event_id: &event.event_id,
                kind: &event.kind,
                api_version: event.api_version.as_deref(),
                livemode: event.livemode,
                body: &event.body,
                received_at: now,
                due_at: now + LEFT_TO_US,
            };
            if let Arrived::New(id) = events::insert(&mut conn, arrival).await? {
                taken.push(id);
                tracing::info!(
                    provider = %run.provider,
                    event_id = event.event_id,
                    kind = event.kind,
                    "an event that was never delivered is taken over"
                );
            }
        }
        drop(conn);
        // From the newest page on: after a stop it begins anew, and what is in the inbox already costs little.
        self.advance(run, report, "", now).await?;
        for some in taken.chunks(AT_ONCE) {
            let effective = self.apply_singly(some.to_vec(), now, &mut Drained::default()).await?;
            // What was known by other means is no drift, whatever was not delivered.
            for _ in 0..effective {
                report.drift += 1;
                metrics::count_drift();
            }
            if effective > 0 {
                let (provider, events) = (run.provider, effective);
                tracing::warn!(%provider, events, "events that were never delivered had an effect: look at the webhook endpoint");
            }
            self.advance(run, report, "", now).await?;
        }
        Ok(())
    }
}
