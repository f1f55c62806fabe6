//! The inbox: looked at, and put to work again.

use crate::clock;
use crate::component::Billing;
use crate::store::StoreError;
use crate::store::inbox::{self, EventLine, Filter};

/// Most events that one listing shows.
const LIST_MAX: u32 = 1000;

impl Billing {
    /// The newest events that the filter lets through, newest first; at most a thousand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, filter: &Filter, limit: u32) -> Result<Vec<EventLine>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        inbox::list(&mut conn, filter, i64::from(limit.min(LIST_MAX))).await
    }

    /// One event and its body, by the id of its row or by its provider's id.
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
    /// When the database fails.
    pub async fn replay(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let Some((line, _)) = self.event(id).await? else { return Ok(None) };
        let mut conn = self.pool().acquire().await?;
        let replayed = inbox::replay(&mut conn, line.id, clock::now()).await?;
        self.shared().event_due.notify_one();
        Ok(replayed.then_some(line.id))
    }
}
