//! SIGHUP: secrets that stand in files are read again, and replaced while everything runs.
//!
//! All of them or none: a file that is half written or gone must not leave a process that believes nobody.

use std::sync::Arc;

use anyhow::{Context, Result};
use billing::Billing;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::AdminToken;
use crate::commands::parts;
use crate::config::secrets::Secrets;

/// What is replaced in place. Everything else is read at start only.
const REPLACED: [&str; 5] =
    ["STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "POLAR_ACCESS_TOKEN", "POLAR_WEBHOOK_SECRET", "TOLLGATE_ADMIN_TOKEN"];

/// The SIGHUPs of this process. From the moment that this exists, none ends the process, nor is one missed.
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to receive them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(runtime: &Runtime) -> Result<Self> {
        let _context = runtime.enter();
        Ok(Self(signal(SignalKind::hangup()).context("SIGHUP cannot be received")?))
    }
}

/// Who uses secrets that can be replaced.
#[derive(Clone)]
pub struct Users {
    /// None in the role proxy, which uses no secret of a provider.
    pub billing: Option<Billing>,
    pub admin_token: Arc<AdminToken>,
}

/// Reads the secrets again on every SIGHUP, for ever. `known` is what is in force.
pub async fn follow(mut hangups: Hangups, users: Users, mut known: Secrets) {
    while hangups.0.recv().await.is_some() {
        // A file system may be slow.
        let read = tokio::task::spawn_blocking(Secrets::from_env).await.map_err(anyhow::Error::from).flatten();
        match read.and_then(|newer| replace(&users, &newer).map(|()| newer)) {
            Ok(newer) => {
                tell(&known.changed(&newer));
                known = newer;
            }
            Err(error) => {
                tracing::error!(reason = format!("{error:#}"), "the secrets cannot be read again: the old ones stay");
            }
        }
    }
}

/// The one step that can be refused comes first.
fn replace(users: &Users, newer: &Secrets) -> Result<()> {
    if let Some(billing) = &users.billing {
        billing.replace_credentials(parts::credentials(newer))?;
    }
    users.admin_token.replace(newer.admin_token.as_deref());
    Ok(())
}

fn tell(changed: &[&str]) {
    let (replaced, others): (Vec<&str>, Vec<&str>) = changed.iter().partition(|name| REPLACED.contains(name));
    if replaced.is_empty() {
        tracing::info!("the secrets were read again: none of those that can be replaced is new");
    } else {
        tracing::info!(secrets = replaced.join(", "), "the secrets were read again: new ones are in force");
    }
    if !others.is_empty() {
        tracing::warn!(secrets = others.join(", "), "these secrets are new too, but need a restart");
    }
}
