//! Logs on standard error: for people on a terminal, as JSON otherwise. `RUST_LOG` narrows or widens them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged when `RUST_LOG` does not say: our own words, and others' warnings.
const DEFAULT_FILTER: &str = "warn,tollgate=info,proxy=info,billing=info,demo=info,entitlement=info";

/// What is logged by commands whose own words are the answer.
const QUIET_FILTER: &str = "error";

/// Starts the log of a server, once, for the whole process.
pub fn start() {
    start_with(DEFAULT_FILTER);
}

/// Starts the log of a command: errors alone, unless `RUST_LOG` asks for more.
pub fn start_quiet() {
    start_with(QUIET_FILTER);
}

fn start_with(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    if std::io::stderr().is_terminal() {
        logs.with_target(false).init();
    } else {
        logs.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    }
}
