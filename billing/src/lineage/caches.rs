//! Whether Redis still holds what it was told, and whether all processes of this database use the same one. While it is not so, proxies
//! are told that the cache lacks changes: then they believe nothing there, and ask.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cache::{CacheId, Met, Owner};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use parking_lot::Mutex;

use crate::clock;
use crate::component::Billing;
use crate::publish::{PublishError, Why};
use crate::store::caches::Noted;
use crate::store::identity::Identity;
use crate::store::{StoreError, caches, told};

/// How often it is noted which Redis this process uses.
const NOTED_EVERY: Duration = Duration::from_secs(5);

/// How many changes are read at once.
const BATCH: i64 = 256;

/// How long telling again may go on before the cache is looked at.
const TURN: Duration = Duration::from_secs(2);

/// The advice about processes that use several.
const SEVERAL: &str = "another process on this database uses another Redis, so that neither hears of what the other one tells, and proxies ask billing in place of both: REDIS_URL has to lead to the same server and database in every process";

/// The state of the cache, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    state: Mutex<State>,
    has_several: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// How far the database had come when this process last wrote that into Redis.
    written: Option<u64>,
    lost: Option<Lost>,
    /// The Redis that was last noted, and when.
    noted: Option<(CacheId, Instant)>,
    /// When one was noted first, by the database's clock.
    began: Option<Timestamp>,
}

/// The changes that Redis has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    /// How far the database had come when it had not lost anything yet.
    since: u64,
    /// Up to where it has been told again.
    told: u64,
}

impl Caches {
    /// Whether Redis holds what it was told, and nobody tells another one, as far as this process knows.
    pub fn are_well(&self) -> bool {
        !self.has_several.load(Ordering::Relaxed) && self.state.lock().lost.is_none()
    }

    pub fn warning(&self) -> Option<&'static str> {
        self.has_several.load(Ordering::Relaxed).then_some(SEVERAL)
    }

    /// Takes in what stood in Redis before a meeting, and what came of that. What stands there never goes back by itself: a database that
    /// is behind it is another matter.
    pub fn met(&self, stood: Option<&Owner>, known: &Identity, met: &Met) {
        let Met::Mine(owner) = met else { return };
        let mut state = self.state.lock();
        let expected = state.written.unwrap_or(known.mark);
        if let Some(stood) = stood.filter(|stood| stood.database == known.id && stood.mark < expected) {
            if state.written.is_some() {
                tracing::warn!(
                    mark = stood.mark,
                    expected,
                    "Redis has gone back, to an older copy of itself: what has changed since is told again"
                );
            }
            let since = state.lost.map_or(stood.mark, |lost| lost.since.min(stood.mark));
            state.lost = Some(Lost { since, told: since });
        }
        state.written = Some(owner.mark);
    }

    /// The former Redis of this process, and when it began, when it is time to note the present one.
    fn due(&self, ours: &CacheId) -> Option<(Option<CacheId>, Option<Timestamp>)> {
        let state = self.state.lock();
        let former = match &state.noted {
            None => None,
            Some((noted, _)) if noted != ours => Some(noted.clone()),
            Some((_, at)) if at.elapsed() >= NOTED_EVERY => None,
            Some(_) => return None,
        };
        Some((former, state.began))
    }

    fn note(&self, ours: CacheId, Noted { at, has_several }: Noted) {
        let mut state = self.state.lock();
        state.noted = Some((ours, Instant::now()));
        state.began = state.began.or(Some(at));
        drop(state);
        if self.has_several.swap(has_several, Ordering::Relaxed) == has_several {
            return;
        }
        if has_several {
            tracing::error!("{SEVERAL}");
        } else {
            tracing::info!("all processes of this database use the same Redis again");
        }
    }
}

impl Billing {
    /// By which a proxy of this process finds out whether the cache is the one that it was; `None` as long as it is not known.
    #[must_use]
    pub fn cache_id(&self) -> Option<CacheId> {
        self.shared().outlets.cache_id()
    }

    /// Notes which Redis this process uses, and learns whether another process uses another one.
    pub(super) async fn note_cache(&self) -> Result<(), StoreError> {
        let Some(ours) = self.shared().outlets.cache_id().filter(|id| !id.is_none()) else { return Ok(()) };
        let Some((former, began)) = self.shared().caches.due(&ours) else { return Ok(()) };
        let mut conn = self.pool().acquire().await?;
        let noted = caches::note(&mut conn, &ours, former.as_ref(), began).await?;
        drop(conn);
        self.shared().caches.note(ours, noted);
        Ok(())
    }

