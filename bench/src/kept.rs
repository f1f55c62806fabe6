//! The instructions of the hot path, compared with those that are kept in a file: so a regression is seen on the day it comes.
//!
//! Counted is Tollgate's proxy by itself and the bare Pingora, built alike and quickly (`--profile counted`). Where
//! compiler and processor are those of the file every count is compared; elsewhere what differs from them would decide, and
//! only the ratio is compared.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::callgrind::Profile;
use crate::http;
use crate::load::Load;
use crate::process::{Cpus, Launch, free_address, output};
use crate::report::progress;
use crate::secrets::Secrets;
use crate::upstream;
use crate::world::{PAID_PAGE, READY_LIMIT, processor};

/// By how much a count may differ, as a share.
const TOLERANCE: f64 = 0.03;
/// Few: what their assertions cost to sign, which is done again each half-minute, must not count.
const ACCOUNTS: usize = 8;
/// How often is counted at most. What else a busy machine does only adds.
const TRIES: usize = 3;
/// One after the other: how many wait at the same time would differ from run to run.
const CONNECTIONS: usize = 1;
const WARM: u64 = 1_000;
const REQUESTS: u64 = 3_000;
const HEAD: &str = "# User-space instructions of one warm request, by callgrind: `make instructions` compares, `make instructions KEEP=1`\n\
                    # writes this file. A change of more than 3 % is either a regression, or a reason to keep the new number.\n";

/// What is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    compiler: String,
    processor: String,
    /// The bare Pingora.
    bare: f64,
    /// The gate in front of the same site.
    gate: f64,
    /// The same with several ways of knowing who asks, of which one is used.
    several: f64,
    /// The same for sessions of which the site was asked a moment ago.
    asked: f64,
}

/// The most that they may take beside the gate with tokens alone.
const SEVERAL_MAX: f64 = 1.01;
const ASKED_MAX: f64 = 1.03;

/// What is to be done with the counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Compare,
    Keep,
}

/// Counts, and compares with `file` or writes it. The binaries stand in `binaries`.
pub async fn measure(binaries: &Path, profiles: &Path, file: &Path, counted: Counted) -> Result<()> {
    let kept = match counted {
        Counted::Keep => None,
        Counted::Compare => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Some(toml::from_str::<Kept>(&text)?)
        }
    };
    let mut least: Option<Kept> = None;
    for _ in 0..TRIES {
        let now = count(binaries, profiles).await?;
        progress(&format!(
            "bench: instructions a request: bare Pingora {:.0}, Tollgate {:.0}: {:.3} ×; with several ways {:.3} × that, for sessions that are asked for {:.3} ×",
            now.bare,
            now.gate,
            now.gate / now.bare,
            now.several / now.gate,
            now.asked / now.gate
        ));
        let now = least.map_or(now.clone(), |least| least.or_fewer(now));
        if kept.as_ref().is_some_and(|kept| complaints(kept, &now).is_empty()) {
            return Ok(());
        }
        least = Some(now);
    }
    let now = least.context("nothing was counted")?;
    let Some(kept) = kept else { return Ok(std::fs::write(file, format!("{HEAD}{}", toml::to_string(&now)?))?) };
    bail!(
        "the hot path has changed:\n  {}\nkeep it with `make instructions KEEP=1` if it is meant",
        complaints(&kept, &now).join("\n  ")
    )
}

impl Kept {
    /// The smaller count of each.
    fn or_fewer(self, other: Self) -> Self {
        Self {
            bare: self.bare.min(other.bare),
            gate: self.gate.min(other.gate),
            several: self.several.min(other.several),
            asked: self.asked.min(other.asked),
            ..other
        }
    }
}

/// What is out of bounds.
fn complaints(kept: &Kept, now: &Kept) -> Vec<String> {
    let compare = |what: &str, kept: f64, now: f64| {
        let change = now / kept - 1.0;
        let percent = change * 100.0;
        (change.abs() > TOLERANCE).then(|| format!("{what}: {now:.3} instead of {kept:.3}, {percent:+.1} %"))
    };
    let ratio = compare("Tollgate against bare Pingora", kept.gate / kept.bare, now.gate / now.bare);
    let is_alike = (&kept.compiler, &kept.processor) == (&now.compiler, &now.processor);
    let counts = [
        compare("instructions of bare Pingora", kept.bare, now.bare),
        compare("instructions of Tollgate", kept.gate, now.gate),
    ];
    let bars = [
        ("several ways, of which one is used,", now.several / now.gate, SEVERAL_MAX),
        ("sessions that are asked for", now.asked / now.gate, ASKED_MAX),
    ];
    let bars = bars.into_iter().filter(|(_, ratio, most)| ratio > most);
    let bars = bars.map(|(what, ratio, most)| format!("{what} cost {ratio:.3} × a token, and may cost {most} ×"));
    let counts = ratio.into_iter().chain(counts.into_iter().flatten().filter(|_| is_alike));
    counts.chain(bars).collect()
}

