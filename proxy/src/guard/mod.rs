//! Around every connection: ends it when its client is too slow, or when what it streams may not go on.
//!
//! Pingora runs a connection in one future, and copies upgraded connections and long responses inside it without asking
//! anybody. This future is polled here, so that it can be dropped while it waits. The phases of a request run within
//! such a poll, and tell the guard around them through a task-local what they begin, hold and end.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Ends, with the reason, when a response may not go on.
pub(crate) type Hold = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// Ends when a client is too slow.
pub(crate) type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a connection goes on with when its requests are over.
pub(crate) type Rest = Pin<Box<dyn Future<Output = End> + Send>>;

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For the whole headers of a request, from their first byte on; of a first request, from the first moment of its
    /// connection on.
    pub(crate) headers: Duration,
    /// From the end of a request to the first byte of the next.
    pub(crate) idle: Duration,
}

/// How the future of a connection, or of one HTTP/2 stream, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Done,
    /// Its client was too slow to send the headers of a request, or over HTTP/2 the body of one.
    Slow,
    /// What it streamed may not go on, for this reason.
    Held(&'static str),
}

/// How a connection whose requests come one after the other ended.
pub(crate) enum Outcome {
    Ended(End),
    /// Its last request made something else of it.
    GoesOn(Rest),
}

/// What the phases of the request tell the guard around them.
#[derive(Default)]
struct Told {
    /// Whether a request has begun, and whether one is under way.
    has_begun: Cell<bool>,
    busy: Cell<bool>,
    /// Since when the next request is awaited, and since when the rest of its head.
    idle_since: Cell<Option<Instant>>,
    head_since: Cell<Option<Instant>>,
    change: Cell<Change>,
    rest: Cell<Option<Rest>>,
}

#[derive(Default)]
enum Change {
    #[default]
    None,
    Hold(Hold),
    Watch(Watch),
    Release,
}

tokio::task_local! {
    /// Boxed, because it is moved in and out of its place at every poll.
    static TOLD: Box<Told>;
}

/// The headers of a request have arrived.
pub(crate) fn begin() {
    // Absent in tests of single phases.
    let _ = TOLD.try_with(|told| {
        told.has_begun.set(true);
        told.busy.set(true);
        told.head_since.set(None);
    });
}

/// A part of a request's headers has arrived, and the rest is awaited.
pub(crate) fn wait_for_head() {
    let _ = TOLD.try_with(|told| {
        if told.head_since.get().is_none() {
            told.head_since.set(Some(Instant::now()));
        }
    });
}

/// The request is over.
pub(crate) fn finish() {
    let _ = TOLD.try_with(|told| {
        told.busy.set(false);
        told.idle_since.set(Some(Instant::now()));
    });
}

/// Ends the connection (or the HTTP/2 stream) when `hold` does.
pub(crate) fn hold(hold: Hold) {
    let _ = TOLD.try_with(|told| told.change.set(Change::Hold(hold)));
}

/// Ends the HTTP/2 stream when `watch` does.
pub(crate) fn watch(watch: Watch) {
    let _ = TOLD.try_with(|told| told.change.set(Change::Watch(watch)));
}

/// Goes on with `rest` when the connection's requests are over.
pub(crate) fn go_on(rest: Rest) {
    let _ = TOLD.try_with(|told| told.rest.set(Some(rest)));
}

/// What was held is over.
pub(crate) fn release() {
    let _ = TOLD.try_with(|told| told.change.set(Change::Release));
}

