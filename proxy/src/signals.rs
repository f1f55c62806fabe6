//! The signals that end the gate.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Let what is in flight end.
    Graceful,
    /// At once.
    Fast,
}

/// SIGTERM and SIGQUIT end gracefully, SIGINT at once: a person at a terminal waits for nothing.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to receive them. None is missed from here on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(runtime: &Runtime) -> std::io::Result<Self> {
        let _context = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Graceful,
            _ = self.quit.recv() => Stop::Graceful,
            _ = self.interrupt.recv() => Stop::Fast,
        }
    }
}
