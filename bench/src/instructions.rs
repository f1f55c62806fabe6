//! What gating costs, in instructions for each request: Tollgate against the bare Pingora, both warm.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::callgrind::{Count, Profile};
use crate::http;
use crate::load::Load;
use crate::process::Cpus;
use crate::report::{Bar, Report};
use crate::webhooks::{PAID_ACCOUNTS, paid_account};
use crate::world::{PAID_PAGE, Run, Tokens, World};

const REQUESTS: u64 = 4_000;
const CONNECTIONS: usize = 8;
const WARM: u64 = 500;
/// Every account is known to the process before counting starts.
const WARM_MANY: u64 = 2 * PAID_ACCOUNTS as u64;

/// Counts both, with one account's token and with many in turn.
pub async fn measure(world: &World, profiles: &Path, report: &mut Report) -> Result<()> {
    let one = world.requests(std::iter::once(paid_account(0)))?.into();
    let many = world.requests((0..PAID_ACCOUNTS).map(paid_account))?.into();

    let plain = bare(world, profiles, ("plain", "one"), &one).await?;
    let same = bare(world, profiles, ("same", "one"), &one).await?;
    let same_many = bare(world, profiles, ("same", "many"), &many).await?;
    // What is no GET goes all the way through Pingora's proxying.
    let posts = [http::post(PAID_PAGE, &world.secrets.token(&paid_account(0))?)].into();
    let same_posts = bare(world, profiles, ("same", "posts"), &posts).await?;

    let mut profile = Profile::new(profiles, "tollgate")?;
    let by = profile.command();
    let run = Run { cpus: Cpus::Measured, by: &by, ..Run::of("proxy-counted", "proxy") };
    let tollgate = world.tollgate(run).await?;
    world.check_gate(tollgate.public, &paid_account(0)).await?;
    let gated = profile.count(&tollgate.process, &load(&one, tollgate.public), WARM, REQUESTS).await?;
    let gated_many = profile.count(&tollgate.process, &load(&many, tollgate.public), WARM_MANY, REQUESTS).await?;
    let gated_posts = profile.count(&tollgate.process, &load(&posts, tollgate.public), WARM, REQUESTS).await?;
    tollgate.process.stop().await?;

    report.row("instructions a request: Pingora as it comes", thousands(&plain), Bar::None);
    compare(report, "one account", &same, &gated);
    compare(report, "1 000 accounts in turn", &same_many, &gated_many);
    compare(report, "POST", &same_posts, &gated_posts);
    for (what, tokens) in [("RS256", Tokens::Rs256), ("EdDSA", Tokens::EdDsa)] {
        let count = signed_by(world, profiles, tokens).await?;
        let ratio = count.per_request / gated.per_request;
        let what = format!("instructions a request with a {what} token seen before, against HS256");
        report.row(what, format!("{ratio:.3}"), Bar::at_most(ratio, 1.1, "×"));
    }
    report.note(format!(
        "\"bare Pingora\" has Tollgate's server, connection and timeout settings; against Pingora as it comes the ratio is {:.3}",
        gated.per_request / plain.per_request
    ));
    report.note(format!("profiles for callgrind_annotate: {}, {}", same.file.display(), gated.file.display()));
    Ok(())
}

/// The same page with one account's token that was signed with a private key.
async fn signed_by(world: &World, profiles: &Path, tokens: Tokens) -> Result<Count> {
    let mut profile = Profile::new(profiles, &format!("tollgate-{tokens:?}"))?;
    let by = profile.command();
    let run = Run { cpus: Cpus::Measured, by: &by, tokens, ..Run::of("proxy-signed", "proxy") };
    let tollgate = world.tollgate(run).await?;
    let request = http::get(PAID_PAGE, Some(&world.secrets.token_by(tokens, &paid_account(0))?));
    let requests: Arc<[Vec<u8>]> = [request].into();
    let count = profile.count(&tollgate.process, &load(&requests, tollgate.public), WARM, REQUESTS).await?;
    tollgate.process.stop().await?;
    Ok(count)
}

async fn bare(
    world: &World,
    profiles: &Path,
    (settings, what): (&str, &str),
    requests: &Arc<[Vec<u8>]>,
) -> Result<Count> {
    let mut profile = Profile::new(profiles, &format!("bare-{settings}-{what}"))?;
    let bare = world.bare(settings, Cpus::Measured, &profile.command()).await?;
    let count = profile.count(&bare.process, &load(requests, bare.public), WARM, REQUESTS).await?;
    bare.process.stop().await?;
    Ok(count)
}

fn load(requests: &Arc<[Vec<u8>]>, target: SocketAddr) -> Load {
    Load { target, requests: Arc::clone(requests), connections: CONNECTIONS, expected: 200 }
}

fn compare(report: &mut Report, what: &str, bare: &Count, tollgate: &Count) {
    let ratio = tollgate.per_request / bare.per_request;
    report.row(format!("instructions a request, {what}: bare Pingora"), thousands(bare), Bar::None);
    report.row(format!("instructions a request, {what}: Tollgate"), thousands(tollgate), Bar::None);
    report.row(format!("instructions a request, {what}: ratio"), format!("{ratio:.3}"), Bar::at_most(ratio, 1.05, "×"));
}

fn thousands(count: &Count) -> String {
    format!("{} {:03.0}", (count.per_request / 1e3).floor(), (count.per_request % 1e3).floor())
}
