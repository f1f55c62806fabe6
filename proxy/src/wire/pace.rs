//! How fast a client sends a body that streams: a site that works on one request at a time must not wait for a trickle.
//!
//! The time counts in which the client is waited for, and no other: while the site takes nothing in, nothing is read here.

use std::io::{Error, ErrorKind, Result as IoResult};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::RATE_WINDOW;

/// A client sends a body more slowly than it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body comes too slowly")]
pub struct TooSlow;

/// When a pace begins to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    AtOnce,
    /// The client waits to be told that it may send (`Expect: 100-continue`).
    WithTheFirstBytes,
}

/// The pace of a body.
pub(super) struct Pace {
    /// Least bytes in a window.
    least: u64,
    /// Whether it counts already.
    has_begun: bool,
    /// Of this window: how long the client was waited for, and what it sent.
    waited: Duration,
    bytes: u64,
    /// Since when it is waited for.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// At so many bytes a second; from the beginning, or from the first bytes that come.
    pub(super) fn new(rate: u64, begins: Begins) -> Self {
        let least = rate.saturating_mul(RATE_WINDOW.as_secs());
        let has_begun = begins == Begins::AtOnce;
        Self { least, has_begun, waited: Duration::ZERO, bytes: 0, since: None, timer: None }
    }

    /// So many bytes were read.
    pub(super) fn note(&mut self, bytes: usize) {
        self.has_begun |= bytes > 0;
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.timer = None;
    }

    /// There is nothing to read: whether the client may be waited for.
    pub(super) fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<IoResult<()>> {
        if !self.has_begun {
            return Poll::Pending;
        }
        loop {
            let now = Instant::now();
            let since = *self.since.get_or_insert(now);
            let waited = self.waited + now.saturating_duration_since(since);
            if waited >= RATE_WINDOW {
                if self.bytes < self.least {
                    return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, TooSlow)));
                }
                (self.waited, self.bytes, self.since, self.timer) = (Duration::ZERO, 0, Some(now), None);
                continue;
            }
            let end = now + (RATE_WINDOW - waited);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    /// Whether a client that sends so many bytes after each pause is cut off, and after how many of them.
    async fn cut_off(rate: u64, bytes: usize, pause: Duration) -> Option<usize> {
        let mut pace = Pace::new(rate, Begins::AtOnce);
        for sent in 0..1000 {
            let waiting = poll_fn(|context| pace.poll_wait(context));
            if timeout(pause, waiting).await.is_ok() {
                return Some(sent);
            }
            pace.note(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_too_little_in_a_window_is_cut_off() {
        let second = Duration::from_secs(1);
        assert_eq!(cut_off(500, 600, second).await, None);
        assert_eq!(cut_off(500, 400, second).await, Some(9), "after ten seconds");
        assert_eq!(cut_off(500, 1, second * 3).await, Some(3));
        assert_eq!(cut_off(500, 100_000, second * 60).await, Some(0), "who is silent sends nothing");
        assert_eq!(cut_off(500, 100_000, second * 9).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_leave_to_send_is_not_slow() {
        let mut pace = Pace::new(500, Begins::WithTheFirstBytes);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, poll_fn(|context| pace.poll_wait(context))).await.is_err());
        pace.note(1);
        assert!(timeout(hour, poll_fn(|context| pace.poll_wait(context))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_nothing_is_read_does_not_count() {
        let mut pace = Pace::new(500, Begins::AtOnce);
        for _ in 0..100 {
            let waiting = poll_fn(|context| pace.poll_wait(context));
            assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
            pace.note(1);
            advance(Duration::from_secs(60)).await;
        }
    }
}
