//! Memory and open files of processes, again and again: are they flat?

use anyhow::{Context, Result};

use crate::cpu;
use crate::stats::median;

/// Share of the samples that are for warming up.
const WARM: f64 = 0.2;
/// How much memory may grow from the first third after that to the last one, in MiB: pages are given back late.
const GROWN_MIB_MAX: f64 = 12.0;
/// How many more files may be open: a connection or two that were opened just now.
const GROWN_FILES_MAX: f64 = 12.0;

/// The processes that are watched, and what was seen.
pub struct Watch {
    watched: Vec<Watched>,
}

struct Watched {
    name: &'static str,
    pid: i32,
    resident_mib: Vec<f64>,
    files: Vec<f64>,
}

/// How one value went.
pub struct Line {
    pub what: String,
    pub value: String,
    pub growth: f64,
    pub limit: f64,
    pub unit: &'static str,
}

impl Watch {
    pub fn over(processes: impl IntoIterator<Item = (&'static str, i32)>) -> Self {
        let watched = |(name, pid)| Watched { name, pid, resident_mib: Vec::new(), files: Vec::new() };
        Self { watched: processes.into_iter().map(watched).collect() }
    }

    /// Looks once at each.
    ///
    /// # Errors
    /// When one of them is gone.
    pub fn sample(&mut self) -> Result<()> {
        for one in &mut self.watched {
            let gone = || format!("{} has ended", one.name);
            one.resident_mib.push(cpu::resident_mib(one.pid).with_context(gone)?);
            one.files.push(cpu::open_files(one.pid).with_context(gone)? as f64);
        }
        Ok(())
    }

    /// Both values of each.
    pub fn lines(&self) -> Vec<Line> {
        let line = |what: String, samples: &[f64], (limit, unit)| {
            let (early, late) = ends(samples);
            Line { what, value: format!("{early:.0} → {late:.0}"), growth: late - early, limit, unit }
        };
        let both = |one: &Watched| {
            [
                line(format!("memory (RSS) of {}, MiB", one.name), &one.resident_mib, (GROWN_MIB_MAX, "MiB more")),
                line(format!("open files of {}", one.name), &one.files, (GROWN_FILES_MAX, "more")),
            ]
        };
        self.watched.iter().flat_map(both).collect()
    }

    /// What is not flat.
    pub fn complaints(&self) -> Vec<String> {
        let grown = self.lines().into_iter().filter(|line| line.growth > line.limit);
        grown.map(|line| format!("{} grew: {}", line.what, line.value)).collect()
    }
}

/// The median of the first third after warming up, and of the last third.
fn ends(samples: &[f64]) -> (f64, f64) {
    let warm = (samples.len() as f64 * WARM) as usize;
    let rest = samples.get(warm..).unwrap_or_default();
    let third = rest.len().div_ceil(3);
    let early = rest.iter().take(third).copied();
    let late = rest.iter().rev().take(third).copied();
    (median(early), median(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(resident_mib: Vec<f64>, files: Vec<f64>) -> Watch {
        Watch { watched: vec![Watched { name: "proxy", pid: 1, resident_mib, files }] }
    }

    #[test]
    fn what_grows_is_told_and_what_only_starts_small_is_not() {
        let flat = (0..100).map(|n| if n < 10 { 10.0 } else { 50.0 }).collect();
        assert_eq!(watch(flat, vec![20.0; 100]).complaints(), Vec::<String>::new());
        let leaking = (0..100).map(|n| 30.0 + f64::from(n) / 2.0).collect();
        let told = watch(leaking, (0..100).map(f64::from).collect()).complaints();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("memory (RSS) of proxy, MiB grew") && told[1].starts_with("open files"),
            "{told:?}"
        );
    }
}
