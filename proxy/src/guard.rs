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

use tokio::time::sleep;

/// Ends, with the reason, when a response may not go on.
pub(crate) type Hold = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// What a connection goes on with when its requests are over.
pub(crate) type Rest = Pin<Box<dyn Future<Output = End> + Send>>;

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// From the first moment of a connection until it has sent the whole headers of a request.
    pub(crate) headers: Duration,
    /// Between two requests, beside the time for the headers.
    pub(crate) idle: Duration,
}

/// How the future of a connection, or of one HTTP/2 stream, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Done,
    /// Its client was too slow to send the headers of a request.
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
    /// Requests that have begun.
    begun: Cell<u64>,
    busy: Cell<bool>,
    change: Cell<Change>,
    rest: Cell<Option<Rest>>,
}

#[derive(Default)]
enum Change {
    #[default]
    None,
    Hold(Hold),
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
        told.begun.set(told.begun.get() + 1);
        told.busy.set(true);
    });
}

/// The request is over.
pub(crate) fn finish() {
    let _ = TOLD.try_with(|told| told.busy.set(false));
}

/// Ends the connection (or the HTTP/2 stream) when `hold` does.
pub(crate) fn hold(hold: Hold) {
    let _ = TOLD.try_with(|told| told.change.set(Change::Hold(hold)));
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
        let mut waited = Waited::default();
        let mut is_closing = false;
        loop {
            tokio::select! {
                () = sleep(patience.headers) => {
                    if waited.is_too_long(patience) {
                        return End::Slow;
                    }
                }
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

/// How long a connection has waited for its client, counted in looks.
#[derive(Default)]
struct Waited {
    begun: u64,
    looks: u32,
}

impl Waited {
    /// To be called each time that the time for headers has passed.
    fn is_too_long(&mut self, patience: Patience) -> bool {
        let (begun, busy) = TOLD.with(|told| (told.begun.get(), told.busy.get()));
        if busy || begun != self.begun {
            *self = Self { begun, looks: 0 };
            return false;
        }
        self.looks += 1;
        // Before its first request a connection has no right to be idle.
        let allowed = if begun == 0 { Duration::ZERO } else { patience.idle };
        patience.headers * self.looks > allowed
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
        match TOLD.with(|told| told.change.take()) {
            Change::None => {}
            Change::Release => held = None,
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
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, advance};

    use super::*;

    const PATIENCE: Patience = Patience { headers: Duration::from_secs(10), idle: Duration::from_secs(30) };

    fn end(outcome: Outcome) -> End {
        match outcome {
            Outcome::Ended(end) => end,
            Outcome::GoesOn(_) => panic!("it goes on"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_goes_on_when_its_last_request_says_so() {
        let outcome =
            connection(async { go_on(Box::pin(async { End::Held("over") })) }, PATIENCE, pending::<()>()).await;
        let Outcome::GoesOn(rest) = outcome else { panic!("it ended") };
        assert_eq!(rest.await, End::Held("over"));
        let slow = async {
            go_on(Box::pin(async { End::Done }));
            pending::<()>().await;
        };
        assert_eq!(end(connection(slow, PATIENCE, pending::<()>()).await), End::Slow);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_no_headers_is_let_go_after_the_time_for_them() {
        let start = Instant::now();
        assert_eq!(end(connection(pending::<()>(), PATIENCE, pending::<()>()).await), End::Slow);
        assert_eq!(start.elapsed(), PATIENCE.headers);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_client_may_be_idle_for_longer() {
        let start = Instant::now();
        let work = async {
            begin();
            finish();
            pending::<()>().await;
        };
        assert_eq!(end(connection(work, PATIENCE, pending::<()>()).await), End::Slow);
        let (idle, elapsed) = (PATIENCE.idle, start.elapsed());
        assert!(idle < elapsed && elapsed <= idle + PATIENCE.headers * 2, "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_idle_when_all_ends_is_let_go_and_who_asks_is_answered() {
        let closing = || sleep(Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(end(connection(pending::<()>(), PATIENCE, closing()).await), End::Done);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        let work = async {
            begin();
            sleep(Duration::from_secs(3600)).await;
        };
        assert_eq!(end(connection(work, PATIENCE, closing()).await), End::Done);
        assert_eq!(start.elapsed(), Duration::from_secs(3601));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_is_not_idle() {
        let work = async {
            begin();
            sleep(Duration::from_secs(3600)).await;
        };
        assert_eq!(end(connection(work, PATIENCE, pending::<()>()).await), End::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_is_polled_only_when_it_has_something_to_say() {
        let mut polls = 0;
        let mut timer = pin!(sleep(PATIENCE.headers));
        let slow = poll_fn(|context| {
            polls += 1;
            timer.as_mut().poll(context).map(|()| End::Slow)
        });
        let work = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            pending::<()>().await;
        };
        assert_eq!(streams(work, slow).await, End::Slow);
        assert_eq!(polls, 2, "once to begin and once to end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_ends_the_stream_while_it_waits() {
        let work = async {
            hold(Box::pin(async {
                sleep(Duration::from_secs(5)).await;
                "over"
            }));
            pending::<()>().await;
        };
        let start = Instant::now();
        assert_eq!(stream(work).await, End::Held("over"));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_released_ends_nothing() {
        let work = async {
            hold(Box::pin(async {
                sleep(Duration::from_secs(5)).await;
                "over"
            }));
            tokio::task::yield_now().await;
            release();
            sleep(Duration::from_secs(60)).await;
        };
        assert_eq!(stream(work).await, End::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn guards_of_one_thread_do_not_meddle() {
        let ended = stream(async {
            hold(Box::pin(async { "mine" }));
            pending::<()>().await;
        });
        let other = async {
            advance(Duration::from_secs(1)).await;
        };
        assert_eq!(tokio::join!(ended, stream(other)), (End::Held("mine"), End::Done));
    }
}
