//! `tollgate reconcile`: compare with the providers, repair, report the drift.

use anyhow::{Result, bail};
use billing::{Billing, Kind, Report};
use entitlement::account::AccountId;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Compare with the providers, repair what differs, and report it
///
/// Safe beside live webhooks and other processes, and safe to repeat: a comparison that was interrupted goes on where it
/// stopped. Needs STRIPE_API_KEY or POLAR_ACCESS_TOKEN.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what this account has
    #[arg(long, value_name = "ID", conflicts_with = "events")]
    account: Option<AccountId>,
    /// Only take over events that were never delivered: much quicker than comparing everything
    #[arg(long)]
    events: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let reports = compare(&billing, arguments).await?;
        // Events that were taken over are applied by whoever is quicker: this command or `tollgate run`.
        billing.apply_due(parts::now()).await?;
        parts::publish_all(&billing).await?;
        if arguments.json {
            output::line(serde_json::to_string_pretty(&reports)?);
        } else {
            reports.iter().for_each(|report| output::line(told(report)));
        }
        Ok(())
    })
}

async fn compare(billing: &Billing, arguments: &Arguments) -> Result<Vec<Report>> {
    if let Some(account) = &arguments.account {
        return Ok(billing.reconcile_account(account, parts::now()).await?);
    }
    let kinds: &[Kind] = if arguments.events { &[Kind::Delta] } else { &[Kind::Delta, Kind::Full] };
    let mut reports = Vec::new();
    for kind in kinds {
        reports.extend(billing.reconcile(*kind, parts::now(), |report| output::progress(told(report))).await?);
    }
    if reports.is_empty() {
        bail!("another process is comparing right now: try again when it is done");
    }
    Ok(reports)
}

fn told(report: &Report) -> String {
    let Report { provider, kind, compared, drift, unlinked, refused, is_complete } = report;
    let what = match kind {
        Kind::Delta => "events",
        Kind::Full => "objects",
    };
    let so_far = if *is_complete { "" } else { " so far" };
    let unlinked = match unlinked {
        0 => String::new(),
        unlinked => format!(", {unlinked} of customers that nobody has linked to an account"),
    };
    let refused = match refused {
        0 => String::new(),
        refused => format!(", {refused} about which the provider refuses to say anything"),
    };
    format!("{provider}: {compared} {what} compared{so_far}, {drift} differed and were repaired{unlinked}{refused}")
}
