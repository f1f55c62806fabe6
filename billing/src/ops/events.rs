//! The inbox, for an operator: what came, what became of it, and once more.

use serde::Serialize;

use super::OperatorError;
use crate::clock;
use crate::component::Billing;
use crate::store::StoreError;
use crate::store::inbox::{self, EventLine, Filter, Replay, Stuck};

/// Most events that one listing shows.
const LIST_MAX: u32 = 1000;

/// How many events are made due in one transaction.
const BATCH: u16 = 1000;

/// A batch of events that were made due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    pub events: usize,
    /// After which row the next batch begins; `None` when this was the last.
    pub next: Option<i64>,
}

impl Billing {
    /// The newest events that the filter lets through, newest first; at most a thousand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, filter: &Filter, limit: u32) -> Result<Vec<EventLine>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        inbox::list(&mut conn, filter, i64::from(limit.min(LIST_MAX))).await
    }

    /// One event and its body, which is empty when it is pruned, by the id of its row or by its provider's id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event(&self, id: &str) -> Result<Option<(EventLine, Vec<u8>)>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let row = match id.parse() {
            Ok(row) => Some(row),
            Err(_) => inbox::id_of(&mut conn, id).await?,
        };
        match row {
            Some(row) => inbox::find(&mut conn, row).await,
            None => Ok(None),
        }
    }

    /// Makes an event due again, whatever became of it; the worker of any process takes it up. Returns the id of its
    /// row; `None` when there is no such event.
    ///
    /// # Errors
    /// When its body is pruned, or the database fails.
    pub async fn replay(&self, id: &str) -> Result<Option<i64>, OperatorError> {
        let Some((line, _)) = self.event(id).await? else { return Ok(None) };
        let mut conn = self.pool().acquire().await?;
        match inbox::replay(&mut conn, line.id, clock::now()).await? {
            Replay::Due => {}
            Replay::Pruned => return Err(OperatorError::BodyPruned(line.id)),
            Replay::Unknown => return Ok(None),
        }
        self.shared().event_due.notify_one();
        Ok(Some(line.id))
    }

    /// How many accounts dead or parked events are about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stuck_accounts(&self, stuck: &Stuck) -> Result<u64, StoreError> {
        let mut conn = self.pool().acquire().await?;
        Ok(u64::try_from(inbox::stuck_accounts(&mut conn, stuck).await?).unwrap_or_default())
    }

    /// Makes one batch of dead or parked events due again, beginning after the row `after`: 0 for the first batch.
    /// Events that fail once more are not met again by going on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay_stuck(&self, stuck: &Stuck, after: i64) -> Result<Replayed, StoreError> {
        let mut conn = self.pool().acquire().await?;
        let ids = inbox::replay_stuck(&mut conn, stuck, after, i64::from(BATCH), clock::now()).await?;
        drop(conn);
        self.shared().event_due.notify_one();
        let next = ids.last().copied().filter(|_| ids.len() == usize::from(BATCH));
        Ok(Replayed { events: ids.len(), next })
    }
}
