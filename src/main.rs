//! Tollgate's command line.

#![forbid(unsafe_code)]

mod admin;
mod asked;
mod commands;
mod config;
mod dotenv;
mod embedded;
mod files;
mod handover;
mod inbox;
mod listeners;
mod logging;
mod naming;
mod output;
mod reload;
mod serve;
mod starting;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use commands::{
    account, catalog, check, consents, credit, database, demo, events, explain, healthcheck, identity, import, init,
    link, migrate, provider, reconcile, run, setup, shell, token,
};

// Fewer instructions a request than the system's allocator, measured by `make bench`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lets requests through to your site for those who paid.
///
/// Tollgate stands in front of a site, knows from Stripe's webhooks what each user has paid for, lets paid routes
/// through, sends the others to pricing, and tells the site in signed headers who the user is and what they may use.
///
/// Secrets come from the environment: TOLLGATE_JWT_SECRET, TOLLGATE_ASSERTION_KEY, TOLLGATE_ADMIN_TOKEN,
/// TOLLGATE_APP_TOKEN, DATABASE_URL, REDIS_URL, STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, POLAR_ACCESS_TOKEN, POLAR_WEBHOOK_SECRET; or from the file that the
/// same name with _FILE at its end names. RUST_LOG sets what is logged.
///
/// Ends with 0 when it is done, 1 when it failed or was refused, 2 when it was called wrongly. The answer stands on standard output, all
/// else on standard error. With --json standard output has one JSON document and nothing else, also of --help and --version: an object has
/// `error` where the command failed or was called wrongly, which says why, and `warnings` where there are any; a list has neither.
#[derive(Parser)]
#[command(version = env!("TOLLGATE_VERSION"), propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The configuration file, for every command that reads one.
#[derive(clap::Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = "tollgate.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Init(init::Arguments),
    Setup(setup::Arguments),
    Run(run::Arguments),
    Check(check::Arguments),
    Healthcheck(healthcheck::Arguments),
    Migrate(migrate::Arguments),
    Explain(explain::Arguments),
    Catalog(catalog::Arguments),
    Events(events::Arguments),
    Reconcile(reconcile::Arguments),
    Provider(provider::Arguments),
    Database(database::Arguments),
    Identity(identity::Arguments),
    Consents(consents::Arguments),
    Import(import::Arguments),
    Link(link::Arguments),
    Account(account::Arguments),
    Grant(credit::Grant),
    Revoke(credit::Revoke),
    Token(token::Arguments),
    Completions(shell::Completions),
    Man(shell::Man),
}

fn main() -> ExitCode {
    let Arguments { command, json } = Arguments::try_parse().unwrap_or_else(|error| misused(helped(error)));
    if json {
        if matches!(command, Command::Run(_) | Command::Demo(_)) {
            let told = "--json is for commands that answer: `run` and `demo` go on, and log JSON where standard error is no terminal";
            misused(Arguments::command().error(ErrorKind::ArgumentConflict, told));
        }
        output::answer_in_json();
    }
    let result = match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Catalog(arguments) => catalog::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Reconcile(arguments) => reconcile::run(&arguments),
        Command::Provider(arguments) => provider::run(&arguments),
        Command::Database(arguments) => database::run(&arguments),
        Command::Identity(arguments) => identity::run(&arguments),
        Command::Consents(arguments) => consents::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Link(arguments) => link::run(&arguments),
        Command::Account(arguments) => account::run(&arguments),
        Command::Grant(arguments) => credit::grant(&arguments),
        Command::Revoke(arguments) => credit::revoke(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Completions(arguments) => shell::complete(&arguments, &mut Arguments::command()),
        Command::Man(arguments) => shell::man(&arguments, Arguments::command()),
    };
    output::finish(result)
}

/// The help, where `help` was called with `--json`, which the parser takes for the name of a command; else the error as it is.
fn helped(error: clap::Error) -> clap::Error {
    let arguments: Vec<_> = std::env::args_os().collect();
    if error.kind() != ErrorKind::InvalidSubcommand || !arguments.iter().any(|argument| argument == "help") {
        return error;
    }
    let plain = arguments.into_iter().filter(|argument| argument != "--json");
    let asked = Arguments::try_parse_from(plain).err();
    asked.filter(|asked| asked.kind() == ErrorKind::DisplayHelp).unwrap_or(error)
}

/// Says how it is to be called, and ends; or gives the help that was asked for.
fn misused(mut error: clap::Error) -> ! {
    let mut arguments = std::env::args_os().take_while(|argument| argument != "--");
    if !arguments.any(|argument| argument == "--json") {
        error.exit();
    }
    // A wrong value comes without it.
    if error.get(ContextKind::Usage).is_none() {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage()));
    }
    output::instead(&error);
    if error.use_stderr() {
        error.exit();
    }
    std::process::exit(0)
}

/// How the command that was called is called rightly.
fn usage() -> StyledStr {
    let mut called = Arguments::command();
    called.build();
    for word in std::env::args_os().skip(1) {
        if let Some(next) = called.find_subcommand(&word).cloned() {
            called = next;
        }
    }
    called.render_usage()
}
