//! Changes that are pushed to this process, and the knowledge of whether they are.
//!
//! Every confirmed subscription begins an epoch. A record that was confirmed in the current epoch is fresh for as long
//! as the epoch lasts, as no change of it can be missed; when the channel is lost, no epoch is current. Nor is one while
//! billing has changes of which it cannot tell the cache: then there is nothing to be pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache::{Lasting, Lost, Pauses, Place, Refusals, Sparing, Subscription, Task};
use entitlement::account::AccountId;
use entitlement::record::forget::{self, Forget};
use entitlement::record::{self, DatabaseId, Entitlement, Namespace, Record, RecordError, before};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::line::Heard;

/// Shortest pause before another subscription, in milliseconds.
const PAUSE_MS_MIN: u64 = 50;

/// Longest pause before another subscription, in milliseconds.
const PAUSE_MS_MAX: u64 = 5_000;

/// Shortest and longest time between two tests of the channel: within twice that a silent loss is noticed.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);

/// Messages that are pushed and cannot be read.
static UNREADABLE: Sparing = Sparing::new();

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

    /// Whether records of this database are to be taken in.
    fn is_ours(&self, database: DatabaseId) -> bool;

    /// Takes in that sessions have ended.
    fn forgets(&self, forget: &Forget);

    /// Takes in a record.
    fn pushed(&self, record: Arc<Entitlement>);

    /// A message in the old form: nothing of it is served, but its account is looked at.
    fn hinted(self: &Arc<Self>, account: &AccountId, version: u64);
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

/// Follows the Redis channel of the namespace that is heard of, for ever.
pub(super) async fn follow_redis<S: Sink>(
    place: Place,
    sink: Arc<S>,
    mut heard: watch::Receiver<Heard>,
    (poisoned, refusals): (IntCounter, Arc<Refusals>),
    heartbeat: Duration,
) {
    let (mut pauses, losses) = (Pauses::between(PAUSE_MS_MIN, PAUSE_MS_MAX), Lasting::default());
    while let Some(namespace) = namespace(&mut heard).await {
        let mut was_open = false;
        let lost = match Subscription::open(&place, &namespace.channel(), heartbeat).await {
            Ok(subscription) => {
                sink.epoch().begin();
                refusals.note(Task::Subscribe, None);
                info!(losses = losses.ends().unwrap_or_default(), "changes are pushed to this process");
                was_open = true;
                let taking_in = take_in(subscription, &*sink, &poisoned);
                tokio::select! {
                    lost = taking_in => lost,
                    () = another(&mut heard, &namespace) => {
                        sink.epoch().end();
                        continue;
                    }
                }
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
        // Told when it begins and when it is over, or for another cause; each try is counted.
        tell_loss(&lost, &place, losses.begins(&lost));
        sleep(pauses.take()).await;
    }
}

fn tell_loss(lost: &Lost, place: &Place, begins: bool) {
    let error = lost as &dyn std::error::Error;
    if begins {
        warn!(error, redis = %place, "changes are not pushed to this process: it goes on to subscribe, and asks billing meanwhile");
    } else {
        debug!(error, redis = %place, "changes are still not pushed to this process");
    }
}

/// Takes in what is pushed, until the subscription is lost.
async fn take_in<S: Sink>(mut subscription: Subscription, sink: &S, poisoned: &IntCounter) -> Lost {
    loop {
        let message = match subscription.next().await {
            Ok(message) => message,
            Err(lost) => return lost,
        };
        let text = String::from_utf8_lossy(&message);
        match forget::decode(&text) {
            Some(Ok(forget)) => {
                sink.forgets(&forget);
                continue;
            }
            Some(Err(error)) => {
                poisoned.inc();
                if let Some(untold) = UNREADABLE.tells(&error) {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        untold, "a pushed end of sessions cannot be read: does something else write to this Redis?"
                    );
                }
                sink.epoch().begin();
                continue;
            }
            None => {}
        }
        match record::decode(&text) {
            Ok(record) if sink.is_ours(record.database) => sink.pushed(Arc::new(record.entitlement)),
            // Another installation under the same namespace, or a billing that is on a former primary.
            Ok(record) => debug!(database = %record.database, "a change of another database is not taken in"),
            Err(error) => {
                if matches!(error, RecordError::Format(_)) {
                    debug!("a change was told in the format of a newer build");
                } else {
                    poisoned.inc();
                    if let Some(untold) = UNREADABLE.tells(&error) {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            untold, "a pushed change cannot be read: does something else write to this Redis?"
                        );
                    }
                }
                // Nobody knows whom it was about.
                sink.epoch().begin();
            }
        }
    }
}

/// The namespace that is heard of, as soon as there is one; `None` when nobody will say any more.
async fn namespace(heard: &mut watch::Receiver<Heard>) -> Option<Namespace> {
    match &*heard.wait_for(|heard| matches!(heard, Heard::Line(_))).await.ok()? {
        Heard::Line(line) => Some(line.namespace.clone()),
        Heard::Nothing | Heard::Before => None,
    }
}

/// Waits until another namespace is heard of.
async fn another(heard: &mut watch::Receiver<Heard>, known: &Namespace) {
    let is_another = |heard: &Heard| matches!(heard, Heard::Line(line) if line.namespace != *known);
    if heard.wait_for(is_another).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Follows the channel on which billing of older builds pushes, for ever. What is missed there is missed: as long as there is such
/// a billing, what it says is believed for no longer than without push.
pub(super) async fn follow_before<S: Sink>(place: Place, sink: Arc<S>, heartbeat: Duration) {
    let mut pauses = Pauses::between(PAUSE_MS_MIN, PAUSE_MS_MAX);
    loop {
        if let Ok(mut subscription) = Subscription::open(&place, before::CHANNEL, heartbeat).await {
            while let Ok(message) = subscription.next().await {
                if let Ok((account, version)) = before::hint(&String::from_utf8_lossy(&message)) {
                    sink.hinted(&account, version);
                }
            }
            pauses.start_over();
        }
        sleep(pauses.take()).await;
    }
}

/// Follows the channel of this process, for as long as somebody sends on it.
pub(super) async fn follow_local<S: Sink>(mut channel: broadcast::Receiver<Arc<Record>>, sink: Arc<S>) {
    sink.epoch().begin();
    loop {
        match channel.recv().await {
            Ok(record) => sink.pushed(Arc::new(record.entitlement.clone())),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                warn!(missed, "changes came faster than they were taken in: what is known is confirmed anew");
                sink.epoch().begin();
            }
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
    sink.epoch().end();
}
