//! `make bench`: measures on this machine, in one run, what Tollgate claims: what gating costs beside a bare Pingora,
//! how soon a purchase is enforced, how fast webhooks are answered, how fast it starts.
//!
//! Everything listens on loopback and is stopped by process id; the numbers and what they were measured with are printed
//! and written to `results.md`.

#![forbid(unsafe_code)]

mod backlog;
mod callgrind;
mod clock;
mod cpu;
mod freshness;
mod http;
mod instructions;
mod laps;
mod load;
mod process;
mod report;
mod secrets;
mod servers;
mod sockets;
mod start;
mod stats;
mod sweep;
mod upstream;
mod webhooks;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use process::Cpus;
use report::{Report, progress};
use world::{Run, Tokens, World, machine};

/// Measures Tollgate on this machine.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything when nothing is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where `results.md` and the profiles go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// A `tollgate` built with the embedded database, to measure its start as well
    #[arg(long)]
    embedded: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Instructions a request, by callgrind (needs valgrind)
    Instructions,
    /// CPU time a request, requests a second, latency, memory
    Laps,
    /// Memory of idle WebSockets
    Sockets,
    /// Webhook commit to enforced by two proxies
    Freshness,
    /// A backlog of webhooks worked off, and a full comparison with the provider
    Backlog,
    /// Start to ready
    Start,
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
    let wants = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    std::fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    let program = std::env::current_exe()?;
    let binaries = program.parent().context("the driver stands in no directory")?;
    let mut report = Report::new(machine(wants(Part::Instructions)).await?);

    progress("bench: starting Postgres, Redis, an upstream, and Tollgate in roles billing and proxy");
    let world = World::start(binaries).await?;
    let run = |name, role| Run { name, role, cpus: Cpus::Any, by: &[], tokens: Tokens::Hs256 };
    let billing = world.tollgate(run("billing", "billing")).await?;
    let first = world.tollgate(run("proxy-1", "proxy")).await?;
    progress("bench: delivering webhooks");
    webhooks::measure(&world, first.public, &mut report).await?;
    if wants(Part::Freshness) {
        progress("bench: webhook commit to enforced");
        let second = world.tollgate(run("proxy-2", "proxy")).await?;
        freshness::measure(&world, [first.public, second.public], &mut report).await?;
        second.process.stop().await?;
    }
    if wants(Part::Backlog) {
        progress("bench: working off 100 000 webhooks");
        backlog::measure(&world, first.public, &mut report).await?;
    }
    first.process.stop().await?;
    if wants(Part::Sockets) {
        progress("bench: opening 10 000 WebSockets");
        sockets::measure(&world, &mut report).await?;
    }
    if wants(Part::Laps) {
        progress("bench: laps through the bare Pingora and Tollgate (about a minute)");
        laps::measure(&world, &mut report).await?;
    }
    if wants(Part::Instructions) {
        progress("bench: counting instructions (about two minutes)");
        instructions::measure(&world, &arguments.out, &mut report).await?;
    }
    billing.process.stop().await?;
    if wants(Part::Backlog) {
        progress("bench: comparing with 10 000 subscriptions, twice");
        sweep::measure(&world, &mut report).await?;
    }
    if wants(Part::Start) {
        progress("bench: starting again and again");
        start::measure(&world, &mut report).await?;
        if let Some(binary) = &arguments.embedded {
            start::measure_embedded(&world, &binary.canonicalize()?, &mut report).await?;
        }
    }
    world.stop().await?;
    report.finish(&arguments.out.join("results.md"))
}
