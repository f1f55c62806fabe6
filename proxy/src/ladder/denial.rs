//! Before somebody is told to pay first: what a layer below says of them, asked after the request came.
//!
//! Billing is asked, as Redis may be as old as the memory above it. Each account is asked about seldom and all together may
//! not ask for more than a budget: those who have not paid must not become load. Beyond that, and when billing does not say,
//! Redis is read again: what was published is there, and the newest of the two counts.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use tokio::time::{sleep, timeout};

use super::climb::Depth;
use super::{Found, Freshness, Ladder, Layer, Unresolved};
use crate::clock::Moment;

/// How long after a question about an account the next one waits that is asked before it is denied, in milliseconds.
pub(super) const ASK_INTERVAL_MS: u64 = 200;

/// How a wait for the next question ended.
enum Waited {
    /// It may be asked at this moment.
    Out(Moment),
    /// It need not be.
    Told(Found),
}

impl Ladder {
    /// What is said below of an account that is about to be denied. Whoever comes too soon after the last question waits,
    /// and all who wait share the next one: what is served was asked after the request came, however many there are. Who
    /// waits goes on at once when a change is pushed that `is_enough` to let them in.
    ///
    /// # Errors
    /// When nobody below says, or has been asked for this very request.
    pub async fn recheck(
        self: &Arc<Self>,
        denied: &Found,
        now: Moment,
        is_enough: impl Fn(&Entitlement) -> bool,
    ) -> Result<Found, Unresolved> {
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
        let now = match self.wait(account, denied.entry.asked_ms(), now, &is_enough).await {
            Waited::Out(now) => now,
            Waited::Told(found) => return Ok(found),
        };
        if let Some(entry) = self.l1.get(account).filter(|entry| entry.asked_ms() > Some(came_ms)) {
            return Ok(self.found(entry, Layer::L1, Freshness::Fresh, now));
        }
        match self.fly(&self.rechecks, account, Depth::Billing, now).await {
            Ok((entry, layer)) => Ok(self.found(entry, layer, Freshness::Fresh, now)),
            // It was read for this request already.
            Err(Unresolved) if denied.layer == Layer::Redis => Err(Unresolved),
            Err(Unresolved) => self.reread(account, came_ms, now, &is_enough).await,
        }
    }

    /// What Redis says of them instead, as seldom.
    async fn reread(
        self: &Arc<Self>,
        account: &AccountId,
        came_ms: u64,
        now: Moment,
        is_enough: &impl Fn(&Entitlement) -> bool,
    ) -> Result<Found, Unresolved> {
        let known_ms = self.l1.get(account).map(|known| known.confirmed_ms());
        let now = match self.wait(account, known_ms, now, is_enough).await {
            Waited::Out(now) => now,
            Waited::Told(found) => return Ok(found),
        };
        if let Some(entry) = self.l1.get(account).filter(|entry| entry.confirmed_ms() > came_ms) {
            return Ok(self.found(entry, Layer::L1, Freshness::Fresh, now));
        }
        let (entry, layer) = self.fly(&self.rechecks, account, Depth::RedisAlone, now).await?;
        Ok(self.found(entry, layer, Freshness::Fresh, now))
    }

    /// Waits until the next question about an account may be asked, or what is known of it `is_enough`.
    async fn wait(
        &self,
        account: &AccountId,
        last_ms: Option<u64>,
        now: Moment,
        is_enough: &impl Fn(&Entitlement) -> bool,
    ) -> Waited {
        let next_ms = last_ms.map_or(0, |last_ms| last_ms + ASK_INTERVAL_MS);
        let wait = Duration::from_millis(next_ms.saturating_sub(self.millis_at(now)).min(ASK_INTERVAL_MS));
        if wait.is_zero() {
            return Waited::Out(now);
        }
        let follower = self.follow_account(account);
        let mut out = pin!(sleep(wait));
        loop {
            let mut change = pin!(follower.change());
            // From here on none is missed; one that came before is in memory.
            change.as_mut().enable();
            if let Some(found) = self.peek(account, now).filter(|found| is_enough(found.entry.record())) {
                return Waited::Told(found);
            }
            tokio::select! {
                () = &mut out => return Waited::Out(now.plus(wait)),
                () = change => {}
            }
        }
    }
}
