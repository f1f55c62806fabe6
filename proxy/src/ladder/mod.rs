//! What an account has, from the nearest layer that knows: this process, then Redis, then billing.
//!
//! A record in this process is fresh while changes are pushed here and it was confirmed since, else for
//! `max_staleness` after it was confirmed. When all layers below are down it serves for `stale_if_error`, marked so.
//! Versions never go backward, in whatever order answers and pushes arrive.

mod answer;
mod apart;
mod below;
mod billing;
pub(crate) mod budget;
pub(crate) mod circuit;
mod climb;
mod denial;
mod ends;
mod entry;
mod flight;
mod followers;
mod hints;
mod l1;
mod line;
mod look;
mod plans;
mod push;
mod recall;
mod redis;
mod sink;

pub use answer::{Found, Freshness, Layer, Unresolved};
pub use below::{Answer, BILLING_AUDIENCE, Below, BelowError, Beside, HttpBilling, Told};
pub use entry::Entry;
pub use followers::Follower;
pub use line::{Heard, Line, Namespaced};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cache::{Place, PlaceError, Refusals};
use entitlement::account::AccountId;
use entitlement::naming::Names;
#[cfg(test)]
use entitlement::record::Entitlement;
use entitlement::record::{self, DatabaseId, Record};
use prometheus::IntCounter;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use self::apart::Apart;
use self::billing::Billing;
use self::climb::Depth;
use self::ends::Ends;
#[cfg(test)]
use self::entry::{Confirmation, Source};
use self::flight::{Boarding, Flights, Landing};
use self::followers::Followers;
use self::hints::Hints;
use self::l1::L1;
use self::line::Lines;
use self::push::Epoch;
use self::recall::Recall;
use self::redis::{Read, Redis, Shared};
use self::sink::Sessions;
use crate::clock::Moment;
use crate::metrics::{LayerCounters, Metrics};
use crate::settings::Secret;

/// Longest life of a record of an account that nobody knows, in milliseconds.
const NEGATIVE_MS_MAX: u64 = 2_000;

/// How much longer than all of its deadlines a flight is waited for: it ends only if the I/O runtime stands still.
const FLIGHT_MARGIN: Duration = Duration::from_millis(500);

/// The bounds of the cache.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a record is served without push and without being confirmed.
    pub max_staleness: Duration,
    /// How long a record is served when nothing below answers.
    pub stale_if_error: Duration,
    /// Most accounts in this process.
    pub capacity: usize,
    /// How long Redis may take to answer.
    pub redis_deadline: Duration,
    /// How long billing may take to answer.
    pub billing_deadline: Duration,
    /// The cache that all proxies share; none for one process alone.
    pub redis_url: Option<Secret>,
    /// The name that keeps installations apart that share it.
    pub namespace: Namespaced,
}

impl Settings {
    fn place(&self) -> Result<Option<Place>, PlaceError> {
        self.redis_url.as_ref().map(|url| Place::parse(url.expose())).transpose()
    }
}

/// The layers.
pub struct Ladder {
    l1: L1,
    redis: Option<Arc<dyn Shared>>,
    refusals: Arc<Refusals>,
    /// Whether Redis has answered a first question.
    is_tried: AtomicBool,
    billing: Billing,
    epoch: Epoch,
    lines: Lines,
    /// The last news of billing itself, and whether the catalog in force lacks something.
    beside: ArcSwap<Beside>,
    /// By which claims accounts are named, as billing says.
    names: watch::Sender<Option<Names>>,
    apart: Apart,
    recall: Recall,
    is_lacking: AtomicBool,
    hints: Hints,
    /// Of accounts that are asked for, and of denials that are asked again.
    lookups: Arc<Flights>,
    rechecks: Arc<Flights>,
    followers: Arc<Followers>,
    sessions: Sessions,
    ends: Ends,
    io: Handle,
    /// Zero of the ladder's clock.
    start: Instant,
    expects_push: AtomicBool,
    max_staleness_ms: AtomicU64,
    stale_if_error_ms: AtomicU64,
    /// How long a request waits for a flight.
    patience: Duration,
    counters: Counters,
}

struct Counters {
    l1: LayerCounters,
    pushed_poison: IntCounter,
}

impl Ladder {
    /// Builds the layers. All their input and output happens on `io`.
    ///
    /// # Errors
    /// When the Redis URL cannot be used.
    pub fn new(settings: &Settings, io: Handle, below: Arc<dyn Below>, now: Moment) -> Result<Arc<Self>, LadderError> {
        let metrics = Metrics::get().map_err(LadderError::Metrics)?;
        let within = io.enter();
        let redis = settings.place()?.map(|place| {
            let redis: Arc<dyn Shared> = Redis::new(place, settings.redis_deadline, metrics.layer("redis"));
            redis
        });
        drop(within);
        Ok(Self::over(redis, settings, io, (below, now), metrics))
    }

