//! One flight through the layers below this process: Redis, then billing.

use std::sync::Arc;

use entitlement::account::AccountId;
use entitlement::record::Entitlement;

use super::billing::{Reason, Unanswered};
use super::entry::{Confirmation, Entry, Source};
use super::flight::Pilot;
use super::redis::Read;
use super::{Ladder, Layer, Unresolved};
use crate::clock::Moment;

/// Where a flight begins, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Redis, then billing.
    Redis,
    RedisAlone,
    Billing,
}

/// How often billing is asked about an account until an answer is of the database that is followed.
const ASKED_MAX: u32 = 6;

/// What a flight finds.
enum Answer {
    Told(Entitlement, Layer),
    /// What is known already has to do.
    Known(Arc<Entry>),
}

impl Ladder {
    /// Flies one flight. A change that is pushed meanwhile wins over what it finds.
    pub(super) async fn pilot(self: Arc<Self>, pilot: Pilot, from: Depth, now: Moment) {
        // Both as they were before anybody was asked: what is found may be as old as that.
        let (epoch, at_ms) = (self.epoch.current(), self.millis_at(now));
        let answer = self.climb(pilot.account(), from, at_ms).await;
        let mut landing = answer.map(|answer| match answer {
            Answer::Told(record, layer) => {
                let confirmation = confirmation(&record, layer, epoch, at_ms);
                (self.l1.offer(record, confirmation, self.lines.since_ms()), layer)
            }
            Answer::Known(entry) => (entry, Layer::L1),
        });
        if let Some(pushed) = pilot.close() {
            let confirmation = Confirmation { epoch, at_ms, source: Source::Cache };
            let newest = self.l1.offer((*pushed).clone(), confirmation, self.lines.since_ms());
            if let Ok((entry, _)) = &mut landing {
                *entry = newest;
            }
        }
        pilot.land(landing);
    }

    /// Asks layer after layer.
    async fn climb(&self, account: &AccountId, from: Depth, now_ms: u64) -> Result<Answer, Unresolved> {
        if from != Depth::Billing
            && let Some(record) = self.read(account, now_ms).await
        {
            return Ok(Answer::Told(record, Layer::Redis));
        }
        let (why, spare) = match (from, self.spare(account, now_ms)) {
            (Depth::RedisAlone, _) => return Err(Unresolved),
            (Depth::Billing, _) => (Reason::Recheck, None),
            (Depth::Redis, None) => (Reason::Lookup, None),
            (Depth::Redis, spare) => (Reason::Recheck, spare),
        };
        match (self.ask(account, why, now_ms).await, spare) {
            (Ok(record), _) => Ok(Answer::Told(record, Layer::Billing)),
            (Err(Unanswered::Busy), Some(spare)) => Ok(Answer::Known(spare)),
            (Err(_), _) => Err(Unresolved),
        }
    }

    /// Billing's answer, of the database that is followed: several may be asked under one address, and one of them may be on a
    /// former primary.
    async fn ask(&self, account: &AccountId, why: Reason, now_ms: u64) -> Result<Entitlement, Unanswered> {
        for time in 0..ASKED_MAX {
            let answer = self.billing.ask(account, why, now_ms).await?;
            let Some(asked) = answer.asked.filter(|_| self.lines.line().is_some()) else {
                self.hints.forget(account);
                return Ok(answer.entitlement);
            };
            // Once: a balancer that takes turns would have the questions alternate.
            if time == 0 && !self.lines.is_ours(asked) {
                // It may have another database since it was last heard.
                self.look_below(crate::clock::moment()).await;
            }
            if self.lines.is_ours(asked) {
                self.hints.forget(account);
                return Ok(answer.entitlement);
            }
            self.billing.elsewhere();
        }
        Err(Unanswered::Failed)
    }

    /// What Redis holds, unless it may lack changes, of which it cannot be told now.
    async fn read(&self, account: &AccountId, now_ms: u64) -> Option<Entitlement> {
        let redis = self.redis.as_ref().filter(|_| self.epoch.is_told())?;
        let Read::Found(record) = redis.read(self.lines.line().as_deref(), account, now_ms).await else { return None };
        // A record that is older than what is known here is outdated: billing knows better.
        let known = self.l1.version(account, self.lines.since_ms());
        (record.version >= known && !self.hints.is_outdated(account, record.version)).then_some(record)
    }

    /// The record of somebody of whom nothing is known, which is asked for again and again only because what everybody has
    /// may be another by now. It serves on when too many ask.
    fn spare(&self, account: &AccountId, now_ms: u64) -> Option<Arc<Entry>> {
        let is_spare =
            |entry: &Arc<Entry>| entry.record().version == 0 && self.is_current(entry, now_ms, entry.age_ms(now_ms));
        self.l1.get(account).filter(is_spare)
    }
}

/// What an answer is worth. "Nothing is known" is put into Redis by somebody who does not look again whether it was true by
/// then, and lies there for a moment only: no epoch makes it last.
fn confirmation(record: &Entitlement, layer: Layer, epoch: u32, at_ms: u64) -> Confirmation {
    match layer {
        Layer::Billing => Confirmation { epoch, at_ms, source: Source::Billing },
        Layer::L1 | Layer::Redis => {
            let epoch = if record.version == 0 { 0 } else { epoch };
            Confirmation { epoch, at_ms, source: Source::Cache }
        }
    }
}