async fn count(binaries: &Path, profiles: &Path) -> Result<Kept> {
    let directory = tempfile::Builder::new().prefix("tollgate-counted.").tempdir()?;
    let (secrets, site) = (Secrets::generate(), upstream::start().await?.to_string());
    let requests = (0..ACCOUNTS)
        .map(|n| Ok(http::get(PAID_PAGE, Some(&secrets.token(&format!("reader-{n}"))?))))
        .collect::<Result<Arc<[_]>>>()?;
    let sessions: Arc<[_]> = (0..ACCOUNTS).map(|n| http::get_with_session(PAID_PAGE, &format!("reader-{n}"))).collect();
    let mut counts = [0.0; 4];
    let programs = [("bare", "same"), ("gate", "one"), ("gate", "several"), ("gate", "asked")];
    for ((name, kind), count) in programs.into_iter().zip(&mut counts) {
        let mut profile = Profile::new(profiles, &format!("kept-{name}-{kind}"))?;
        let target = free_address()?;
        let words = [target.to_string(), site.clone(), kind.to_owned()];
        let requests = if kind == "asked" { &sessions } else { &requests };
        let launch = Launch::new(name, directory.path(), binaries.join(name)).args(words);
        let launch =
            launch.env("TOLLGATE_JWT_SECRET", &secrets.jwt).env("TOLLGATE_ASSERTION_KEY", &secrets.assertion_pem);
        let mut process = launch.by(profile.command()).start(Cpus::Any)?;
        process.ready(target, "/", READY_LIMIT).await?;
        if name == "gate" {
            check(target).await?;
        }
        let load = Load { target, requests: Arc::clone(requests), connections: CONNECTIONS, expected: 200 };
        *count = profile.count(&process, &load, WARM, REQUESTS).await?.per_request.round();
        process.stop().await?;
    }
    let [bare, gate, several, asked] = counts;
    Ok(Kept { compiler: output("rustc", &["--version"]).await?, processor: processor()?, bare, gate, several, asked })
}

/// A gate that lets everybody through would count well.
async fn check(gate: SocketAddr) -> Result<()> {
    match http::status(gate, &http::get(PAID_PAGE, None)).await? {
        401 => Ok(()),
        status => bail!("the gate answered nobody {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bare: f64, gate: f64) -> Kept {
        Kept { compiler: "rustc 1".into(), processor: "a".into(), bare, gate, several: gate, asked: gate }
    }

    #[test]
    fn other_ways_than_a_token_cost_hardly_more() {
        let now = kept(100.0, 100.0);
        assert!(complaints(&now, &Kept { several: 101.0, asked: 103.0, ..now.clone() }).is_empty());
        assert_eq!(complaints(&now, &Kept { several: 101.2, asked: 103.2, ..now.clone() }).len(), 2);
    }

    #[test]
    fn a_change_of_more_than_three_percent_is_told() {
        assert!(complaints(&kept(100.0, 110.0), &kept(102.0, 111.0)).is_empty());
        let told = complaints(&kept(100.0, 110.0), &kept(100.0, 114.0));
        assert_eq!(told.len(), 2, "its ratio and its count: {told:?}");
        assert!(told[0].contains("+3.6 %"), "{told:?}");
        assert_eq!(complaints(&kept(100.0, 110.0), &kept(100.0, 106.0)).len(), 2, "what is gained is kept as well");
    }

    #[test]
    fn of_several_counts_the_least_disturbed_one_counts() {
        assert_eq!(kept(100.0, 130.0).or_fewer(kept(104.0, 120.0)), kept(100.0, 120.0));
    }

    #[test]
    fn another_compiler_is_compared_by_the_ratio_alone() {
        let other = Kept { compiler: "rustc 2".into(), ..kept(200.0, 220.0) };
        assert!(complaints(&kept(100.0, 110.0), &other).is_empty());
        assert_eq!(complaints(&kept(100.0, 110.0), &Kept { gate: 240.0, ..other }).len(), 1);
    }
}
