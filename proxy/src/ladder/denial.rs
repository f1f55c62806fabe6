//! Before somebody is told to pay first: what a layer below says of them, asked after the request came.
//!
//! Billing is asked, as Redis may be as old as the memory above it. Each account is asked about seldom and all together may
//! not ask for more than a budget: those who have not paid must not become load. Beyond that, and when billing does not say,
//! Redis is read again: what was published is there, and the newest of the two counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::climb::Depth;
use super::entry::Entry;
use super::{Found, Freshness, Ladder, Layer, Unresolved};
use crate::clock::Moment;

/// How long after a question about an account the next one waits that is asked before it is denied, in milliseconds.
pub(super) const ASK_INTERVAL_MS: u64 = 200;

impl Ladder {
    /// What is said below of an account that is about to be denied. Whoever comes too soon after the last question waits,
    /// and all who wait share the next one: what is served was asked after the request came, however many there are.
    ///
    /// # Errors
    /// When nobody below says, or has been asked for this very request.
    pub async fn recheck(self: &Arc<Self>, denied: &Found, now: Moment) -> Result<Found, Unresolved> {
        let (account, came_ms) = (&denied.entry.record().account, self.millis_at(now));
        // Unless it was asked for somebody who came before.
        if denied.layer == Layer::Billing && denied.entry.confirmed_ms() >= came_ms {
            return Err(Unresolved);
        }
        // A question that is under way was asked before this request came: its answer may be too old already.
        if let Some(mut landing) = self.rechecks.earlier(account, came_ms) {
            // However it ends.
            let _ = timeout(self.patience, landing.wait_for(Option::is_some)).await;
        }
        let now = self.wait(denied.entry.asked_ms(), now).await;
        if let Some(entry) = self.l1.get(account).filter(|entry| entry.asked_ms() > Some(came_ms)) {
            return Ok(self.found(entry, Layer::L1, Freshness::Fresh, now));
        }
        match self.fly(&self.rechecks, account, Depth::Billing, now).await {
            Ok((entry, layer)) => Ok(self.found(entry, layer, Freshness::Fresh, now)),
            // It was read for this request already.
            Err(Unresolved) if denied.layer == Layer::Redis => Err(Unresolved),
            Err(Unresolved) => self.reread(&denied.entry, came_ms, now).await,
        }
    }

    /// What Redis says of them instead, as seldom.
    async fn reread(self: &Arc<Self>, denied: &Entry, came_ms: u64, now: Moment) -> Result<Found, Unresolved> {
        let account = &denied.record().account;
        let known = self.l1.get(account);
        let now = self.wait(known.map(|known| known.confirmed_ms()), now).await;
        if let Some(entry) = self.l1.get(account).filter(|entry| entry.confirmed_ms() > came_ms) {
            return Ok(self.found(entry, Layer::L1, Freshness::Fresh, now));
        }
        let (entry, layer) = self.fly(&self.rechecks, account, Depth::RedisAlone, now).await?;
        Ok(self.found(entry, layer, Freshness::Fresh, now))
    }

    /// Waits until the next question about an account may be asked, and gives the moment at which it may.
    async fn wait(&self, last_ms: Option<u64>, now: Moment) -> Moment {
        let next_ms = last_ms.map_or(0, |last_ms| last_ms + ASK_INTERVAL_MS);
        let wait = Duration::from_millis(next_ms.saturating_sub(self.millis_at(now)).min(ASK_INTERVAL_MS));
        if !wait.is_zero() {
            sleep(wait).await;
        }
        now.plus(wait)
    }
}
