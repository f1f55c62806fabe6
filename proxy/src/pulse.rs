//! When the parts of a body come that streams over HTTP/2, where neither Pingora nor the connection can tell a client that
//! is silent from one that is not.
//!
//! A site that takes nothing in holds the client back, too: then the connection to the site has bytes that it cannot send,
//! and the client is not to blame.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use pingora::protocols::SocketDigest;
use tokio::time::{Instant, sleep_until};

use crate::limits::RATE_WINDOW;

/// What has come of a body.
pub(crate) struct Pulse {
    state: Mutex<State>,
    /// The connection to the site.
    site: OnceLock<Arc<SocketDigest>>,
    bounds: Bounds,
}

/// What a client may take its time for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long it may be silent.
    pub(crate) silence: Duration,
    /// Least bytes in a window; 0: none.
    pub(crate) least: u64,
}

struct State {
    last: Instant,
    /// When the window has begun, and what has come in it.
    window: Instant,
    bytes: u64,
    is_over: bool,
}

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// To be looked at again then.
    Again(Instant),
    TooSlow,
    Over,
}

impl Pulse {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let now = Instant::now();
        let state = State { last: now, window: now, bytes: 0, is_over: false };
        Self { state: Mutex::new(state), site: OnceLock::new(), bounds }
    }

    /// A part of so many bytes has come, which may be the last.
    pub(crate) fn beat(&self, bytes: usize, is_over: bool) {
        let mut state = self.state.lock();
        state.last = Instant::now();
        state.bytes += bytes as u64;
        state.is_over |= is_over;
    }

    /// Nothing of it is waited for any more.
    pub(crate) fn stop(&self) {
        self.state.lock().is_over = true;
    }

    /// The body goes on over this connection.
    pub(crate) fn goes_to(&self, site: Arc<SocketDigest>) {
        // A second try goes over another one: what it holds back is not seen.
        let _ = self.site.set(site);
    }

    /// Ends when the client is too slow.
    pub(crate) async fn stops(&self) {
        loop {
            match self.look(Instant::now()) {
                Look::Again(then) => sleep_until(then).await,
                Look::TooSlow => return,
                Look::Over => std::future::pending().await,
            }
        }
    }

    fn look(&self, now: Instant) -> Look {
        let mut state = self.state.lock();
        if state.is_over {
            return Look::Over;
        }
        let is_silent = now >= state.last + self.bounds.silence;
        let is_window_over = now >= state.window + RATE_WINDOW;
        let is_slow = is_window_over && state.bytes < self.bounds.least;
        if (is_silent || is_slow) && !self.is_held_back() {
            return Look::TooSlow;
        }
        if is_silent {
            state.last = now;
        }
        if is_window_over {
            (state.window, state.bytes) = (now, 0);
        }
        Look::Again((state.last + self.bounds.silence).min(state.window + RATE_WINDOW))
    }

    /// Whether the site takes nothing in.
    fn is_held_back(&self) -> bool {
        let info = self.site.get().and_then(|site| site.tcp_info());
        info.is_some_and(|info| info.tcpi_notsent_bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const BOUNDS: Bounds = Bounds { silence: Duration::from_secs(60), least: 5_000 };

    /// How long a client that sends so many bytes after each pause is waited for, if it is cut off.
    async fn cut_off(bounds: Bounds, bytes: usize, pause: Duration) -> Option<Duration> {
        let (pulse, start) = (Pulse::new(bounds), Instant::now());
        for _ in 0..500 {
            if timeout(pause, pulse.stops()).await.is_ok() {
                return Some(start.elapsed());
            }
            pulse.beat(bytes, false);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_silent_or_too_slow_is_cut_off() {
        let second = Duration::from_secs(1);
        assert_eq!(cut_off(BOUNDS, 600, second).await, None);
        assert_eq!(cut_off(BOUNDS, 400, second).await, Some(second * 10));
        assert_eq!(cut_off(BOUNDS, 1, second * 9).await, Some(second * 10));
        let no_rate = Bounds { least: 0, ..BOUNDS };
        assert_eq!(cut_off(no_rate, 1, second * 59).await, None);
        assert_eq!(cut_off(no_rate, 1, second * 90).await, Some(second * 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_over_is_waited_for_no_more() {
        for end in [|pulse: &Pulse| pulse.beat(1, true), Pulse::stop] {
            let pulse = Pulse::new(BOUNDS);
            end(&pulse);
            advance(Duration::from_secs(3600)).await;
            assert_eq!(pulse.look(Instant::now()), Look::Over);
        }
    }
}
