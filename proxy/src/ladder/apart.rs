//! Whether the Redis of this process is billing's. Billing tells its own of changes: another one is silent about them, and what lies
//! there may be of any age.

use cache::CacheId;
use parking_lot::Mutex;
use tracing::{error, info};

/// How long after they were last seen to differ the two count as apart, in milliseconds: of several billings under one address one
/// may use another Redis.
const APART_MS: u64 = 15_000;

/// How long they have to differ until operators are told, in milliseconds: one that has lost everything gets another id.
const TOLD_AFTER_MS: u64 = 3_000;

/// The advice to an operator.
const OTHER: &str = "the Redis of this proxy is not billing's, so billing is asked in its place: REDIS_URL has to lead to the same server and database in both";
const NONE: &str =
    "billing uses no Redis and tells this proxy of no change, so billing is asked: set REDIS_URL for billing as well";

/// The outcome of the looks so far.
#[derive(Debug, Default)]
pub(super) struct Apart(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    first_ms: u64,
    last_ms: u64,
    /// The advice, once it has lasted.
    told: Option<&'static str>,
}

impl Apart {
    /// Takes in one look: the id that billing says, and the one that stands in the Redis of this process, unless it does not answer.
    /// Gives whether they count as apart.
    pub(super) fn look(&self, theirs: &CacheId, ours: Option<&CacheId>, now_ms: u64) -> bool {
        let mut seen = self.0.lock();
        // Neither has one: billing uses none.
        let differs = ours.is_some_and(|ours| ours != theirs || ours.is_none());
        match (&mut *seen, differs) {
            (None, true) => *seen = Some(Seen { first_ms: now_ms, last_ms: now_ms, told: None }),
            (Some(seen), true) => {
                seen.last_ms = now_ms;
                if seen.told.is_none() && now_ms.saturating_sub(seen.first_ms) >= TOLD_AFTER_MS {
                    let advice = if theirs.is_none() { NONE } else { OTHER };
                    seen.told = Some(advice);
                    error!("{advice}");
                }
            }
            (Some(last), false) if ours.is_some() && now_ms.saturating_sub(last.last_ms) > APART_MS => {
                if last.told.is_some() {
                    info!("the Redis of this proxy is billing's again");
                }
                *seen = None;
            }
            _ => {}
        }
        seen.is_some()
    }

    /// The warning for operators.
    pub(super) fn warning(&self) -> Option<String> {
        self.0.lock().and_then(|seen| seen.told).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_redis_than_billings_counts_at_once_and_is_told_when_it_lasts() {
        let (a, b, none) = (CacheId::random(), CacheId::random(), CacheId::default());
        let apart = Apart::default();
        let steps: [(&CacheId, Option<&CacheId>, u64, bool, bool); 11] = [
            (&a, Some(&a), 0, false, false),
            (&a, None, 1_000, false, false),
            (&a, Some(&b), 2_000, true, false),
            (&a, None, 3_000, true, false),
            (&a, Some(&none), 5_000, true, true),
            (&a, Some(&a), 6_000, true, true),
            (&a, Some(&a), 20_000, true, true),
            (&a, None, 21_000, true, true),
            (&a, Some(&a), 21_000, false, false),
            (&none, Some(&none), 30_000, true, false),
            (&none, Some(&none), 33_000, true, true),
        ];
        for (theirs, ours, now_ms, expected, is_told) in steps {
            assert_eq!(apart.look(theirs, ours, now_ms), expected, "at {now_ms}");
            assert_eq!(apart.warning().is_some(), is_told, "at {now_ms}");
        }
        assert_eq!(apart.warning().as_deref(), Some(NONE));
    }
}
