//! Whether the gate has had contact with everything that it needs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::identity::Identity;
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
    /// Whether billing answered last, whatever it said.
    contact: AtomicBool,
    /// Whether changes are to be pushed at all.
    push: AtomicBool,
    /// What tokens are verified with.
    keys: AtomicBool,
    /// Whether the process ends: who asks should go elsewhere.
    stopping: AtomicBool,
    /// Which knows whether this process can work with its billing.
    ladder: OnceLock<Arc<Ladder>>,
}

impl Readiness {
    /// What has not been reached yet; nothing when the gate is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let billing = if self.contact.load(Ordering::Acquire) {
            "billing answers, and does not know yet whose records Redis holds: its own /readyz says what it waits for"
        } else {
            "billing has not answered yet: is it running, and does listen.billing of this configuration lead to it?"
        };
        let fault = self.ladder.get().and_then(|ladder| ladder.redis_fault());
        let push = match fault {
            Some(why) => format!("changes are not pushed yet: {why}"),
            None => "changes are not pushed yet: REDIS_URL has to lead to the Redis that billing uses".to_owned(),
        };
        let parts = [
            ("the listener at listen.public takes no connections yet", &self.listener),
            (billing, &self.billing),
            (push.as_str(), &self.push),
            ("the keys that verify tokens are not known yet: the key set of [identity] has not answered", &self.keys),
        ];
        let unreached = parts.into_iter().filter(|(_, reached)| !reached.load(Ordering::Acquire)).map(|(why, _)| why);
        let stopping = self.stopping.load(Ordering::Acquire).then_some("the process is stopping");
        unreached
            .chain(stopping)
            .map(str::to_owned)
            .chain(self.ladder.get().and_then(|ladder| ladder.mismatch()))
            .collect()
    }

    /// What an operator should know of the layers below: what Redis refuses, and why.
    pub async fn warnings(&self) -> Vec<String> {
        match self.ladder.get() {
            Some(ladder) => ladder.refused(clock::moment()).await,
            None => Vec::new(),
        }
    }

    /// Says from now on that the process ends.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Tries until nothing is missing.
    pub(crate) async fn watch(
        self: Arc<Self>,
        ladder: Arc<Ladder>,
        identity: Arc<Identity>,
        below: Arc<dyn Below>,
        listen: SocketAddr,
    ) {
        let ladder = self.ladder.get_or_init(|| ladder);
        while !self.missing().is_empty() && !self.stopping.load(Ordering::Acquire) {
            if !self.listener.load(Ordering::Acquire) {
                note(&self.listener, matches!(timeout(DEADLINE, TcpStream::connect(listen)).await, Ok(Ok(_))));
            }
            if !self.billing.load(Ordering::Acquire) {
                let is_reached = matches!(timeout(DEADLINE, below.reach()).await, Ok(Ok(())));
                self.contact.store(is_reached, Ordering::Release);
                note(&self.billing, is_reached && ladder.is_sure());
            }
            note(&self.push, !ladder.expects_push() || ladder.is_pushed() || ladder.is_billing_older());
            note(&self.keys, identity.has_keys());
            // A refusal is told in the log as soon as it is known.
            ladder.refused(clock::moment()).await;
            sleep(INTERVAL).await;
        }
    }
}

fn note(part: &AtomicBool, reached: bool) {
    if reached {
        part.store(true, Ordering::Release);
    }
}
