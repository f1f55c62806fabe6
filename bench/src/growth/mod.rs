//! What grows with a site, and what must not: the cost of a request with accounts and with routes, memory with accounts,
//! the load below with requests that come at once, and with users who have not paid and ask again and again.

mod accounts;
mod below;
mod filled;
mod routes;

use std::path::Path;

use anyhow::Result;

use crate::report::{Bar, Report, progress};
use crate::world::World;

/// Times of the least that the most may cost.
const GROWTH_MAX: f64 = 1.05;

/// Measures all of it. Profiles go to `profiles`; `accounts` is the most that are kept in memory.
pub async fn measure(world: &World, profiles: &Path, accounts: usize, report: &mut Report) -> Result<()> {
    progress("bench: a cold account asked for at once, and a flood of free users");
    below::measure(world, report).await?;
    progress("bench: instructions with 10 and with 1 000 routes");
    routes::measure(world, profiles, report).await?;
    progress(&format!("bench: {accounts} accounts in one proxy (some minutes)"));
    accounts::measure(world, profiles, accounts, report).await
}

/// A row that says how much more the most costs than the least.
fn tell(report: &mut Report, what: &str, least: f64, most: f64) {
    let ratio = most / least;
    report.row(format!("{what}: ratio"), format!("{ratio:.3}"), Bar::at_most(ratio, GROWTH_MAX, "×"));
}
