//! Events that the provider made and the inbox never got: they are put into it as if they had been delivered.

use chrono::Duration;
use entitlement::Timestamp;

use super::{Force, ReconcileError, Report};
use crate::component::Billing;
use crate::metrics;
use crate::provider::{self, ListedEvent};
use crate::store::StoreError;
use crate::store::events::{self, Arrival, Arrived};
use crate::store::reconciliations::{self, Run};

/// How far back the first delta looks: as long as Stripe tries to deliver an event. What is older is for a full run.
const FIRST: Duration = Duration::days(3);

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
            // From the newest on: after a stop it begins anew, and what is in the inbox already costs little.
            self.advance(run, report, "", now).await?;
            after = page.next;
            if after.is_none() {
                self.shared().event_due.notify_one();
                return Ok(());
            }
        }
    }

    async fn take_over(
        &self,
        run: &Run,
        listed: Vec<ListedEvent>,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        let ids: Vec<String> = listed.iter().map(|event| event.event_id.clone()).collect();
        let received = reconciliations::received(&mut conn, run.provider, &ids).await?;
        report.compared += i64::try_from(listed.len()).unwrap_or(0);
        for event in listed.iter().filter(|event| !received.contains(&event.event_id)) {
            let arrival = Arrival {
                provider: run.provider,
                event_id: &event.event_id,
                kind: &event.kind,
                api_version: event.api_version.as_deref(),
                livemode: event.livemode,
                body: &event.body,
                received_at: now,
                due_at: now,
            };
            if let Arrived::New(_) = events::insert(&mut conn, arrival).await? {
                report.drift += 1;
                metrics::count_drift();
                tracing::warn!(
                    provider = %run.provider,
                    event_id = event.event_id,
                    kind = event.kind,
                    "an event that was never delivered is taken over"
                );
            }
        }
        Ok(())
    }
}
