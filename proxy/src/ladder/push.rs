//! Changes that are pushed to this process, and the knowledge of whether they are.
//!
//! Every confirmed subscription begins an epoch. A record that was confirmed in the current epoch is fresh for as long
//! as the epoch lasts, as no change of it can be missed; when the channel is lost, no epoch is current.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use entitlement::record::{self, CHANNEL, Entitlement};
use futures_util::StreamExt;
use prometheus::{IntCounter, IntGauge};
use redis::{Client, RedisError};
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

/// Shortest pause before another subscription, in milliseconds.
const PAUSE_MS_MIN: u64 = 50;

/// Longest pause before another subscription, in milliseconds.
const PAUSE_MS_MAX: u64 = 5_000;

/// How long connecting and subscribing may take.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(2);

/// Which push epoch is current, if any.
#[derive(Debug)]
pub(super) struct Epoch {
    /// 0 while nothing is pushed.
    current: AtomicU32,
    last: AtomicU32,
    gauge: IntGauge,
}

/// Who takes in what is pushed.
pub(super) trait Sink: Send + Sync + 'static {
    fn epoch(&self) -> &Epoch;

    /// Takes in a record.
    fn pushed(&self, record: Arc<Entitlement>);
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("redis failed")]
    Redis(#[from] RedisError),
    #[error("redis did not answer in time")]
    Timeout,
    #[error("redis closed the connection")]
    Closed,
}

impl Epoch {
    pub(super) fn new(gauge: IntGauge) -> Self {
        gauge.set(0);
        Self { current: AtomicU32::new(0), last: AtomicU32::new(0), gauge }
    }

    /// The current epoch, or 0.
    pub(super) fn current(&self) -> u32 {
        self.current.load(Ordering::Acquire)
    }

    /// Begins a new epoch: what was confirmed before may have changed unnoticed.
    pub(super) fn begin(&self) {
        let epoch = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        self.current.store(epoch, Ordering::Release);
        self.gauge.set(1);
    }

    /// Ends the current epoch.
    pub(super) fn end(&self) {
        self.current.store(0, Ordering::Release);
        self.gauge.set(0);
    }
}

/// Follows the Redis channel for ever. `staleness_max` bounds how long a silent loss goes unnoticed.
pub(super) async fn follow_redis<S: Sink>(client: Client, sink: Arc<S>, poisoned: IntCounter, staleness_max: Duration) {
    let mut pause_ms = PAUSE_MS_MIN;
    loop {
        let before = sink.epoch().last.load(Ordering::Acquire);
        let Err(lost) = subscription(&client, &*sink, &poisoned, staleness_max / 4).await;
        sink.epoch().end();
        // One that held for a while starts over with the shortest pause.
        if sink.epoch().last.load(Ordering::Acquire) != before {
            pause_ms = PAUSE_MS_MIN;
        }
        warn!(error = &lost as &dyn std::error::Error, "changes are not pushed to this process: subscribing again");
        sleep(Duration::from_millis(rand::random_range(pause_ms / 2..=pause_ms))).await;
        pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
    }
}

/// One subscription, until it is lost. A heartbeat finds a connection that is dead without having been closed.
async fn subscription<S: Sink>(
    client: &Client,
    sink: &S,
    poisoned: &IntCounter,
    heartbeat: Duration,
) -> Result<std::convert::Infallible, Lost> {
    let connect = async {
        let (mut control, messages) = client.get_async_pubsub().await?.split();
        control.subscribe(CHANNEL).await?;
        Ok::<_, RedisError>((control, messages))
    };
    let (mut control, mut messages) = timeout(SUBSCRIBE_DEADLINE, connect).await.map_err(|_| Lost::Timeout)??;
    sink.epoch().begin();
    info!("changes are pushed to this process");
    let mut beat = interval(heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => match record::decode(&text_of(&message.ok_or(Lost::Closed)?)) {
                Ok(record) => sink.pushed(Arc::new(record)),
                Err(error) => {
                    poisoned.inc();
                    warn!(error = &error as &dyn std::error::Error, "a pushed change cannot be read");
                    // Nobody knows whom it was about.
                    sink.epoch().begin();
                }
            },
            _ = beat.tick() => {
                timeout(heartbeat, control.ping::<redis::Value>()).await.map_err(|_| Lost::Timeout)??;
            }
        }
    }
}

fn text_of(message: &redis::Msg) -> String {
    String::from_utf8_lossy(message.get_payload_bytes()).into_owned()
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
