//! How long a start takes: from the process's birth to the first 200 of `/readyz`.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::report::{Bar, Report};
use crate::stats::sorted;
use crate::world::{Run, World};

const STARTS: usize = 7;
const EMBEDDED_STARTS: usize = 3;

/// Starts role `all` with a database that is migrated.
pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let run = Run::of("all", "all");
        let tollgate = world.tollgate(run).await?;
        seconds.push(began.elapsed().as_secs_f64());
        tollgate.process.stop().await?;
    }
    tell(report, "start to ready, role all, worst", &sorted(seconds), 1.0);
    Ok(())
}

/// Starts a build with the embedded database: first with none, then with the one that it made.
pub async fn measure_embedded(world: &World, binary: &Path, report: &mut Report) -> Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..=EMBEDDED_STARTS {
        let began = Instant::now();
        let tollgate = world.embedded(binary).await?;
        seconds.push(began.elapsed().as_secs_f64());
        tollgate.process.stop().await?;
    }
    let first = seconds.remove(0);
    report.row("first start to ready, embedded database", format!("{:.0} ms", first * 1e3), Bar::None);
    tell(report, "start to ready, embedded database, worst", &sorted(seconds), 3.0);
    Ok(())
}

fn tell(report: &mut Report, what: &str, seconds: &[f64], limit: f64) {
    let worst = seconds.last().copied().unwrap_or_default();
    let what = format!("{what} of {}", seconds.len());
    report.row(what, format!("{:.0} ms", worst * 1e3), Bar::at_most(worst, limit, "s"));
}