/// Runs a connection whose requests come one after the other. When `closing` ends, it is over if no request is under way;
/// if one is, `work` ends after it.
pub(crate) async fn connection(work: impl Future, patience: Patience, closing: impl Future) -> Outcome {
    let over = async {
        let mut closing = pin!(closing);
        let start = Instant::now();
        let mut is_closing = false;
        let mut pause = patience.pause();
        loop {
            tokio::select! {
                () = sleep(pause) => match patience.left(start) {
                    Some(next) => pause = next,
                    None => return End::Slow,
                },
                _ = &mut closing, if !is_closing => {
                    is_closing = true;
                    if !TOLD.with(|told| told.busy.get()) {
                        return End::Done;
                    }
                }
            }
        }
    };
    let ended = async {
        let end = run(work, over).await;
        match TOLD.with(|told| told.rest.take()) {
            Some(rest) if end == End::Done => Outcome::GoesOn(rest),
            _ => Outcome::Ended(end),
        }
    };
    TOLD.scope(Box::default(), ended).await
}

/// Runs one stream of a connection that carries many.
pub(crate) async fn stream(work: impl Future) -> End {
    TOLD.scope(Box::default(), run(work, std::future::pending::<End>())).await
}

/// Runs a connection that carries many streams, for as long as `over` does not end.
pub(crate) async fn streams(work: impl Future, over: impl Future<Output = End>) -> End {
    TOLD.scope(Box::default(), run(work, over)).await
}

impl Patience {
    /// Longest time between two looks at a connection: no client can have taken too long for what has begun meanwhile, so no
    /// request sets a timer.
    fn pause(self) -> Duration {
        self.headers.min(self.idle)
    }

    /// When to look again at a connection that began at `start`; none when its client has taken too long.
    fn left(self, start: Instant) -> Option<Duration> {
        let pause = self.pause();
        TOLD.with(|told| {
            let (since, allowed) = match (told.head_since.get(), told.idle_since.get()) {
                _ if told.busy.get() => return Some(pause),
                // Before its first request a connection has no right to be idle.
                _ if !told.has_begun.get() => (start, self.headers),
                (Some(head_since), _) => (head_since, self.headers),
                (None, idle_since) => (idle_since.unwrap_or(start), self.idle),
            };
            allowed.checked_sub(since.elapsed()).filter(|left| !left.is_zero()).map(|left| left.min(pause))
        })
    }
}

/// Wakes a task, and remembers that it did: what waits for it need not be polled before. A connection is polled several
/// times for each request, and the timer behind it hardly ever has anything to say.
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl Bell {
    /// It has rung, so that what waits for it is polled a first time.
    fn new(task: &Waker) -> Arc<Self> {
        Arc::new(Self { has_rung: AtomicBool::new(true), task: task.clone() })
    }

    /// Polls `future` if the bell has rung since it was polled last.
    fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        if !self.has_rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before the poll: if it rings meanwhile, the future is polled again.
        self.has_rung.store(false, Ordering::Release);
        future.poll(&mut Context::from_waker(&Arc::clone(self).into()))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

async fn run(work: impl Future, over: impl Future<Output = End>) -> End {
    let (mut work, mut over) = (pin!(work), pin!(over));
    let mut held: Option<Hold> = None;
    let mut watched: Option<Watch> = None;
    let mut bell: Option<Arc<Bell>> = None;
    poll_fn(|context| {
        if let Some(hold) = &mut held
            && let Poll::Ready(reason) = hold.as_mut().poll(context)
        {
            return Poll::Ready(End::Held(reason));
        }
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Done);
        }
        if let Some(watch) = &mut watched
            && watch.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(End::Slow);
        }
        match TOLD.with(|told| told.change.take()) {
            Change::None => {}
            Change::Release => held = None,
            Change::Watch(watch) => {
                watched = Some(watch);
                context.waker().wake_by_ref();
            }
            Change::Hold(hold) => {
                held = Some(hold);
                // It has not been polled yet, so nothing would wake it.
                context.waker().wake_by_ref();
            }
        }
        let bell = match &mut bell {
            Some(bell) if bell.task.will_wake(context.waker()) => bell,
            other => other.insert(Bell::new(context.waker())),
        };
        bell.poll(over.as_mut())
    })
    .await
}

#[cfg(test)]
mod tests;
