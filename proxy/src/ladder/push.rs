//! Changes that are pushed to this process, and the knowledge of whether they are.
//!
//! Every confirmed subscription begins an epoch. A record that was confirmed in the current epoch is fresh for as long
//! as the epoch lasts, as no change of it can be missed; when the channel is lost, no epoch is current. Nor is one while
//! billing has changes of which it cannot tell the cache: then there is nothing to be pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache::{Lost, Pauses, Place, Refusals, Subscription, Task};
use entitlement::record::{self, CHANNEL, Entitlement, RecordError};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::broadcast;
use tokio::time::sleep;
use tracing::{debug, info, warn};

/// Shortest pause before another subscription, in milliseconds.
const PAUSE_MS_MIN: u64 = 50;

/// Longest pause before another subscription, in milliseconds.
const PAUSE_MS_MAX: u64 = 5_000;

/// Shortest and longest time between two tests of the channel: within twice that a silent loss is noticed.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);

/// Which push epoch is current, if any.
#[derive(Debug)]
pub(super) struct Epoch {
    /// 0 while nothing is pushed.
    current: AtomicU32,
    state: Mutex<State>,
    gauge: IntGauge,
}

#[derive(Debug)]
struct State {
    last: u32,
    /// Whether the channel holds.
    is_open: bool,
    /// Whether billing can tell the cache of changes.
    is_told: bool,
}

/// Who takes in what is pushed.
pub(super) trait Sink: Send + Sync + 'static {
    fn epoch(&self) -> &Epoch;

    /// Takes in a record.
    fn pushed(&self, record: Arc<Entitlement>);
}

impl Epoch {
    pub(super) fn new(gauge: IntGauge) -> Self {
        gauge.set(0);
        let state = Mutex::new(State { last: 0, is_open: false, is_told: true });
        Self { current: AtomicU32::new(0), state, gauge }
    }

    /// The current epoch, or 0.
    pub(super) fn current(&self) -> u32 {
        self.current.load(Ordering::Acquire)
    }

    /// Whether billing can tell the cache of changes.
    pub(super) fn is_told(&self) -> bool {
        self.state.lock().is_told
    }

    /// Begins a new epoch: what was confirmed before may have changed unnoticed.
    pub(super) fn begin(&self) {
        self.change(|state| state.is_open = true);
    }

    /// Ends the current epoch.
    pub(super) fn end(&self) {
        self.change(|state| state.is_open = false);
    }

    /// Notes whether billing can tell the cache of changes. When it can again, a new epoch begins.
    pub(super) fn told(&self, is_told: bool) {
        if self.is_told() != is_told {
            self.change(|state| state.is_told = is_told);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let is_current = state.is_open && state.is_told;
        if is_current {
            state.last += 1;
        }
        self.current.store(if is_current { state.last } else { 0 }, Ordering::Release);
        self.gauge.set(i64::from(is_current));
    }
}

/// How often the channel is tested, so that a loss is noticed well before `staleness_max` is over.
pub(super) fn heartbeat(staleness_max: Duration) -> Duration {
    (staleness_max / 4).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX)
}

/// Follows the Redis channel for ever.
pub(super) async fn follow_redis<S: Sink>(
    place: Place,
    sink: Arc<S>,
    (poisoned, refusals): (IntCounter, Arc<Refusals>),
    heartbeat: Duration,
) {
    let mut pauses = Pauses::between(PAUSE_MS_MIN, PAUSE_MS_MAX);
    loop {
        let mut was_open = false;
        let lost = match Subscription::open(&place, CHANNEL, heartbeat).await {
            Ok(subscription) => {
                sink.epoch().begin();
                refusals.note(Task::Subscribe, None);
                info!("changes are pushed to this process");
                was_open = true;
                take_in(subscription, &*sink, &poisoned).await
            }
            Err(lost) => lost,
        };
        sink.epoch().end();
        if let Lost::Redis(error) = &lost {
            refusals.note(Task::Subscribe, Some(error));
        }
        // One that held starts over with the shortest pause.
        if was_open {
            pauses.start_over();
        }
        warn!(error = &lost as &dyn std::error::Error, "changes are not pushed to this process: subscribing again");
        sleep(pauses.take()).await;
    }
}

/// Takes in what is pushed, until the subscription is lost.
async fn take_in<S: Sink>(mut subscription: Subscription, sink: &S, poisoned: &IntCounter) -> Lost {
    loop {
        let message = match subscription.next().await {
            Ok(message) => message,
            Err(lost) => return lost,
        };
        match record::decode(&String::from_utf8_lossy(&message)) {
            Ok(record) => sink.pushed(Arc::new(record)),
            Err(error) => {
                if matches!(error, RecordError::Format(_)) {
                    debug!("a change was told in the format of a newer build");
                } else {
                    poisoned.inc();
                    warn!(error = &error as &dyn std::error::Error, "a pushed change cannot be read");
                }
                // Nobody knows whom it was about.
                sink.epoch().begin();
            }
        }
    }
}

/// Follows the channel of this process, for as long as somebody sends on it.
pub(super) async fn follow_local<S: Sink>(mut channel: broadcast::Receiver<Arc<Entitlement>>, sink: Arc<S>) {
    sink.epoch().begin();
    loop {
        match channel.recv().await {
            Ok(record) => sink.pushed(record),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                warn!(missed, "changes came faster than they were taken in");
                sink.epoch().begin();
            }
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
    sink.epoch().end();
}
