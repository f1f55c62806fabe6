//! Asks billing again and again what it says of the cache: whether it could be told of changes, and whose records count.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cache::CacheId;
use entitlement::authorize::Requirement;
use entitlement::naming::Names;
use tokio::time::sleep;
use tracing::{info, warn};

use super::line::{Heard, Line, News};
use super::{Beside, Ladder, Told};
use crate::clock::Moment;

/// How soon billing is asked again as long as nobody has said whose records count.
const SOON: Duration = Duration::from_millis(50);

/// How often it is asked at most because something is unclear.
const UNCLEAR: Duration = Duration::from_millis(100);

impl Ladder {
    /// Asks for ever. Whoever is not told cannot know it otherwise.
    pub(super) async fn watch_below(self: Arc<Self>, pause: Duration) {
        loop {
            self.look_below(crate::clock::moment()).await;
            self.recall();
            let pause = if self.lines.is_sure() { pause.mul_f64(rand::random_range(0.8..1.0)) } else { SOON };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.lines.unclear.notified() => sleep(UNCLEAR).await,
            }
        }
    }

    /// One look. When billing does not answer, nothing is known to have changed.
    pub(super) async fn look_below(&self, now: Moment) {
        let now_ms = self.millis_at(now);
        let Some(Told { is_told, heard, mark, beside }) = self.billing.told(self.lines.remembered(now_ms)).await else {
            return self.look_beside().await;
        };
        // Older builds store no record that may be served: they are asked themselves. So is one that tells another cache than this.
        let is_apart = self.is_apart(&heard, beside.cache.as_ref(), now_ms).await;
        let is_told = is_told && heard != Heard::Before && !is_apart;
        match self.lines.hear(heard, mark, now_ms) {
            News::None => {}
            News::Foreign => return self.billing.elsewhere(),
            News::Other if self.epoch.is_told() && is_told && self.is_pushed() => self.epoch.begin(),
            News::Other => {}
        }
        self.note_beside(beside);
        // Another database has the word: whoever speaks for it may be behind the same address.
        if self.lines.line().is_some_and(|line| line.owner != Some(line.database)) {
            self.billing.look_around();
        }
        match (self.epoch.is_told(), is_told) {
            (true, false) => warn!(
                "billing cannot tell the cache of changes, and is asked itself until it can: its own log and /readyz say why"
            ),
            (false, true) => info!("billing tells the cache of every change"),
            _ => {}
        }
        self.epoch.told(is_told);
    }

    /// Whether the cache of this process is another one than billing's.
    async fn is_apart(&self, heard: &Heard, theirs: Option<&CacheId>, now_ms: u64) -> bool {
        let (Some(redis), Some(theirs), Heard::Line(line)) = (&self.redis, theirs, heard) else { return false };
        let ours = if theirs.is_none() { Some(CacheId::default()) } else { redis.id(&line.namespace).await };
        self.apart.look(theirs, ours.as_ref(), now_ms)
    }

    /// Takes in what billing says of itself. What is new is told in the log once.
    fn note_beside(&self, beside: Beside) {
        let before = self.beside.load();
        if **before == beside {
            return;
        }
        for warning in beside.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
            warn!(warning, "billing warns");
        }
        if beside.lacking != before.lacking && !beside.lacking.is_empty() {
            warn!(lacking = %beside.lacking, "routes that name what the catalog in force lacks do what their on_error says");
        }
        if beside.names.is_some() && beside.names != before.names {
            self.names.send_replace(beside.names.clone());
        }
        self.is_lacking.store(!beside.lacking.is_empty(), Ordering::Release);
        self.beside.store(Arc::new(beside));
    }

    /// Whether a requirement names what the catalog in force lacks.
    #[must_use]
    pub(crate) fn lacks(&self, requirement: &Requirement) -> bool {
        self.is_lacking.load(Ordering::Acquire) && self.beside.load().lacking.is_needed_by(requirement)
    }

    /// By which claims accounts are named, as billing has said last.
    pub(crate) fn names(&self) -> Option<Names> {
        self.names.borrow().clone()
    }

    /// By which claims accounts are named, as billing says, once that is another way than the known one.
    pub(crate) async fn names_change(&self, known: Option<&Names>) -> Option<Names> {
        let mut names = self.names.subscribe();
        let changed = names.wait_for(|names| names.is_some() && names.as_ref() != known).await;
        changed.ok().and_then(|names| names.clone())
    }

    /// As long as billing has said nothing at all, what stands beside the records has to do.
    async fn look_beside(&self) {
        if self.lines.heard() != Heard::Nothing {
            return;
        }
        let Some(redis) = &self.redis else { return };
        let namespace = self.lines.configured().clone();
        if let Some(owner) = redis.owner(&namespace).await {
            let is_settled = owner.held.is_empty();
            let (database, is_known) = (owner.database, false);
            let line = Line { namespace, database, owner: Some(database), is_settled, is_beside: false, is_known };
            self.lines.presume(line);
        }
    }

    /// Why this process cannot work with its billing.
    #[must_use]
    pub fn mismatch(&self) -> Option<String> {
        self.lines.mismatch()
    }

    /// Whether billing has said for sure which records are to be served, or there is no cache to serve them from.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.redis.is_none() || self.lines.is_sure()
    }

    /// Whether billing is of an older build, which pushes nothing that may be served.
    #[must_use]
    pub fn is_billing_older(&self) -> bool {
        self.lines.heard() == Heard::Before && self.mismatch().is_none()
    }
}
