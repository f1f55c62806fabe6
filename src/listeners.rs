//! The listeners of a process: opened by it, or taken over from the process that it relieves; and offered to the next.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proxy::{Signals, Stop};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Ready;
use crate::config::secrets::Secrets;
use crate::config::{self, Config};
use crate::handover::{self, Listeners, Predecessor};
use crate::serve::Role;

/// How often the parts of a process that takes over are asked whether they are ready.
const LOOK: Duration = Duration::from_millis(50);

/// The listeners that a role needs, and the process that they are from.
pub struct Opened {
    pub listeners: Listeners,
    predecessor: Option<Predecessor>,
    place: Option<PathBuf>,
}

/// Opens what `role` needs.
pub fn open(config: &Config, secrets: &Secrets, role: Role) -> Result<Opened> {
    let place = config.handover_path();
    if place.is_some() {
        check_handover(secrets, role)?;
    }
    let taken = place.as_deref().map(handover::take_over).transpose()?.flatten();
    let (taken, predecessor) = taken.map_or_else(Default::default, |(taken, from)| (taken, Some(from)));
    let listen = &config.file.listen;
    let mut listeners = Listeners::default();
    if role.has_proxy() {
        listeners.public = Some(listener("listen.public", &listen.public, taken.public)?);
        if !listen.decide.is_empty() {
            listeners.decide = Some(listener("listen.decide", &listen.decide, taken.decide)?);
        }
    }
    if role.has_billing() {
        listeners.billing = Some(listener("listen.billing", &listen.billing, taken.billing)?);
    }
    listeners.admin = Some(listener("listen.admin", &listen.admin, taken.admin)?);
    Ok(Opened { listeners, predecessor, place })
}

/// Two processes overlap: what only one of them can have makes them disagree.
fn check_handover(secrets: &Secrets, role: Role) -> Result<()> {
    let missing = [
        ("DATABASE_URL", role.has_billing() && secrets.database_url.is_none()),
        ("REDIS_URL", secrets.redis_url.is_none()),
        ("TOLLGATE_ASSERTION_KEY", secrets.assertion_key()?.is_none()),
    ];
    match missing.into_iter().find(|(_, is_missing)| *is_missing) {
        Some((name, _)) => bail!("shutdown.handover needs {name}: for a moment two processes run, which must agree"),
        None => Ok(()),
    }
}

/// The listener that was taken over if it is where the configuration says, else a new one.
fn listener(key: &str, name: &str, taken: Option<TcpListener>) -> Result<TcpListener> {
    let address: SocketAddr = config::address(key, name)?;
    match taken {
        Some(taken) if taken.local_addr().is_ok_and(|is_at| is_at == address) => Ok(taken),
        _ => TcpListener::bind(address).with_context(|| {
            format!(
                "cannot listen on {key} = \"{name}\": stop what uses that port, or choose another in the configuration"
            )
        }),
    }
}

impl Opened {
    /// Begins to offer the listeners to the next process, once this one is ready and has relieved the one before it.
    pub fn offer(
        self,
        runtime: &Runtime,
        ready: Arc<Vec<Box<dyn Ready>>>,
        admin: CancellationToken,
    ) -> Option<Offered> {
        let Self { listeners, predecessor, place } = self;
        let place = place?;
        let offered = runtime.spawn(async move {
            if let Some(predecessor) = predecessor {
                while !is_ready(&ready).await {
                    tokio::time::sleep(LOOK).await;
                }
                predecessor.relieve()?;
                tracing::info!("this process has taken over");
            }
            handover::offer(place, listeners).await
        });
        Some(Offered { offered, admin })
    }

    /// The listeners again, for who serves on them.
    pub fn share(&self) -> Result<Listeners> {
        let share = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::try_clone).transpose();
        let Listeners { public, billing, admin, decide } = &self.listeners;
        Ok(Listeners { public: share(public)?, billing: share(billing)?, admin: share(admin)?, decide: share(decide)? })
    }
}

async fn is_ready(parts: &[Box<dyn Ready>]) -> bool {
    for part in parts {
        if !part.missing().await.is_empty() {
            return false;
        }
    }
    true
}

/// Listeners that another process may take over.
pub struct Offered {
    offered: JoinHandle<Result<()>>,
    /// Ends the admin listener of this process: the other one answers there.
    admin: CancellationToken,
}

/// Waits for a signal to stop, or until another process has taken over. From then on nothing is offered any more.
pub async fn stop(signals: &mut Signals, offered: &mut Option<Offered>) -> Stop {
    let Some(Offered { offered: task, admin }) = offered else { return signals.next().await };
    let stop = tokio::select! {
        stop = signals.next() => stop,
        ended = &mut *task => match ended {
            Ok(Ok(())) => {
                tracing::info!("another process has taken over: this one ends");
                admin.cancel();
                Stop::Graceful
            }
            Ok(Err(error)) => {
                tracing::error!(reason = format!("{error:#}"), "the listeners are not offered to another process");
                signals.next().await
            }
            Err(error) => {
                tracing::error!(%error, "the listeners are not offered to another process");
                signals.next().await
            }
        },
    };
    // Its copies of the listeners close with it.
    task.abort();
    *offered = None;
    stop
}
