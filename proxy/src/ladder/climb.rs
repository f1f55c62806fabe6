//! One flight through the layers below this process: Redis, then billing.

use std::sync::Arc;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;
use tokio::time::timeout;
use tracing::debug;

use super::entry::{Confirmation, Source};
use super::flight::Pilot;
use super::redis::Read;
use super::{BILLING_DEADLINE, BelowError, Ladder, Layer, Unresolved};
use crate::clock::Moment;

/// Where a flight begins.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    Redis,
    Billing,
}

impl Ladder {
    /// Flies one flight. A change that is pushed meanwhile wins over what it finds.
    pub(super) async fn pilot(self: Arc<Self>, pilot: Pilot, from: Depth, now: Moment) {
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
        if let (Depth::Redis, Some(redis)) = (from, &self.redis)
            && let Read::Found(record) = redis.read(account, now_ms).await
        {
            // A record that is older than what is known here is outdated: billing knows better.
            let known = self.l1.get(account).map_or(0, |entry| entry.record().version);
            if record.version >= known {
                return Ok((record, Layer::Redis));
            }
        }
        self.ask_billing(account, now_ms).await.map(|record| (record, Layer::Billing))
    }

    async fn ask_billing(&self, account: &AccountId, now_ms: u64) -> Result<Entitlement, Unresolved> {
        if !self.circuit.is_closed(now_ms) {
            return Err(Unresolved);
        }
        let answer = timeout(BILLING_DEADLINE, self.below.resolve(account)).await.unwrap_or(Err(BelowError::Timeout));
        match answer {
            Ok(record) if record.account == *account => {
                self.counters.billing.hit.inc();
                self.circuit.succeeded();
                Ok(record)
            }
            Ok(_) => {
                self.counters.billing.poisoned.inc();
                Err(Unresolved)
            }
            Err(error) => {
                self.counters.billing.error.inc();
                self.circuit.failed(now_ms);
                debug!(error = &error as &dyn std::error::Error, "billing does not say what an account has");
                Err(Unresolved)
            }
        }
    }
}
