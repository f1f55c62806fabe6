//! Of which database the records are that may be served, as billing says: the cache may hold those of others as well.
//!
//! Records of two databases have no order among each other. As long as nobody has agreed that a database takes the place of
//! another one, versions are compared all the same, as billing tells of what is new above all that was told before. From the
//! moment on at which somebody has, what was known before counts less than anything that is said since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entitlement::record::{DatabaseId, HighWater, Namespace};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

/// How long after its last word a database is still spoken for.
const SPOKEN_FOR: Duration = Duration::from_secs(5);

/// Billing's word on its records.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    pub namespace: Namespace,
    /// The database that billing is on.
    pub database: DatabaseId,
    /// The one that has the word in the namespace, where somebody has.
    pub owner: Option<DatabaseId>,
    /// Whether what it says counts, whatever was told before.
    #[serde(rename = "settled")]
    pub is_settled: bool,
    /// Whether another installation has the word in the namespace: what it has told serves nobody here.
    #[serde(rename = "beside", default)]
    pub is_beside: bool,
    /// Whether billing knows that for sure.
    #[serde(rename = "known")]
    pub is_known: bool,
}

/// The last word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// No word yet.
    Nothing,
    /// Billing is of an older build, whose records do not name their database: it is asked itself.
    Before,
    Line(Arc<Line>),
}

/// The namespace of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaced {
    /// Made from the site's URL: billing may use another one.
    Made(Namespace),
    /// Set by the configuration, so that billing has to use the same.
    Set(Namespace),
}

impl Namespaced {
    pub(super) const fn namespace(&self) -> &Namespace {
        match self {
            Self::Made(namespace) | Self::Set(namespace) => namespace,
        }
    }

    /// Why this process cannot work with a billing that uses `theirs`.
    fn mismatch(&self, theirs: &Namespace) -> Option<String> {
        match self {
            Self::Set(ours) if ours != theirs => Some(format!(
                "cache.namespace is \"{ours}\" here, and billing uses \"{theirs}\": write the same in both configurations"
            )),
            _ => None,
        }
    }
}

/// The words that a process has heard.
#[derive(Debug)]
pub(super) struct Lines {
    configured: Namespaced,
    current: watch::Sender<Heard>,
    state: Mutex<State>,
    /// Since when what is known counts less than what is said, in milliseconds of the ladder's clock.
    since_ms: AtomicU64,
    /// Wakes whoever asks billing: something is unclear.
    pub unclear: Notify,
}

#[derive(Debug, Default)]
struct State {
    mismatch: Option<String>,
    /// When the current line was last heard of, in milliseconds of the ladder's clock.
    heard_ms: u64,
    /// How far its database had come.
    mark: u64,
    /// Whether billing has not said it, but what stands beside the records.
    is_presumed: bool,
}

/// The change that a word of billing has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// It is not followed: somebody else speaks for the database that is.
    Foreign,
    /// Everything has to be confirmed anew.
    Other,
}

impl Lines {
    pub(super) fn new(configured: Namespaced) -> Self {
        let current = watch::Sender::new(Heard::Nothing);
        Self { configured, current, state: Mutex::default(), since_ms: AtomicU64::new(0), unclear: Notify::new() }
    }

    pub(super) const fn configured(&self) -> &Namespace {
        self.configured.namespace()
    }

    pub(super) fn heard(&self) -> Heard {
        self.current.borrow().clone()
    }

    pub(super) fn follow(&self) -> watch::Receiver<Heard> {
        self.current.subscribe()
    }

    /// The line whose records may be served from the cache.
    pub(super) fn line(&self) -> Option<Arc<Line>> {
        match &*self.current.borrow() {
            Heard::Line(line) => Some(Arc::clone(line)),
            Heard::Nothing | Heard::Before => None,
        }
    }

    /// Whether a record, or an answer, is of the database that is followed. Where that is unclear, billing is asked.
    pub(super) fn is_ours(&self, database: DatabaseId) -> bool {
        let is_ours = self.line().is_some_and(|line| line.database == database);
        if !is_ours {
            self.unclear.notify_one();
        }
        is_ours
    }

    /// Why this process cannot work with its billing.
    pub(super) fn mismatch(&self) -> Option<String> {
        self.state.lock().mismatch.clone()
    }

