//! Whether the gate has had contact with everything that it needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::ladder::{Below, Ladder};

/// How often what is missing is tried.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long one try may take.
const DEADLINE: Duration = Duration::from_millis(500);

/// What was reached at least once since the start. A later fault is not a reason to take a process out of service: it
/// serves on from what it has.
#[derive(Debug, Default)]
pub struct Readiness {
    listener: AtomicBool,
    billing: AtomicBool,
    /// Whether changes are to be pushed at all.
    push: AtomicBool,
}

impl Readiness {
    /// What has not been reached yet; nothing when the gate is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = [("listener", &self.listener), ("billing", &self.billing), ("push", &self.push)];
        parts.into_iter().filter(|(_, reached)| !reached.load(Ordering::Acquire)).map(|(name, _)| name).collect()
    }

    /// Tries until nothing is missing.
    pub(crate) async fn watch(self: Arc<Self>, ladder: Arc<Ladder>, below: Arc<dyn Below>, listen: SocketAddr) {
        while !self.missing().is_empty() {
            if !self.listener.load(Ordering::Acquire) {
                note(&self.listener, matches!(timeout(DEADLINE, TcpStream::connect(listen)).await, Ok(Ok(_))));
            }
            if !self.billing.load(Ordering::Acquire) {
                note(&self.billing, matches!(timeout(DEADLINE, below.reach()).await, Ok(Ok(()))));
            }
            note(&self.push, !ladder.expects_push() || ladder.is_pushed());
            sleep(INTERVAL).await;
        }
    }
}

fn note(part: &AtomicBool, reached: bool) {
    if reached {
        part.store(true, Ordering::Release);
    }
}
