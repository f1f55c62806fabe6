//! The records of a database whose place another one has taken may be known to this process alone: Redis may have lost it together with
//! the newest changes. It is handed to billing, which holds it for all processes.

use std::sync::Arc;

use cache::CacheId;
use entitlement::record::{self, DatabaseId, Record};
use parking_lot::Mutex;
use tracing::{debug, info};

use super::Ladder;
use super::line::Line;

/// After how many bytes of records, and after how many records, those so far are handed over.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH: usize = 200;

/// The records that were handed over.
#[derive(Debug, Default)]
pub(super) struct Recall(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The database that is followed.
    followed: Option<DatabaseId>,
    /// The one that was followed before it.
    former: Option<DatabaseId>,
    /// Under which database, and to which Redis, it was handed over last.
    done: Option<Occasion>,
    is_under_way: bool,
}

/// Redis has another id once it has lost everything.
type Occasion = (DatabaseId, Option<CacheId>);

impl Recall {
    /// The database of which everything is to be handed over now, if any. Whoever is told so says [`Recall::ends`] afterwards.
    fn begins(&self, line: &Line, cache: Option<&CacheId>) -> Option<DatabaseId> {
        let mut state = self.0.lock();
        if state.followed != Some(line.database) {
            state.former = state.followed.replace(line.database);
        }
        if line.is_settled {
            state.former = None;
        }
        let is_held = line.is_known && !line.is_settled && !line.is_beside && line.owner == Some(line.database);
        let occasion = (line.database, cache.cloned());
        if !is_held || state.is_under_way || state.done.as_ref() == Some(&occasion) {
            return None;
        }
        let former = state.former?;
        state.is_under_way = true;
        Some(former)
    }

    fn ends(&self, occasion: Option<Occasion>) {
        let mut state = self.0.lock();
        state.is_under_way = false;
        state.done = occasion.or(state.done.take());
    }
}

impl Ladder {
    /// Hands over what is known from before, once for each occasion.
    pub(super) fn recall(self: &Arc<Self>) {
        let Some(line) = self.lines.line().filter(|_| self.lines.is_sure()) else { return };
        let cache = self.beside.load().cache.clone();
        let Some(former) = self.recall.begins(&line, cache.as_ref()) else { return };
        let ladder = Arc::clone(self);
        self.io.spawn(async move {
            let is_done = ladder.hand_over(former).await;
            ladder.recall.ends(is_done.then_some((line.database, cache)));
        });
    }

    async fn hand_over(&self, database: DatabaseId) -> bool {
        let (mut batch, mut bytes, mut count) = (Vec::with_capacity(BATCH), 0, 0_usize);
        let mut entries = self.l1.iter().filter(|entry| entry.record().version > 0);
        loop {
            let next = entries.next();
            let is_last = next.is_none();
            if let Some(entry) = next
                && let Ok(text) = record::encode(&Record { database, entitlement: entry.record().clone() })
            {
                bytes += text.len();
                batch.push(text);
            }
            if batch.len() < BATCH && bytes < BATCH_BYTES && !is_last {
                continue;
            }
            if !batch.is_empty() && !self.billing.hand_over(&batch).await {
                debug!(
                    "what is known from before the database went back could not be handed to billing: it is tried again"
                );
                return false;
            }
            count += batch.len();
            if is_last {
                break;
            }
            batch.clear();
            bytes = 0;
        }
        info!(%database, count, "what is known from before the database went back is handed to billing");
        true
    }
}

#[cfg(test)]
mod tests {
    use entitlement::record::Namespace;

    use super::*;

    fn id(number: u128) -> DatabaseId {
        DatabaseId::new(number)
    }

    fn line(database: u128, is_settled: bool) -> Line {
        Line {
            namespace: Namespace::parse("tests").expect("a namespace"),
            database: id(database),
            owner: Some(id(database)),
            is_settled,
            is_beside: false,
            is_known: true,
        }
    }

    #[test]
    fn what_is_known_of_a_former_database_is_handed_over_once_and_again_when_redis_has_lost_it() {
        let (recall, caches) = (Recall::default(), [CacheId::random(), CacheId::random()]);
        let begins = |line: &Line, cache: usize| recall.begins(line, Some(&caches[cache]));
        let ends = |database: u128, cache: usize| recall.ends(Some((id(database), Some(caches[cache].clone()))));
        assert_eq!(begins(&line(1, true), 0), None);
        let (beside, unknown) =
            (Line { is_beside: true, ..line(2, false) }, Line { is_known: false, ..line(2, false) });
        assert_eq!((begins(&unknown, 0), begins(&beside, 0)), (None, None));
        assert_eq!(begins(&Line { owner: Some(id(9)), ..line(2, false) }, 0), None);
        assert_eq!(begins(&line(2, false), 0), Some(id(1)));
        assert_eq!(begins(&line(2, false), 0), None, "it is under way");
        recall.ends(None);
        assert_eq!(begins(&line(2, false), 0), Some(id(1)), "it has failed");
        ends(2, 0);
        assert_eq!(begins(&line(2, false), 0), None);
        assert_eq!(begins(&line(2, false), 1), Some(id(1)), "another Redis");
        ends(2, 1);
        assert_eq!(begins(&line(3, false), 1), Some(id(2)));
        ends(3, 1);
        // A person agrees.
        assert_eq!(begins(&line(3, true), 1), None);
        assert_eq!(begins(&line(3, false), 0), None);
        // One that knows of no database before has nothing.
        assert_eq!(Recall::default().begins(&line(2, false), None), None);
    }
}