    /// Since when what is known counts less than what is said.
    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Acquire)
    }

    /// Whether billing has said for sure which records are to be served.
    pub(super) fn is_sure(&self) -> bool {
        let is_presumed = self.state.lock().is_presumed;
        match &*self.current.borrow() {
            Heard::Nothing => false,
            Heard::Before => true,
            Heard::Line(line) => line.is_known && !is_presumed,
        }
    }

    /// Takes a line for billing's as long as billing has said nothing.
    pub(super) fn presume(&self, line: Line) {
        let mut state = self.state.lock();
        if self.heard() == Heard::Nothing {
            state.is_presumed = true;
            self.current.send_replace(Heard::Line(Arc::new(line)));
        }
    }

    /// The database that is followed, and how far it had come.
    pub(super) fn remembered(&self, now_ms: u64) -> Option<HighWater> {
        let state = self.state.lock();
        let database = self.line().filter(|_| !state.is_presumed)?.database;
        Some(HighWater { database, mark: state.mark, age_ms: now_ms.saturating_sub(state.heard_ms) })
    }

    /// Takes in what billing says at `now_ms`, of a database that has come as far as `mark`.
    pub(super) fn hear(&self, told: Heard, mark: u64, now_ms: u64) -> News {
        let mut state = self.state.lock();
        let known = self.heard();
        let was_presumed = std::mem::take(&mut state.is_presumed);
        if let (Heard::Line(known), Heard::Line(told)) = (&known, &told)
            && !was_presumed
            && !follows(known, told, now_ms.saturating_sub(state.heard_ms) <= millis(SPOKEN_FOR))
        {
            return News::Foreign;
        }
        let told = match (&known, &told) {
            // As long as billing does not know who has the word, what was heard before counts.
            (Heard::Line(known), Heard::Line(unsure))
                if unsure.owner.is_none() && unsure.database == known.database =>
            {
                Heard::Line(Arc::clone(known))
            }
            _ => told,
        };
        let mismatch = match &told {
            Heard::Line(line) => self.configured.mismatch(&line.namespace),
            Heard::Nothing | Heard::Before => None,
        };
        if let Some(mismatch) = mismatch.as_ref().filter(|_| mismatch != state.mismatch) {
            warn!(mismatch, "nothing is taken from the cache");
        }
        state.heard_ms = now_ms;
        let database = |heard: &Heard| match heard {
            Heard::Line(line) => Some(line.database),
            Heard::Nothing | Heard::Before => None,
        };
        state.mark = if database(&known) == database(&told) { state.mark.max(mark) } else { mark };
        state.mismatch = mismatch;
        let told = if state.mismatch.is_some() { Heard::Before } else { told };
        if told == known {
            return News::None;
        }
        let news = if is_other(&known, &told) { News::Other } else { News::None };
        if let (Heard::Line(before), Heard::Line(now)) = (&known, &told)
            && ((now.is_settled && (before.database != now.database || !before.is_settled))
                || (was_presumed && before.database != now.database)
                || (now.is_beside && !before.is_beside))
        {
            info!(database = %now.database, "what the database says counts from now on, whatever was told before");
            self.since_ms.store(now_ms, Ordering::Release);
        }
        self.current.send_replace(told);
        news
    }
}

/// Whether what is told takes the place of what is known. A billing whose database has not the word is not followed while the one
/// that has it is still spoken for: it may be on a former primary.
fn follows(known: &Line, told: &Line, is_spoken_for: bool) -> bool {
    told.database == known.database || told.owner != Some(known.database) || !is_spoken_for
}

