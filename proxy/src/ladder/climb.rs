//! One flight through the layers below this process: Redis, then billing.

use std::sync::Arc;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;

use super::billing::Reason;
use super::entry::{Confirmation, Source};
use super::flight::Pilot;
use super::redis::Read;
use super::{Ladder, Layer, Unresolved};
use crate::clock::Moment;

/// Where a flight begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Redis,
    Billing,
}

impl Ladder {
    /// Flies one flight. A change that is pushed meanwhile wins over what it finds.
    pub(super) async fn pilot(self: Arc<Self>, pilot: Pilot, from: Depth, now: Moment) {
        // Both as they were before anybody was asked: what is found may be as old as that.
        let (epoch, at_ms) = (self.epoch.current(), self.millis_at(now));
        let answer = self.climb(pilot.account(), from, at_ms).await;
        let mut landing = answer.map(|(record, layer)| {
            let source = if layer == Layer::Billing { Source::Billing } else { Source::Cache };
            (self.l1.offer(record, Confirmation { epoch, at_ms, source }), layer)
        });
        if let Some(pushed) = pilot.close() {
            let newest = self.l1.offer((*pushed).clone(), Confirmation { epoch, at_ms, source: Source::Cache });
            if let Ok((entry, _)) = &mut landing {
                *entry = newest;
            }
        }
        pilot.land(landing);
    }

    /// Asks layer after layer.
    async fn climb(&self, account: &AccountId, from: Depth, now_ms: u64) -> Result<(Entitlement, Layer), Unresolved> {
        // Redis may lack changes while it cannot be told of them: then it is not asked.
        if let (Depth::Redis, Some(redis)) = (from, &self.redis)
            && self.epoch.is_told()
            && let Read::Found(record) = redis.read(account, now_ms).await
        {
            // A record that is older than what is known here is outdated: billing knows better.
            let known = self.l1.get(account).map_or(0, |entry| entry.record().version);
            if record.version >= known {
                return Ok((record, Layer::Redis));
            }
        }
        let why = if from == Depth::Redis { Reason::Lookup } else { Reason::Recheck };
        self.billing.ask(account, why, now_ms).await.map(|record| (record, Layer::Billing))
    }
}
