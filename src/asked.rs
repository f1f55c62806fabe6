//! The demands of routes are told in numbers: how many accounts that have access do not pass.

use std::time::Duration;

use anyhow::{Context, Result};
use billing::Billing;
use tokio::time::timeout;

use crate::config::Config;
use crate::config::asked::Step;
use crate::output;

/// How long counting may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Routes that some of the accounts that have access do not pass.
#[derive(Debug, serde::Serialize)]
pub struct Closed {
    pub routes: String,
    pub require: String,
    #[serde(skip)]
    pub before: String,
    pub accounts: u64,
    pub holders: u64,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { routes, require, accounts, holders, .. } = self;
        let pass = output::verb(*accounts, "does", "do");
        write!(
            f,
            "{accounts} of {} that have access {pass} not pass {routes} ({require})",
            output::count(*holders, "account")
        )
    }
}

/// The steps that take routes from accounts, with how many these are.
pub async fn count(billing: &Billing, steps: Vec<Step>) -> Result<Vec<Closed>> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<_> = steps.iter().map(|step| step.asked.clone()).collect();
    let counted = timeout(PATIENCE, billing.shut_out(&asked)).await;
    let shut_out = counted.context("the database takes too long")??;
    let closed = steps.into_iter().zip(shut_out.each).filter(|(_, accounts)| *accounts > 0);
    let closed = closed.map(|(step, accounts)| Closed {
        routes: step.routes.join(", "),
        require: step.asked.now.to_string(),
        before: step.asked.before.to_string(),
        accounts,
        holders: shut_out.holders,
    });
    Ok(closed.collect())
}

/// Tells, before `now` is in force, how many lose routes by it.
pub async fn tell_of_reload(billing: Option<&Billing>, before: &Config, now: &Config) {
    let steps = now.asked_since(before);
    let Some(billing) = billing else {
        for Step { routes, asked } in steps {
            tracing::warn!(
                routes = routes.join(", "),
                before = %asked.before,
                require = %asked.now,
                "routes ask for something else than before: the process with billing says how many accounts do not pass, as does `tollgate check --online`"
            );
        }
        return;
    };
    match count(billing, steps).await {
        Ok(closed) => {
            for Closed { routes, require, before, accounts, holders } in closed {
                tracing::warn!(
                    routes,
                    before,
                    require,
                    accounts,
                    holders,
                    "accounts that have access do not pass routes any more that ask for more than before"
                );
            }
        }
        Err(error) => tracing::warn!(
            reason = format!("{error:#}"),
            "it cannot be counted how many accounts do not pass routes any more"
        ),
    }
}

/// Tells how many do not pass the routes with which a process has started.
pub async fn tell_of_start(billing: Billing, steps: Vec<Step>) {
    match count(&billing, steps).await {
        Ok(closed) => {
            for Closed { routes, require, accounts, holders, .. } in closed {
                tracing::info!(routes, require, accounts, holders, "accounts that have access do not pass routes");
            }
        }
        Err(error) => {
            tracing::debug!(reason = format!("{error:#}"), "it cannot be counted how many accounts do not pass routes");
        }
    }
}