    /// The layers over any shared cache.
    fn over(
        redis: Option<Arc<dyn Shared>>,
        settings: &Settings,
        io: Handle,
        (below, now): (Arc<dyn Below>, Moment),
        metrics: &Metrics,
    ) -> Arc<Self> {
        let counters = Counters { l1: metrics.layer("l1"), pushed_poison: metrics.layer("push").poisoned };
        Arc::new(Self {
            l1: L1::new(settings.capacity),
            is_tried: AtomicBool::new(false),
            refusals: redis.as_ref().map(|redis| redis.refusals()).unwrap_or_default(),
            redis,
            billing: Billing::new(Arc::clone(&below), settings.billing_deadline, metrics.layer("billing")),
            epoch: Epoch::new(metrics.push_connected.clone()),
            lines: Lines::new(settings.namespace.clone()),
            beside: ArcSwap::default(),
            names: watch::Sender::default(),
            apart: Apart::default(),
            recall: Recall::default(),
            is_lacking: AtomicBool::new(false),
            hints: Hints::default(),
            lookups: Arc::default(),
            rechecks: Arc::default(),
            followers: Arc::default(),
            sessions: Sessions::default(),
            ends: Ends::new(Arc::clone(&below), settings.billing_deadline, &io, ends::Counters::of(metrics)),
            io,
            // An hour of room, so that no moment of this process is before zero.
            start: now.tick.checked_sub(Duration::from_secs(3600)).unwrap_or(now.tick),
            expects_push: AtomicBool::new(false),
            max_staleness_ms: AtomicU64::new(millis(settings.max_staleness)),
            stale_if_error_ms: AtomicU64::new(millis(settings.stale_if_error)),
            // The last one twice: for its turn, and for its answer.
            patience: settings.redis_deadline * 2 + settings.billing_deadline * 2 + FLIGHT_MARGIN,
            counters,
        })
    }

