//! `tollgate events`: the inbox, for an operator.

use anyhow::{Context, Result, bail};
use billing::{Billing, EventLine, Filter};
use clap::{Subcommand, ValueEnum};

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
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
        state: Option<State>,
        /// Only events of this type, such as customer.subscription.updated
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only events of this account
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show one event and its body
    Show {
        /// Its number, or the provider's id
        id: String,
    },
    /// Put one event back to work: applying an event twice changes nothing
    Replay {
        /// Its number, or the provider's id
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Parked,
    Applied,
    Ignored,
    Dead,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Dead => "dead",
        }
    }
}

/// Reads or nudges the inbox.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()).await?;
        match &arguments.action {
            Action::List { state, kind, account, limit } => {
                let state = state.map(|state| state.as_str().to_owned());
                let filter = Filter { state, kind: kind.clone(), account: account.clone() };
                list(&billing, &filter, *limit).await
            }
            Action::Show { id } => show(&billing, id).await,
            Action::Replay { id } => replay(&billing, id).await,
        }
    })
}

async fn list(billing: &Billing, filter: &Filter, limit: u32) -> Result<()> {
    let events = billing.events(filter, limit).await?;
    for event in &events {
        output::line(one_line(event));
    }
    if events.is_empty() {
        output::progress("no such events");
    }
    Ok(())
}

/// Number, state, time, type, the provider's id, the account, and the reason if there is one.
pub fn one_line(event: &EventLine) -> String {
    let reason = event.reason.as_deref().map(|reason| format!("  ({reason})")).unwrap_or_default();
    format!(
        "{:>8}  {:<8} {}  {}  {}  {}{reason}",
        event.id,
        event.state,
        event.received_at.format("%Y-%m-%dT%H:%M:%SZ"),
        event.kind,
        event.event_id,
        event.account.as_deref().unwrap_or("-"),
    )
}

async fn show(billing: &Billing, id: &str) -> Result<()> {
    let (event, body) = billing.event(id).await?.with_context(|| no_event(id))?;
    output::line(one_line(&event));
    output::line(format_args!("attempts  {}", event.attempts));
    if let Some(next) = event.next_attempt_at {
        output::line(format_args!("next      {}", next.to_rfc3339()));
    }
    if let Some(version) = &event.api_version {
        output::line(format_args!("version   {version}"));
    }
    output::line(String::from_utf8_lossy(&body));
    Ok(())
}

async fn replay(billing: &Billing, id: &str) -> Result<()> {
    let Some(row) = billing.replay(id).await? else { bail!("{}", no_event(id)) };
    output::line(format_args!("event {row} is due again: `tollgate events show {row}` says what becomes of it"));
    Ok(())
}

fn no_event(id: &str) -> String {
    format!("there is no event {id}: `tollgate events list` shows what there is")
}
