//! The start of billing: it waits for a PostgreSQL that is away, migrates it, and puts the configuration in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use billing::{Billing, ConnectError, OperatorError, Origin};
use cache::Pauses;
use entitlement::catalog::Catalog;
use entitlement::naming::Names;
use entitlement::record::Record;
use tokio::sync::broadcast;

use crate::commands::parts;
use crate::config::Config;

/// How long a start waits for a database that is away, as when both start at once, before the process ends with the reason.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// The pauses before it is tried again, in milliseconds.
const AWAY_PAUSES_MS: (u64, u64) = (250, 5_000);

/// How long a database that answers may be too busy for a start, as when all processes start at once.
const BUSY_MAX: Duration = Duration::from_secs(30);

/// The pause before a start is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// Billing that has reached its database.
pub struct Started {
    pub billing: Billing,
    /// The catalog that stays in force where the configured one may not take its place.
    pub kept: Option<Catalog>,
    /// The ways of signing in before this start, as far as they are known.
    pub named: Option<Names>,
}

/// Starts it.
pub async fn billing(
    url: &str,
    settings: billing::Settings,
    config: &Config,
    changes: Option<broadcast::Sender<Arc<Record>>>,
) -> Result<Started> {
    let billing = connected(url, settings, changes).await?;
    billing.migrate().await?;
    let until = Instant::now() + BUSY_MAX;
    loop {
        match settle(&billing, config).await {
            Ok((kept, named)) => {
                billing.unset().iter().for_each(|unset| tracing::warn!("{unset}"));
                return Ok(Started { billing, kept, named });
            }
            Err(OperatorError::Store(error)) if error.is_transient() && Instant::now() < until => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database is busy: the start is tried again"
                );
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Billing with its database, which is waited for.
async fn connected(
    url: &str,
    settings: billing::Settings,
    changes: Option<broadcast::Sender<Arc<Record>>>,
) -> Result<Billing, ConnectError> {
    let (until, mut pauses) = (Instant::now() + AWAY_MAX, Pauses::between(AWAY_PAUSES_MS.0, AWAY_PAUSES_MS.1));
    loop {
        match Billing::connect(url, settings.clone(), changes.clone()).await {
            Err(error) if error.is_passing() && Instant::now() < until => {
                tracing::warn!(error = &error as &dyn std::error::Error, "PostgreSQL is away: the start waits for it");
                tokio::time::sleep(pauses.take()).await;
            }
            connected => return connected,
        }
    }
}

/// Puts the configured catalog in force. Returns what stays in force instead, and the ways of signing in before.
async fn settle(billing: &Billing, config: &Config) -> Result<(Option<Catalog>, Option<Names>), OperatorError> {
    billing.check_rights().await?;
    let named = billing.noted_names().await?;
    billing.settle_naming().await?;
    let Some(proposal) = parts::configured_proposal(config) else { return Ok((None, named)) };
    let proposal = billing.with_prices(proposal).await?;
    let considered = billing.consider_catalog(&proposal, Origin::SameFile).await?;
    let settled = billing.settle_catalog(&proposal, Origin::SameFile, considered).await?;
    Ok((settled.kept().cloned(), named))
}