    /// Begins to follow pushed changes: from Redis when there is one, else from the channel of this process.
    ///
    /// # Errors
    /// When the Redis URL cannot be used.
    pub fn follow(
        self: &Arc<Self>,
        settings: &Settings,
        local: Option<broadcast::Receiver<Arc<Record>>>,
    ) -> Result<(), LadderError> {
        self.expects_push.store(settings.redis_url.is_some() || local.is_some(), Ordering::Release);
        match (settings.place()?, local) {
            (Some(place), _) => {
                let notes = (self.counters.pushed_poison.clone(), Arc::clone(&self.refusals));
                let heartbeat = push::heartbeat(settings.max_staleness);
                let heard = self.lines.follow();
                self.io.spawn(push::follow_redis(place.clone(), Arc::clone(self), heard, notes, heartbeat));
                self.io.spawn(push::follow_before(place, Arc::clone(self), heartbeat));
                self.io.spawn(Arc::clone(self).watch_below(heartbeat));
            }
            (None, Some(channel)) => {
                self.io.spawn(push::follow_local(channel, Arc::clone(self)));
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Whether there is a channel on which changes are pushed.
    #[must_use]
    pub fn expects_push(&self) -> bool {
        self.expects_push.load(Ordering::Acquire)
    }

    /// Whether changes are pushed to this process now.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.epoch.current() != 0
    }

    /// The warnings for an operator: what Redis refuses, whether billing does, and its own warnings. Redis is asked until it has
    /// answered once, and while it refuses something.
    pub(crate) async fn refused(&self, now: Moment) -> Vec<String> {
        if let (Some(redis), Ok(account)) = (&self.redis, AccountId::parse(record::PROBE))
            && (!self.is_tried.load(Ordering::Relaxed) || !self.refusals.all().is_empty())
        {
            // A record of no database: nobody has it.
            let (namespace, database) = (self.lines.configured().clone(), DatabaseId::new(0));
            let line = Line { namespace, database, owner: None, is_settled: false, is_beside: false, is_known: false };
            let answer = redis.read(Some(&line), &account, self.millis_at(now)).await;
            let has_answered = !matches!(answer, Read::Down) || !self.refusals.all().is_empty();
            self.is_tried.fetch_or(has_answered, Ordering::Relaxed);
        }
        let refused = self.refusals.all().into_iter().map(|refusal| refusal.to_string());
        let refused = refused.chain(self.billing.refusal()).chain(self.apart.warning());
        refused.chain(self.beside.load().warnings.iter().cloned()).collect()
    }

    /// Why Redis pushes nothing, where there is no connection or something is refused.
    pub(crate) fn redis_fault(&self) -> Option<String> {
        let redis = self.redis.as_ref()?;
        if !self.refusals.all().is_empty() {
            return Some("Redis refuses what is needed: see the warnings".to_owned());
        }
        redis.away().map(|why| format!("there is no connection to Redis ({why})"))
    }

    /// Follows the changes of an account.
    #[must_use]
    pub fn follow_account(&self, account: &AccountId) -> Follower {
        self.followers.follow(account)
    }

    /// Puts other bounds in force; the rest of the settings is for the start only.
    pub fn rebound(&self, settings: &Settings) {
        self.max_staleness_ms.store(millis(settings.max_staleness), Ordering::Relaxed);
        self.stale_if_error_ms.store(millis(settings.stale_if_error), Ordering::Relaxed);
    }

    /// How long a record is served without push and without being confirmed.
    #[must_use]
    pub fn max_staleness(&self) -> Duration {
        Duration::from_millis(self.max_staleness_ms.load(Ordering::Relaxed))
    }

    /// How long a record is served when nothing below answers.
    #[must_use]
    pub fn stale_if_error(&self) -> Duration {
        Duration::from_millis(self.stale_if_error_ms.load(Ordering::Relaxed))
    }

    /// The fresh record in this process. Neither waits nor allocates.
    #[must_use]
    pub fn peek(&self, account: &AccountId, now: Moment) -> Option<Found> {
        let Some(entry) = self.l1.get(account) else {
            self.counters.l1.miss.inc();
            return None;
        };
        let now_ms = self.millis_at(now);
        let age_ms = entry.age_ms(now_ms);
        if !self.is_fresh(&entry, now_ms, age_ms) {
            self.counters.l1.stale.inc();
            return None;
        }
        self.counters.l1.hit.inc();
        Some(Found { entry, layer: Layer::L1, age_ms, freshness: Freshness::Fresh })
    }

    /// What the layers below say, or the stale record when they say nothing. To be called after [`Ladder::peek`].
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn find(self: &Arc<Self>, account: &AccountId, now: Moment) -> Result<Found, Unresolved> {
        match self.fly(&self.lookups, account, Depth::Redis, now).await {
            Ok((entry, layer)) => Ok(self.found(entry, layer, Freshness::Fresh, now)),
            Err(Unresolved) => {
                let entry = self.l1.get(account).filter(|entry| entry.record().version > 0).ok_or(Unresolved)?;
                let found = self.found(entry, Layer::L1, Freshness::Stale, now);
                if found.age_ms <= self.stale_if_error_ms.load(Ordering::Relaxed) { Ok(found) } else { Err(Unresolved) }
            }
        }
    }

    fn found(&self, entry: Arc<Entry>, layer: Layer, freshness: Freshness, now: Moment) -> Found {
        let age_ms = entry.age_ms(self.millis_at(now));
        Found { entry, layer, age_ms, freshness }
    }

    fn is_fresh(&self, entry: &Entry, now_ms: u64, age_ms: u64) -> bool {
        (entry.record().version > 0 || age_ms <= NEGATIVE_MS_MAX) && self.is_current(entry, now_ms, age_ms)
    }

    /// Whether no change of a record can have been missed for longer than it may.
    fn is_current(&self, entry: &Entry, now_ms: u64, age_ms: u64) -> bool {
        let current = self.epoch.current();
        (current != 0 && entry.epoch() == current) || self.is_young(entry, now_ms, age_ms)
    }

    /// Whether a record may be served without push. What billing says is true when it is said; what the cache says may be
    /// outdated already, for as long as it takes to notice that it cannot be told of changes: half of the time is kept for
    /// that.
    fn is_young(&self, entry: &Entry, now_ms: u64, age_ms: u64) -> bool {
        let most_ms = self.max_staleness_ms.load(Ordering::Relaxed);
        age_ms <= most_ms / 2 || entry.asked_ms().is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) <= most_ms)
    }

    /// Joins or starts a flight, and waits until it lands.
    async fn fly(self: &Arc<Self>, flights: &Arc<Flights>, account: &AccountId, from: Depth, now: Moment) -> Landing {
        let mut landing = match flights.board(account, self.millis_at(now)) {
            Boarding::Full => return Err(Unresolved),
            Boarding::Joined(landing) => landing,
            Boarding::Led(landing, pilot) => {
                self.io.spawn(Arc::clone(self).pilot(pilot, from, now));
                landing
            }
        };
        let landed = timeout(self.patience, landing.wait_for(Option::is_some)).await;
        match landed {
            Ok(Ok(result)) => result.clone().unwrap_or(Err(Unresolved)),
            // The flight was dropped, or takes longer than its own deadlines.
            Ok(Err(_)) | Err(_) => Err(Unresolved),
        }
    }

    /// A moment on the ladder's clock.
    fn millis_at(&self, now: Moment) -> u64 {
        millis(now.tick.saturating_duration_since(self.start))
    }
}

impl std::fmt::Debug for Ladder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ladder")
            .field("redis", &self.redis.is_some())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Why the layers cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum LadderError {
    #[error("the Redis URL cannot be used")]
    Redis(#[from] PlaceError),
    #[error("the metrics cannot be registered: {0}")]
    Metrics(&'static str),
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod flood_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod redis_tests;
#[cfg(test)]
mod tests;
