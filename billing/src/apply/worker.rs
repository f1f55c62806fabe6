//! The worker: applies what is due, until nothing is.

use std::collections::HashMap;
use std::time::Duration;

use cache::Lasting;
use chrono::TimeDelta;
use entitlement::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Applied, Fate};
use crate::chain;
use crate::clock;
use crate::component::Billing;
use crate::provider;
use crate::store::StoreError;
use crate::store::events::{self, Due};

/// How often the inbox is looked at without being woken.
const POLL: Duration = Duration::from_secs(1);

/// How many events are read from the inbox at once.
const BATCH: i64 = 256;

/// Most events applied at once; fewer when there are fewer connections.
const CONCURRENCY_MAX: u32 = 8;

/// How many events are applied in one transaction, when there are so many.
const GROUP: usize = 32;

/// Most groups applied at once: they keep a database busy, and must leave something for those who wait.
const GROUPS_MAX: usize = 2;

/// How long an event is left alone after a fault of the database.
const PUT_OFF: TimeDelta = TimeDelta::seconds(5);

/// How one drain of the inbox went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    pub applied: usize,
    pub ignored: usize,
    pub parked: usize,
    /// To be tried again.
    pub failed: usize,
    /// Given up.
    pub dead: usize,
}

impl Drained {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Applied { .. } => self.applied += 1,
            Fate::Ignored => self.ignored += 1,
            Fate::Parked => self.parked += 1,
            Fate::Failed => self.failed += 1,
            Fate::Dead => self.dead += 1,
            Fate::Taken => {}
        }
    }
}

impl Billing {
    /// Applies what is due at `now`, until nothing is; what becomes due by a link on the way is included.
    ///
    /// # Errors
    /// When the database cannot be used: what was not applied is as due as before.
    pub async fn apply_due(&self, now: Timestamp) -> Result<Drained, StoreError> {
        self.drain(now, &CancellationToken::new()).await
    }

    async fn drain(&self, now: Timestamp, stop: &CancellationToken) -> Result<Drained, StoreError> {
        let mut sum = Drained::default();
        loop {
            let due = self.due(now).await?;
            let before = sum;
            self.apply_batch(due, now, &mut sum).await?;
            // Nothing moved: nothing is due, or others have what is.
            if sum == before || stop.is_cancelled() {
                return Ok(sum);
            }
        }
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<Due>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        events::due(&mut conn, now, BATCH).await
    }

    /// Applies together what nobody has to be asked about; all else, and what fails together, each by itself.
    async fn apply_batch(&self, due: Vec<Due>, now: Timestamp, sum: &mut Drained) -> Result<(), StoreError> {
        let providers = self.providers();
        let (singly, together): (Vec<Due>, Vec<Due>) =
            due.into_iter().partition(|due| provider::can_ask(&providers, due.provider));
        let mut singly: Vec<i64> = singly.into_iter().map(|due| due.id).collect();
        let together: Vec<i64> = together.into_iter().map(|due| due.id).collect();
        singly.extend(self.apply_in_groups(&together, now, sum).await);
        self.apply_singly(singly, now, sum).await.map(drop)
    }

    /// Returns those that could not be applied together.
    async fn apply_in_groups(&self, due: &[i64], now: Timestamp, sum: &mut Drained) -> Vec<i64> {
        let mut groups = due.chunks(GROUP).map(<[i64]>::to_vec);
        let mut running = JoinSet::new();
        let mut groups_of = HashMap::new();
        let mut failed = Vec::new();
        loop {
            while running.len() < self.groups_at_once()
                && let Some(ids) = groups.next()
            {
                let (billing, group) = (self.clone(), ids.clone());
                let task = running.spawn(async move { billing.apply_together(&group, now).await });
                groups_of.insert(task.id(), ids);
            }
            let Some(ended) = running.join_next_with_id().await else { return failed };
            let (task, error) = match ended {
                Ok((_, Ok(fates))) => {
                    fates.iter().for_each(|fate| sum.count(fate));
                    continue;
                }
                Ok((task, Err(error))) => (task, chain::told(&error)),
                Err(panic) => (panic.id(), chain::told(&panic)),
            };
            let group = groups_of.remove(&task).unwrap_or_default();
            tracing::debug!(events = group.len(), error, "a group of events is applied one by one");
            failed.extend(group);
        }
    }

    /// After a fault of the database no further event is begun, and those that have begun are waited for. Returns by how many of them
    /// anything is otherwise than before.
    pub(crate) async fn apply_singly(
        &self,
        due: Vec<i64>,
        now: Timestamp,
        sum: &mut Drained,
    ) -> Result<usize, StoreError> {
        let mut effective = 0;
        let mut due = due.into_iter();
        let mut running = JoinSet::new();
        let mut ids = HashMap::new();
        let mut fault = None;
        loop {
            while fault.is_none()
                && running.len() < self.apply_at_once()
                && let Some(id) = due.next()
            {
                let billing = self.clone();
                let task = running.spawn(async move { billing.apply_event(id, now).await });
                ids.insert(task.id(), id);
            }
            let Some(ended) = running.join_next_with_id().await else { return fault.map_or(Ok(effective), Err) };
            match self.fate_of(ended, &ids, now).await {
                Ok(fate) => {
                    effective += usize::from(matches!(fate, Fate::Applied { has_effect: true, .. }));
                    sum.count(&fate);
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
    }

    /// How many groups may be applied at once right now: one while webhooks come in, whose answers wait for the same
    /// database.
    fn groups_at_once(&self) -> usize {
        self.apply_at_once().min(GROUPS_MAX)
    }

    /// How many events may be applied at once right now.
    fn apply_at_once(&self) -> usize {
        let most = self.settings().pool_size.div_ceil(2).clamp(1, CONCURRENCY_MAX);
        if self.is_crowded() { 1 } else { usize::try_from(most).unwrap_or(1) }
    }

    /// A panic is a failure of the event that brought it about; a fault of the database is nobody's.
    async fn fate_of(
        &self,
        ended: Result<(Id, Result<Applied, StoreError>), JoinError>,
        ids: &HashMap<Id, i64>,
        now: Timestamp,
    ) -> Result<Fate, StoreError> {
        match ended {
            Ok((_, Ok(applied))) => Ok(applied.fate),
            Ok((task, Err(error))) => {
                if let Some(id) = ids.get(&task) {
                    self.let_others_first(*id, now).await;
                }
                Err(error)
            }
            Err(panic) => match ids.get(&panic.id()) {
                Some(id) => self.note_failure(*id, "applying it panicked", now).await,
                None => Ok(Fate::Taken),
            },
        }
    }

    /// Lets the others go first next time. When that fails too, the whole database is away, and nobody is first.
    async fn let_others_first(&self, id: i64, now: Timestamp) {
        let put_off = async {
            let mut conn = self.pool().acquire().await?;
            events::put_off(&mut conn, id, now + PUT_OFF).await
        };
        if let Err(error) = put_off.await {
            tracing::debug!(event = id, error = chain::told(&error), "an event could not be put off");
        }
    }

    /// Applies until told to stop.
    pub(crate) async fn run_worker(self, stop: CancellationToken) {
        let faults = Lasting::default();
        while !stop.is_cancelled() {
            match self.drain(clock::now(), &stop).await {
                Ok(_) => {
                    if let Some(failures) = faults.ends() {
                        tracing::info!(failures, "the events in the inbox are applied again");
                    }
                }
                Err(error) if faults.begins(&error) => tracing::warn!(
                    error = chain::told(&error),
                    "the events in the inbox cannot be applied: they are durable, and it is tried each second"
                ),
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.shared().event_due.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}
