//! Replaces what the gate goes by while it runs: all of it, or nothing.

use std::sync::Arc;

use arc_swap::ArcSwap;
use entitlement::naming::Names;
use entitlement::record::forget::Forget;
use tokio::runtime::Handle;

use crate::identity::Identity;
use crate::ladder;
use crate::metrics::Metrics;
use crate::server::GateError;
use crate::settings::{Settings, Stopping};
use crate::snapshot::{Parts, Snapshot};
use crate::tls::{Certificate, Tls};
use crate::upstream::Upstreams;

/// A handle on a running gate.
#[derive(Clone)]
pub struct Control {
    current: Arc<ArcSwap<Snapshot>>,
    tls: Option<Arc<Tls>>,
    io: Handle,
    metrics: &'static Metrics,
}

/// Settings that can be put in force: nothing about them can fail any more.
pub struct Prepared {
    snapshot: Arc<Snapshot>,
    certificate: Option<Certificate>,
    cache: ladder::Settings,
}

/// Whether what verifies tokens is to be built again. It remembers what it has verified, and the keys that it fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Same,
    New,
}

impl Control {
    pub(crate) fn new(
        current: Arc<ArcSwap<Snapshot>>,
        tls: Option<Arc<Tls>>,
        io: Handle,
        metrics: &'static Metrics,
    ) -> Self {
        Self { current, tls, io, metrics }
    }

    /// Prepares to put settings in force. The listener, billing's address, the public origin,
    /// the assertion's key, the size of the cache, Redis, and whether there is TLS stay as they were at the start.
    ///
    /// # Errors
    /// When a setting cannot be used. Nothing has changed then.
    pub async fn prepare(&self, settings: Settings, verification: Verification) -> Result<Prepared, GateError> {
        let before = self.current.load_full();
        let upstreams = Upstreams::new(&settings.upstream, settings.billing, &self.io)?;
        let identity = match verification {
            Verification::Same => Arc::clone(&before.identity),
            Verification::New => {
                let identity = Arc::new(Identity::new(settings.identity.clone())?);
                identity.follow(&self.io);
                identity.told_by(&before.admission.ladder);
                // Nobody is locked out for a provider that is not there: the old keys stay.
                identity.reach().await?;
                identity
            }
        };
        upstreams.settle().await;
        let (certificate, cache) = (settings.certificate.clone(), settings.cache.clone());
        let parts = Parts { identity, admission: Arc::clone(&before.admission), upstreams };
        Ok(Prepared { snapshot: Arc::new(Snapshot::new(settings, parts, self.metrics)), certificate, cache })
    }

    /// Puts what was prepared in force, for all requests that begin from now on.
    pub fn commit(&self, prepared: Prepared) {
        let Prepared { snapshot, certificate, cache } = prepared;
        if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
            tls.replace(certificate);
        }
        snapshot.admission.ladder.rebound(&cache);
        self.current.store(snapshot);
    }

    /// Forgets sessions that the application says have ended, in this process.
    pub fn forget(&self, forget: &Forget) {
        self.current.load().identity.forget(forget);
    }

    /// By which claims accounts are named, as billing says, once that is another way than the known one.
    pub async fn names_change(&self, known: Option<&Names>) -> Option<Names> {
        let ladder = Arc::clone(&self.current.load().admission.ladder);
        ladder.names_change(known).await
    }

    /// By which claims accounts are named, as billing has said last; `None` as long as it has not.
    #[must_use]
    pub fn names(&self) -> Option<Names> {
        self.current.load().admission.ladder.names()
    }

    pub(crate) fn stopping(&self) -> Stopping {
        self.current.load().stopping
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
