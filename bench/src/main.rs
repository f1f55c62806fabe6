//! `make bench`: measures on this machine, in one run, what Tollgate claims: what gating costs beside a bare Pingora and
//! beside what a site might use instead, what grows with the site, how soon a purchase is enforced, how fast webhooks are
//! answered, how fast it starts. `make soak`: that it stays so. `make instructions`: that the hot path stays as short.
//!
//! Everything listens on loopback and is stopped by process id; the numbers and what they were measured with are printed
//! and written to `results.md`.

#![forbid(unsafe_code)]

mod backlog;
mod callgrind;
mod clock;
mod cpu;
mod freshness;
mod growth;
mod http;
mod instructions;
mod kept;
mod laps;
mod load;
mod metrics;
mod peers;
mod plot;
mod process;
mod refusals;
mod report;
mod secrets;
mod servers;
mod soak;
mod sockets;
mod start;
mod stats;
#[cfg(feature = "sweep")]
mod sweep;
mod upstream;
mod webhooks;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use kept::Counted;
use report::{Report, progress};
use world::{Run, World, machine};

/// Measures Tollgate on this machine.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything but `soak` and `kept` when nothing is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where `results.md` and the profiles go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// A `tollgate` built with the embedded database, to measure its start as well
    #[arg(long)]
    embedded: Option<PathBuf>,
    /// Where the results go as well, to be shown: `bench.md` and `bench.svg`
    #[arg(long)]
    publish: Option<PathBuf>,
    /// How often each peer is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Most accounts in one proxy
    #[arg(long, default_value_t = 1_000_000)]
    accounts: usize,
    /// How long a soak is, in seconds
    #[arg(long, env = "SOAK_SECONDS", default_value_t = 600)]
    soak_seconds: u64,
    /// Keeps the instructions that are counted, instead of comparing them
    #[arg(long)]
    keep: bool,
    /// Where they are kept
    #[arg(long, default_value = "bench/instructions.toml")]
    kept: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Instructions a request, by callgrind (needs valgrind)
    Instructions,
    /// CPU time a request, requests a second, latency, memory
    Laps,
    /// Beside nginx, Caddy, HAProxy, Envoy, Traefik and FastAPI, where they are installed
    Peers,
    /// What grows with accounts, routes and floods, and what does not (needs valgrind)
    Growth,
    /// Memory of idle WebSockets
    Sockets,
    /// Webhook commit to enforced by two proxies
    Freshness,
    /// A backlog of webhooks worked off, and a full comparison with the provider
    Backlog,
    /// Start to ready
    Start,
    /// Minutes of mixed load while everything restarts; only when it is named
    Soak,
    /// Instructions of the hot path against those that are kept; by itself (needs valgrind)
    Kept,
}

impl Part {
    /// Whether it is measured when nothing is named.
    fn is_usual(self) -> bool {
        !matches!(self, Self::Soak | Self::Kept)
    }

    fn counts(self) -> bool {
        matches!(self, Self::Instructions | Self::Growth | Self::Kept)
    }
}

// One thread: it is pinned as one, and a child that hangs on it dies with the program.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    // What is dropped half-way kills its processes and removes its files.
    tokio::select! {
        done = measure(&arguments) => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    let program = std::env::current_exe()?;
    let binaries = program.parent().context("the driver stands in no directory")?;
    if arguments.parts.contains(&Part::Kept) {
        ensure!(arguments.parts.len() == 1, "`kept` is measured by itself, with a build of its own");
        let counted = if arguments.keep { Counted::Keep } else { Counted::Compare };
        return kept::measure(binaries, &arguments.out, &arguments.kept, counted).await;
    }
    let wants = |part: Part| arguments.parts.contains(&part) || (arguments.parts.is_empty() && part.is_usual());
    let counts = Part::value_variants().iter().any(|&part| part.counts() && wants(part));
    let mut report = Report::new(machine(counts).await?);
    progress("bench: starting Postgres, Redis, an upstream, and Tollgate in roles billing and proxy");
    let mut world = World::start(binaries).await?;
    let measured = all(&mut world, arguments, &wants, &mut report).await;
    // What was measured before a failure is worth keeping.
    report.finish(&arguments.out, "results")?;
    measured?;
    if let Some(directory) = &arguments.publish {
        report.finish(directory, "bench")?;
    }
    world.stop().await
}

/// Measures what is wanted, in an order in which each finds what it needs.
async fn all(
    world: &mut World,
    arguments: &Arguments,
    wants: &impl Fn(Part) -> bool,
    report: &mut Report,
) -> Result<()> {
    let billing = world.tollgate(Run::of("billing", "billing")).await?;
    let first = world.tollgate(Run::of("proxy-1", "proxy")).await?;
    progress("bench: delivering webhooks");
    webhooks::measure(world, first.public, report).await?;
    if wants(Part::Freshness) {
        progress("bench: webhook commit to enforced");
        let second = world.tollgate(Run::of("proxy-2", "proxy")).await?;
        freshness::measure(world, [first.public, second.public], report).await?;
        second.process.stop().await?;
    }
    if wants(Part::Backlog) {
        progress("bench: working off 100 000 webhooks");
        backlog::measure(world, first.public, report).await?;
    }
    first.process.stop().await?;
    costs(world, arguments, wants, (billing.process.id(), report)).await?;
    if wants(Part::Soak) {
        let length = Duration::from_secs(arguments.soak_seconds);
        progress(&format!("bench: everything at once for {} s", length.as_secs()));
        soak::measure(world, &billing, length, report).await?;
    }
    billing.process.stop().await?;
    #[cfg(feature = "sweep")]
    if wants(Part::Backlog) {
        progress("bench: comparing with 10 000 subscriptions, twice");
        sweep::measure(world, report).await?;
    }
    if wants(Part::Start) {
        progress("bench: starting again and again");
        start::measure(world, report).await?;
        if let Some(binary) = &arguments.embedded {
            start::measure_embedded(world, &binary.canonicalize()?, report).await?;
        }
    }
    Ok(())
}

/// What a request costs, while billing runs.
async fn costs(
    world: &World,
    arguments: &Arguments,
    wants: &impl Fn(Part) -> bool,
    (billing, report): (i32, &mut Report),
) -> Result<()> {
    if wants(Part::Sockets) {
        progress("bench: opening 10 000 WebSockets");
        sockets::measure(world, report).await?;
    }
    if wants(Part::Laps) {
        progress("bench: laps through the bare Pingora and Tollgate (about two minutes)");
        laps::measure(world, report).await?;
        refusals::measure(world, report).await?;
    }
    if wants(Part::Peers) {
        progress("bench: laps through all peers (about three minutes a round)");
        peers::measure(world, billing, (&arguments.out, arguments.rounds), report).await?;
    }
    if wants(Part::Instructions) {
        progress("bench: counting instructions (about two minutes)");
        instructions::measure(world, &arguments.out, report).await?;
    }
    if wants(Part::Growth) {
        growth::measure(world, &arguments.out, arguments.accounts, report).await?;
    }
    Ok(())
}
