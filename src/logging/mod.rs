//! Logs on standard error: for people on a terminal, as JSON otherwise. `RUST_LOG` narrows or widens them.

mod background;
mod line;

use std::io::IsTerminal;

use anyhow::Result;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use tracing_subscriber::fmt::writer::BoxMakeWriter;

pub use background::Log;
use line::JsonLine;

/// What is logged when `RUST_LOG` does not say: our own words, and others' warnings.
const DEFAULT_FILTER: &str = "warn,tollgate=info,proxy=info,billing=info,demo=info,entitlement=info";

/// What is logged by commands whose own words are the answer.
const QUIET_FILTER: &str = "error";

/// Starts the log of a server, once, for the whole process. Nobody waits for who reads it; the end of what is returned
/// waits until it is written.
///
/// # Errors
/// When its metric cannot be registered.
#[must_use = "what is not written yet is lost without it"]
pub fn start() -> Result<Log> {
    let (writer, log) = Log::start(std::io::stderr())?;
    start_with(DEFAULT_FILTER, BoxMakeWriter::new(writer));
    Ok(log)
}

/// Starts the log of a command: errors alone, unless `RUST_LOG` asks for more.
pub fn start_quiet() {
    start_with(QUIET_FILTER, BoxMakeWriter::new(std::io::stderr));
}

fn start_with(filter: &str, writer: BoxMakeWriter) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let lines = fmt::layer().with_writer(writer);
    let lines = if std::io::stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.fmt_fields(JsonFields::new()).event_format(JsonLine).boxed()
    };
    tracing_subscriber::registry().with(filter).with(filter_fn(is_harmless)).with(lines).init();
}

/// Where Pingora writes of one client's connection or request. Each such request that fails has a line of ours, and a client
/// that leaves is no fault.
const OF_CLIENTS: [&str; 3] = ["pingora_proxy", "pingora_core::protocols::http", "pingora_core::apps"];

/// Pingora writes whole request heads at its lower levels, cookies and tokens included: no setting may show those.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    !target.starts_with("pingora")
        || *metadata.level() <= Level::WARN && !OF_CLIENTS.iter().any(|module| target.starts_with(module))
}
