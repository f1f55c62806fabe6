//! The keys that the site's identity provider publishes (RFC 7517), kept fresh in the background.
//!
//! Requests only ever read the last good set, and no lock is waited for. A request waits for a fetch, shortly, in one
//! case: its token names a key that the set does not have, and a fetch is under way or may begin. Between the beginnings
//! of two fetches lies a floor, so whoever makes up key ids makes us ask no more often.

mod fetch;
mod metrics;
pub(super) mod read;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use cache::{Lasting, Pauses};
use entitlement::Timestamp;
use jsonwebtoken::Algorithm;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

pub(super) use fetch::root;
pub use fetch::{Location, LocationError};
pub use metrics::MetricsError;

use crate::clock;
use fetch::Fetcher;
use metrics::Metrics;

use super::key::Key;
use super::token::KeySet;

/// Longest time that a request waits for the key that its token names.
pub const KEY_WAIT: Duration = Duration::from_secs(1);

/// The longest pause after the first of several failures, in milliseconds; each later one is up to twice as long.
const RETRY_MS_MIN: u64 = 1_000;

/// The longest pause after failures, in milliseconds: a process that waits for its first set is not ready.
const RETRY_MS_MAX: u64 = 30_000;

/// Where keys are published, and how they may be used.
#[derive(Clone, Debug)]
pub struct Settings {
    pub location: Location,
    /// Those that a token may be signed with; none that works with a shared secret.
    pub algorithms: Vec<Algorithm>,
    /// How often the set is fetched.
    pub refresh: Duration,
    /// The least time between the beginnings of two fetches, when a key is missing.
    pub refetch_min: Duration,
}

/// Why published keys cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("there are more than 16 ways under [identity]")]
    TooManyWays,
    #[error("there are no usable keys at {0}")]
    Absent(Location),
}

/// The published keys that are trusted now.
#[derive(Debug)]
pub(super) struct Published {
    settings: Settings,
    fetcher: Fetcher,
    /// Empty, of generation 0, until the first set is there.
    set: ArcSwap<KeySet>,
    /// Tells the background task that a key is missing.
    wanted: Notify,
    progress: watch::Sender<Progress>,
    /// Fetches that fail.
    faults: Lasting,
    metrics: &'static Metrics,
}

/// How far the background task is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// When the last fetch began.
    began: Option<Instant>,
    is_under_way: bool,
    /// How many fetches have ended.
    ended: u64,
}

/// The background task; it ends with this value.
#[derive(Debug)]
pub(super) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Published {
    /// Nothing is fetched before [`Published::follow`].
    pub(super) fn new(settings: Settings) -> Result<Self, PublishedError> {
        let fetcher = Fetcher::new(settings.location.clone())?;
        let set = ArcSwap::from_pointee(KeySet::new(0, Vec::new()));
        let (wanted, progress) = (Notify::new(), watch::Sender::default());
        let (faults, metrics) = (Lasting::default(), Metrics::get()?);
        Ok(Self { settings, fetcher, set, wanted, progress, faults, metrics })
    }

    /// Fetches the set now, and again and again, on `io`.
    pub(super) fn follow(self: Arc<Self>, io: &Handle) -> Following {
        Following(io.spawn(async move {
            let mut pauses = Pauses::between(RETRY_MS_MIN, RETRY_MS_MAX);
            loop {
                let next = if self.fetch().await {
                    pauses.start_over();
                    self.interval()
                } else {
                    pauses.take().min(self.interval())
                };
                self.pause(next).await;
            }
        }))
    }

    /// The set that is trusted now.
    pub(super) fn set(&self) -> Guard<Arc<KeySet>> {
        self.set.load()
    }

    /// Whether there has ever been a set.
    pub(super) fn is_known(&self) -> bool {
        self.set().generation > 0
    }

    /// Whether a key that we do not have could be for this algorithm.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.settings.algorithms.contains(&algorithm)
    }

    /// Returns when a fetch that is under way, or that begins now, has ended; at once, if none may begin yet. Waits for
    /// [`KEY_WAIT`] at most.
    pub(super) async fn renew(&self) {
        let mut progress = self.progress.subscribe();
        let seen = *progress.borrow_and_update();
        if !seen.is_under_way {
            if !self.is_due(seen, clock::moment().tick) {
                return;
            }
            self.wanted.notify_one();
        }
        // Whether it ended in time shows in the set.
        let _ = timeout(KEY_WAIT, progress.wait_for(|progress| progress.ended > seen.ended)).await;
    }

    /// Waits for the first set, or the first failure to get it.
    pub(super) async fn reach(&self) -> Result<(), PublishedError> {
        let mut progress = self.progress.subscribe();
        let _ = timeout(fetch::DEADLINE * 2, progress.wait_for(|progress| progress.ended > 0)).await;
        if self.is_known() { Ok(()) } else { Err(PublishedError::Absent(self.settings.location.clone())) }
    }

    /// Whether the floor between two fetches has passed at `tick`.
    fn is_due(&self, progress: Progress, tick: Instant) -> bool {
        progress.began.is_none_or(|began| tick.saturating_duration_since(began) >= self.settings.refetch_min)
    }

    /// One fetch. Whatever goes wrong, the last good set stays.
    async fn fetch(&self) -> bool {
        self.progress.send_modify(|progress| {
            progress.began = Some(clock::moment().tick);
            progress.is_under_way = true;
        });
        let fetched = self.fetcher.fetch().await.and_then(|body| read::keys(&body, &self.settings.algorithms));
        let has_worked = match fetched {
            Ok(keys) => {
                if let Some(failures) = self.faults.ends() {
                    info!(location = %self.settings.location, failures, "the key set is fetched again");
                }
                self.replace(keys, clock::moment().time);
                true
            }
            Err(error) => {
                self.metrics.failed.inc();
                let (location, kept) = (self.settings.location.to_string(), self.is_known());
                if self.faults.begins(&error) {
                    let kept = if kept { "the last one stays in force" } else { "until it can, nobody is known" };
                    warn!(location, reason = %error, "the key set cannot be fetched: {kept}");
                }
                false
            }
        };
        self.progress.send_modify(|progress| {
            progress.is_under_way = false;
            progress.ended += 1;
        });
        has_worked
    }

    /// The same keys stay the same set, and what they verified stays verified.
    fn replace(&self, keys: Vec<Key>, now: Timestamp) {
        let current = self.set.load();
        if !current.holds(&keys) {
            let location = self.settings.location.to_string();
            info!(location, keys = keys.len(), "the key set has changed: the new one is in force");
            self.metrics.keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
            self.set.store(Arc::new(KeySet::new(current.generation + 1, keys)));
        }
        self.metrics.succeeded.inc();
        self.metrics.last_success.set(now.timestamp());
    }

    /// How long until the next fetch, when all is well. Several processes shall not ask at the same time.
    fn interval(&self) -> Duration {
        self.settings.refresh.mul_f64(0.9 + 0.1 * rand::random::<f64>())
    }

    /// Waits for so long, or until a key is missing and the floor has passed.
    async fn pause(&self, length: Duration) {
        let end = clock::moment().plus(length).tick;
        loop {
            tokio::select! {
                () = sleep_until(end.into()) => return,
                () = self.wanted.notified() => {
                    let progress = *self.progress.borrow();
                    if self.is_due(progress, clock::moment().tick) {
                        return;
                    }
                }
            }
        }
    }
}
