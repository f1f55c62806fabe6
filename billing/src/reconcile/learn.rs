//! Answers of a provider become rows, in one transaction, like those to events; and it is seen from whom that takes access.

use std::collections::BTreeSet;

use entitlement::account::AccountId;
use entitlement::event::{Event, Fact};
use entitlement::subscription::Subscription;
use sqlx::PgConnection;

use super::ReconcileError;
use super::compare::{Asking, Taking};
use super::full::evidence;
use crate::apply::effect::{self, Attempt, Disputed, Effects, Lesson, gone};
use crate::component::Billing;
use crate::publish::losing;
use crate::store::StoreError;
use crate::store::accounts::{self, Change};
use crate::store::catalogs::Rules;
use crate::store::snapshot;
use crate::takings::{self, What};

/// What came of one object.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub is_news: bool,
    /// The customer whose account nobody has named.
    pub waits_for: Option<String>,
    /// Whether it seems to be paid twice, unless the checkout of it says that it is for another account.
    pub is_in_doubt: bool,
}

/// What came of answers that may take access.
pub(super) enum Learnt {
    Repaired(Vec<Repaired>),
    /// Nothing was done: these accounts would have less.
    WouldTake(Vec<AccountId>),
}

/// Answers that are written but not committed.
struct Written {
    repaired: Vec<Repaired>,
    changed: BTreeSet<AccountId>,
    /// Accounts that have less than before.
    losing: Vec<AccountId>,
    disputes: Vec<Disputed>,
}

impl Billing {
    /// Writes answers like those to events, in one transaction, and publishes. Whoever loses access by it is not counted.
    pub(crate) async fn learn(
        &self,
        asking: Asking<'_>,
        objects: &[&[Event]],
    ) -> Result<Vec<Repaired>, ReconcileError> {
        let mut tx = self.pool().begin().await.map_err(StoreError::from)?;
        let written = self.write(&mut tx, asking, objects).await?;
        self.commit(tx, asking, written).await
    }

    /// As [`Billing::learn`]; when the taking waits, nothing happens where any account would have less.
    pub(super) async fn learn_as(
        &self,
        taking: Taking,
        asking: Asking<'_>,
        objects: &[&[Event]],
    ) -> Result<Learnt, ReconcileError> {
        if objects.is_empty() {
            return Ok(Learnt::Repaired(Vec::new()));
        }
        if taking == Taking::Counts {
            return self.learn(asking, objects).await.map(Learnt::Repaired);
        }
        let mut tx = self.pool().begin().await.map_err(StoreError::from)?;
        let written = self.write_weighed(&mut tx, asking, objects).await?;
        if !written.losing.is_empty() {
            tx.rollback().await.map_err(StoreError::from)?;
            return Ok(Learnt::WouldTake(written.losing));
        }
        self.commit(tx, asking, written).await.map(Learnt::Repaired)
    }

    /// As [`Billing::learn`], of one object. Accounts that lose access by it count for 24 hours, unless a person was told how
    /// many they are.
    pub(super) async fn learn_taking(
        &self,
        asking: Asking<'_>,
        events: &[Event],
        told: Told,
    ) -> Result<Vec<Repaired>, ReconcileError> {
        let mut tx = self.pool().begin().await.map_err(StoreError::from)?;
        let written = self.write_weighed(&mut tx, asking, &[events]).await?;
        if told == Told::Nobody {
            takings::taken(&mut tx, What::Comparison, &written.losing, asking.now).await?;
        }
        self.commit(tx, asking, written).await
    }

    /// The accounts that would have less by what is told of one object. Nothing is done.
    pub(super) async fn would_take(
        &self,
        asking: Asking<'_>,
        events: &[Event],
    ) -> Result<Vec<AccountId>, ReconcileError> {
        let mut tx = self.pool().begin().await.map_err(StoreError::from)?;
        let written = self.write_weighed(&mut tx, asking, &[events]).await?;
        tx.rollback().await.map_err(StoreError::from)?;
        Ok(written.losing)
    }

