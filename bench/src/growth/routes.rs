//! Instructions of a request with few and with many rules; the one that holds is the last.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::tell;
use crate::callgrind::Profile;
use crate::load::Load;
use crate::process::Cpus;
use crate::report::{Bar, Report};
use crate::webhooks::paid_account;
use crate::world::{PATIENT, Run, World};

const FEW: usize = 10;
const MANY: usize = 1_000;
const WARM: u64 = 500;
const REQUESTS: u64 = 2_000;
const CONNECTIONS: usize = 8;

pub async fn measure(world: &World, profiles: &Path, report: &mut Report) -> Result<()> {
    let requests: Arc<[Vec<u8>]> = world.requests(std::iter::once(paid_account(0)))?.into();
    let mut counts = [0.0; 2];
    for (routes, count) in [FEW, MANY].into_iter().zip(&mut counts) {
        let mut profile = Profile::new(profiles, &format!("routes-{routes}"))?;
        let by = profile.command_off();
        let run = Run { cpus: Cpus::Measured, by: &by, routes, extra: PATIENT, ..Run::of("proxy-routes", "proxy") };
        let tollgate = world.tollgate(run).await?;
        // Reading many rules under callgrind would take minutes.
        profile.switch_on(&tollgate.process).await?;
        let load =
            Load { target: tollgate.public, requests: Arc::clone(&requests), connections: CONNECTIONS, expected: 200 };
        *count = profile.count(&tollgate.process, &load, WARM, REQUESTS).await?.per_request;
        tollgate.process.stop().await?;
        report.row(format!("instructions a request with {routes} routes"), format!("{count:.0}"), Bar::None);
    }
    tell(report, &format!("instructions a request, {MANY} routes against {FEW}"), counts[0], counts[1]);
    Ok(())
}