    /// That a command tells the Redis that running processes use, when some run.
    pub(super) async fn check_cache(&self) -> Result<(), PublishError> {
        let Some(ours) = self.shared().outlets.look_for_id().await? else { return Ok(()) };
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        if caches::is_elsewhere(&mut conn, &ours).await? { Err(PublishError::Elsewhere) } else { Ok(()) }
    }

    /// Tells Redis again what it has lost, for a while. Returns whether nothing is left.
    pub(super) async fn tell_again(&self) -> Result<bool, PublishError> {
        let began = Instant::now();
        while let Some(lost) = self.shared().caches.lost() {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            let changes = told::changes_after(&mut conn, lost.told, BATCH).await?;
            let Some((last, _)) = changes.last() else {
                let all = told::walk_if_changed(&mut conn, lost.since).await?;
                drop(conn);
                self.shared().caches.end(lost);
                if all {
                    tracing::info!("the catalog has changed since: all accounts are told again");
                    self.shared().untold.notify_one();
                }
                continue;
            };
            drop(conn);
            let last = *last;
            let accounts: BTreeSet<AccountId> = changes.into_iter().map(|(_, account)| account).collect();
            let accounts: Vec<AccountId> = accounts.into_iter().collect();
            self.publish(&accounts, Why::Due, clock::now()).await?;
            self.shared().caches.went_on(lost, last);
            if began.elapsed() >= TURN {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Caches {
    fn lost(&self) -> Option<Lost> {
        self.state.lock().lost
    }

    /// Everything since is told, unless Redis has lost more meanwhile.
    fn end(&self, told: Lost) {
        let mut state = self.state.lock();
        if state.lost == Some(told) {
            state.lost = None;
        }
    }

    fn went_on(&self, from: Lost, to: u64) {
        let mut state = self.state.lock();
        if state.lost == Some(from) {
            state.lost = Some(Lost { told: to, ..from });
        }
    }
}

#[cfg(test)]
mod tests {
    use entitlement::record::DatabaseId;

    use super::*;

    #[test]
    fn a_redis_that_has_gone_back_is_told_again_from_there_on() {
        let identity = |mark| Identity {
            id: DatabaseId::new(1),
            former: None,
            held_since: None,
            accepted_at: None,
            replaced_by: None,
            is_beside: false,
            mark,
        };
        let owner = |mark| Owner { database: DatabaseId::new(1), held: Vec::new(), since_ms: 0, mark, beat: 1 };
        let caches = Caches::default();
        let lost = || caches.lost().map(|lost| lost.since);
        caches.met(None, &identity(7), &Met::Mine(owner(7)));
        assert_eq!(lost(), None, "an empty one has nothing old");
        caches.met(Some(&owner(7)), &identity(9), &Met::Mine(owner(9)));
        assert_eq!(lost(), None, "what is new has not been told yet");
        caches.met(Some(&owner(9)), &identity(9), &Met::Behind(owner(9)));
        caches.met(Some(&owner(8)), &identity(9), &Met::Mine(owner(9)));
        assert_eq!(lost(), Some(8));
        assert!(!caches.are_well());
        caches.met(Some(&owner(3)), &identity(9), &Met::Mine(owner(9)));
        assert_eq!(lost(), Some(3), "it has gone back further");
        caches.went_on(Lost { since: 3, told: 3 }, 6);
        caches.end(Lost { since: 3, told: 3 });
        assert_eq!(lost(), Some(3), "not all is told");
        caches.end(Lost { since: 3, told: 6 });
        assert!(caches.are_well());
        // At a start nobody knows what the process before had written: all that the database has more is told.
        let started = Caches::default();
        started.met(Some(&owner(5)), &identity(9), &Met::Mine(owner(9)));
        assert_eq!(started.lost(), Some(Lost { since: 5, told: 5 }));
        let other = Owner { database: DatabaseId::new(2), ..owner(1) };
        let started = Caches::default();
        started.met(Some(&other), &identity(9), &Met::Mine(owner(9)));
        assert!(started.are_well(), "another database's mark says nothing");
    }
}
