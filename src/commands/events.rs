//! `tollgate events`: the inbox, for an operator.

use anyhow::{Context, Result, bail};
use billing::{Billing, EventLine, Filter, Stuck, StuckState};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use entitlement::catalog::Provider;
use serde_json::json;

use super::confirm::{Answer, confirm};
use super::{moment, parts};
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::inbox::EventState;
use crate::{ConfigFile, logging, output};

/// List, show or replay provider events
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum Action {
    /// List events, the newest first
    List {
        /// Only events in this state
        #[arg(long, value_enum)]
        state: Option<EventState>,
        #[command(flatten)]
        about: About,
        /// Only events with a smaller number: the page after the one that ended with it
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// Only events that came since then: a date, a date with a time, or how long ago, such as 24h
        #[arg(long, value_name = "TIME", value_parser = moment::since)]
        since: Option<DateTime<Utc>>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show one event and its body
    Show {
        /// Its number, or the provider's id
        id: String,
    },
    /// Put one event, or all that are dead or parked, back to work: applying an event twice changes nothing
    Replay {
        /// Its number, or the provider's id
        #[arg(required_unless_present = "state", conflicts_with_all = ["state", "kind", "account", "provider"])]
        id: Option<String>,
        /// All events in this state: dead or parked
        #[arg(long)]
        state: Option<StuckState>,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        answer: Answer,
    },
}

/// What events are about.
#[derive(clap::Args, Clone)]
struct About {
    /// Only events of this type, such as customer.subscription.updated
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only events of this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Only events of this provider: stripe or polar
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<Provider>,
}

/// Reads or nudges the inbox.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        match &arguments.action {
            Action::List { state, about, before, since, limit } => {
                let About { kind, account, provider } = about.clone();
                let state = state.map(|state| state.as_str().to_owned());
                let provider = provider.map(|provider| provider.as_str().to_owned());
                list(&billing, &Filter { state, kind, account, provider, before: *before, since: *since }, *limit).await
            }
            Action::Show { id } => show(&billing, id).await,
            Action::Replay { id: Some(id), .. } => replay(&billing, id).await,
            Action::Replay { state: Some(state), about, answer, .. } => {
                let About { kind, account, provider } = about.clone();
                replay_stuck(&billing, &Stuck { state: *state, kind, account, provider }, *answer).await
            }
            Action::Replay { .. } => bail!("name an event, or say which: --state dead or --state parked"),
        }
    })
}

async fn list(billing: &Billing, filter: &Filter, limit: u32) -> Result<()> {
    let events = billing.events(filter, limit).await?;
    output::json(&events)?;
    if !events.is_empty() {
        output::line(HEAD);
    }
    for event in &events {
        output::line(one_line(event));
    }
    match events.last() {
        None => {
            if let Some(account) = &filter.account {
                parts::say_if_unknown(billing, account).await?;
            }
            output::progress("no such events");
        }
        Some(last) if u32::try_from(events.len()).is_ok_and(|count| count == limit) => {
            output::progress(format_args!("there may be more: --before {}", last.id));
        }
        Some(_) => {}
    }
    Ok(())
}

/// Above lines of [`one_line`].
pub const HEAD: &str = "      id  state    received              provider  type  event  account  (reason)";

/// Number, state, time, provider, type, the provider's id, the account, and the reason if there is one.
pub fn one_line(event: &EventLine) -> String {
    let reason = event.reason.as_deref().map(|reason| format!("  ({reason})")).unwrap_or_default();
    format!(
        "{:>8}  {:<8} {}  {}  {}  {}  {}{reason}",
        event.id,
        event.state,
        output::moment(event.received_at),
        event.provider,
        event.kind,
        event.event_id,
        event.account.as_deref().unwrap_or("-"),
    )
}

async fn show(billing: &Billing, id: &str) -> Result<()> {
    let (event, body) = billing.event(id).await?.with_context(|| no_event(id))?;
    let text = event.body_pruned_at.is_none().then(|| String::from_utf8_lossy(&body).into_owned());
    output::json(&json!({ "event": event, "body": text }))?;
    output::line(one_line(&event));
    output::line(format_args!("attempts  {}", event.attempts));
    if let Some(next) = event.next_attempt_at {
        output::line(format_args!("next      {}", output::moment(next)));
    }
    if let Some(finished) = event.finished_at {
        output::line(format_args!("finished  {}", output::moment(finished)));
    }
    if let Some(version) = &event.api_version {
        output::line(format_args!("version   {version}"));
    }
    match event.body_pruned_at {
        Some(pruned) => output::line(format_args!("body      pruned at {}: it is gone", output::moment(pruned))),
        None => output::line(String::from_utf8_lossy(&body)),
    }
    Ok(())
}

async fn replay(billing: &Billing, id: &str) -> Result<()> {
    let Some(row) = billing.replay(id).await? else { bail!("{}", no_event(id)) };
    output::json(&json!({ "event": row, "due": 1 }))?;
    output::line(format_args!("event {row} is due again: `tollgate events show {row}` says what becomes of it"));
    Ok(())
}

async fn replay_stuck(billing: &Billing, stuck: &Stuck, answer: Answer) -> Result<()> {
    let accounts = billing.stuck_accounts(stuck).await?;
    if accounts > 1 {
        confirm(&format!("The events are about {}. Apply them all?", output::count(accounts, "account")), answer)?;
    }
    let (mut sum, mut after) = (0, Some(0));
    while let Some(last) = after {
        let batch = billing.replay_stuck(stuck, last).await?;
        (sum, after) = (sum + batch.events, batch.next);
        if after.is_some() {
            output::progress(format_args!("{sum} so far …"));
        }
    }
    output::json(&json!({ "due": sum }))?;
    output::line(format_args!("due again: {sum}"));
    Ok(())
}

fn no_event(id: &str) -> String {
    format!("there is no event {id}: `tollgate events list` shows what there is")
}