/// Whether what was confirmed under the one says nothing under the other.
fn is_other(known: &Heard, told: &Heard) -> bool {
    match (known, told) {
        (Heard::Line(known), Heard::Line(told)) => {
            let of = |line: &Line| (line.namespace.clone(), line.database, line.is_settled, line.is_beside);
            of(known) != of(told)
        }
        (Heard::Nothing, _) => false,
        (known, told) => known != told,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> DatabaseId {
        DatabaseId::new(number)
    }

    fn namespace(text: &str) -> Namespace {
        Namespace::parse(text).expect("a namespace")
    }

    fn line(database: u128, owner: u128, is_settled: bool) -> Heard {
        let namespace = namespace("site");
        Heard::Line(Arc::new(Line {
            namespace,
            database: id(database),
            owner: Some(id(owner)),
            is_settled,
            is_beside: false,
            is_known: true,
        }))
    }

    fn lines() -> Lines {
        Lines::new(Namespaced::Made(namespace("made")))
    }

    fn database(lines: &Lines) -> Option<DatabaseId> {
        lines.line().map(|line| line.database)
    }

    #[test]
    fn what_billing_says_first_is_followed_and_makes_nothing_old() {
        let lines = lines();
        assert_eq!(lines.hear(line(1, 1, true), 1, 1_000), News::None);
        assert_eq!((database(&lines), lines.since_ms()), (Some(id(1)), 0));
        assert_eq!(lines.hear(line(1, 1, true), 1, 2_000), News::None);
    }

    #[test]
    fn a_database_that_has_gone_back_is_followed_at_once_and_its_former_primary_no_more() {
        let lines = lines();
        lines.hear(line(1, 1, true), 1, 1_000);
        assert_eq!(lines.hear(line(2, 2, false), 1, 2_000), News::Other);
        assert_eq!((database(&lines), lines.since_ms()), (Some(id(2)), 0), "what was known is compared by versions");
        assert_eq!(lines.hear(line(1, 2, false), 1, 2_100), News::Foreign);
        assert_eq!(database(&lines), Some(id(2)));
        // A person agrees.
        assert_eq!(lines.hear(line(2, 2, true), 1, 3_000), News::Other);
        assert_eq!(lines.since_ms(), 3_000);
        assert_eq!(lines.hear(line(1, 2, false), 1, 3_100), News::Foreign);
        assert_eq!(database(&lines), Some(id(2)));
    }

    #[test]
    fn a_database_without_the_word_is_followed_when_nobody_speaks_for_the_other_any_more() {
        let lines = lines();
        lines.hear(line(1, 1, true), 1, 1_000);
        for (now_ms, told, followed) in [(2_000, 2, 1), (3_000, 1, 1), (7_000, 2, 1), (8_100, 2, 2)] {
            lines.hear(line(told, 1, told == 1), 1, now_ms);
            assert_eq!(database(&lines), Some(id(followed)), "at {now_ms}");
        }
        assert_eq!(lines.since_ms(), 0, "nobody has agreed");
    }

    #[test]
    fn records_of_another_installation_serve_no_more_once_that_one_lives() {
        let lines = lines();
        lines.hear(line(1, 2, false), 1, 1_000);
        let Heard::Line(held) = line(1, 2, false) else { panic!("a line") };
        let beside = || Heard::Line(Arc::new(Line { is_beside: true, ..(*held).clone() }));
        assert_eq!((lines.hear(beside(), 1, 2_000), lines.since_ms()), (News::Other, 2_000));
        assert_eq!((lines.hear(beside(), 1, 3_000), lines.since_ms()), (News::None, 2_000));
    }

    #[test]
    fn billing_that_does_not_know_yet_makes_nothing_old() {
        let lines = lines();
        lines.hear(line(1, 1, true), 1, 1_000);
        let Heard::Line(known) = line(1, 1, false) else { panic!("a line") };
        let unsure = Line { owner: None, is_known: false, ..(*known).clone() };
        assert_eq!(lines.hear(Heard::Line(Arc::new(unsure)), 1, 2_000), News::None);
        assert_eq!(lines.heard(), line(1, 1, true));
        assert_eq!(lines.hear(line(1, 1, true), 1, 3_000), News::None);
        assert_eq!(lines.since_ms(), 0);
    }

    #[test]
    fn what_stands_beside_the_records_has_to_do_until_billing_says_something() {
        let lines = lines();
        let Heard::Line(presumed) = line(1, 1, true) else { panic!("a line") };
        lines.presume((*presumed).clone());
        assert_eq!((database(&lines), lines.is_sure()), (Some(id(1)), false));
        assert_eq!(lines.hear(line(2, 1, false), 1, 1_000), News::Other, "however lately it was presumed");
        assert_eq!((database(&lines), lines.since_ms(), lines.is_sure()), (Some(id(2)), 1_000, true));
        lines.presume((*presumed).clone());
        assert_eq!(database(&lines), Some(id(2)));
    }

    #[test]
    fn a_namespace_that_is_set_has_to_be_that_of_billing_and_one_that_is_made_is_learnt() {
        let made = lines();
        made.hear(line(1, 1, true), 1, 1_000);
        assert_eq!((made.mismatch(), database(&made)), (None, Some(id(1))));
        let set = Lines::new(Namespaced::Set(namespace("other")));
        set.hear(line(1, 1, true), 1, 1_000);
        assert!(set.mismatch().is_some_and(|told| told.contains("\"other\"") && told.contains("\"site\"")));
        assert_eq!(database(&set), None, "and nothing is taken from the cache");
        set.hear(Heard::Before, 1, 2_000);
        assert_eq!(set.mismatch(), None);
    }

    #[test]
    fn billing_of_an_older_build_has_no_line() {
        let lines = lines();
        assert_eq!(lines.hear(Heard::Before, 1, 1_000), News::None);
        assert_eq!(database(&lines), None);
        assert_eq!(lines.hear(line(1, 1, true), 1, 2_000), News::Other);
        assert_eq!(lines.hear(Heard::Before, 1, 3_000), News::Other);
    }
}