    async fn commit(
        &self,
        tx: sqlx::Transaction<'_, sqlx::Postgres>,
        asking: Asking<'_>,
        written: Written,
    ) -> Result<Vec<Repaired>, ReconcileError> {
        tx.commit().await.map_err(StoreError::from)?;
        effect::tell(asking.provider, &written.disputes);
        self.shared().event_due.notify_one();
        self.shared().checkout_superseded.notify_one();
        self.publish_at_once(written.changed, asking.now).await;
        Ok(written.repaired)
    }

    /// Writes, and sees who has less afterwards.
    async fn write_weighed(
        &self,
        conn: &mut PgConnection,
        asking: Asking<'_>,
        objects: &[&[Event]],
    ) -> Result<Written, StoreError> {
        let mut spoken_of = BTreeSet::new();
        for events in objects {
            spoken_of.extend(effect::accounts_of(conn, asking.provider, &lessons(asking, events)).await?);
        }
        let spoken_of: Vec<AccountId> = spoken_of.into_iter().collect();
        let before = snapshot::read(conn, &spoken_of).await?;
        let written = self.write(conn, asking, objects).await?;
        let after = snapshot::read(conn, &spoken_of).await?;
        let rules = self.rules(conn).await?;
        Ok(Written { losing: losing(&spoken_of, (&before, &after), &rules, asking.now), ..written })
    }

    async fn write(
        &self,
        conn: &mut PgConnection,
        asking: Asking<'_>,
        objects: &[&[Event]],
    ) -> Result<Written, StoreError> {
        let mut lessons: Vec<Vec<Lesson>> = objects.iter().map(|events| lessons(asking, events)).collect();
        let of_provider: Vec<_> = lessons.iter().map(|lessons| (asking.provider, lessons.as_slice())).collect();
        let rules = self.rules(conn).await?;
        effect::lock(conn, &of_provider).await?;
        let mut names = BTreeSet::new();
        lessons.iter().for_each(|lessons| gone::names(asking.provider, lessons, &mut names));
        let gone = crate::store::gone::find(conn, &names).await?;
        for lessons in &mut lessons {
            gone::settle(asking.provider, lessons, &gone);
        }
        let (mut repaired, mut changes, mut changed) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut disputes = Vec::new();
        for lessons in &lessons {
            let mut effects = Effects::new(self.attempt(asking, &rules));
            effects.learn(conn, lessons).await?;
            let waits_for = effects.waits_for.clone();
            let outcome = effects.close();
            changed.extend(outcome.changed());
            disputes.extend(outcome.disputes);
            repaired.push(Repaired { is_news: outcome.has_effect, waits_for, is_in_doubt: outcome.is_in_doubt });
            changes.extend(outcome.changes);
        }
        let changes = changes.iter().map(|(account, detail)| (account, Change { cause: asking.cause, detail }));
        let changes: Vec<_> = changes.collect();
        accounts::each_changed(conn, &changes, asking.now).await?;
        Ok(Written { repaired, changed, losing: Vec::new(), disputes })
    }

    fn attempt<'a>(&'a self, asking: Asking<'a>, rules: &'a Rules) -> Attempt<'a> {
        let Asking { provider, account, cause, look, now, .. } = asking;
        Attempt { provider, account, cause, rules, referral: &self.settings().referral, look, now }
    }
}

/// Whether somebody was told how many lose access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nobody,
    APerson,
}

fn lessons(asking: Asking<'_>, events: &[Event]) -> Vec<Lesson> {
    let lesson = |event: &Event| Lesson { event: undated(event.clone()), evidence: evidence(asking.observation) };
    events.iter().map(lesson).collect()
}

/// An answer to us has no moment of the provider's clock: the moments in events stay the ones to compare with.
pub(super) fn undated(event: Event) -> Event {
    let facts = event.facts.into_iter().map(|fact| match fact {
        Fact::Subscription(seen) => Fact::Subscription(Box::new(Subscription { as_of: seen.started_at, ..*seen })),
        other => other,
    });
    Event { facts: facts.collect(), ..event }
}
