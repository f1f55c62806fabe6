//! What a process has used: CPU time and memory, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads of a process, user and system.
pub fn used(pid: i32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// CPU time of each of several processes; nothing of one that has ended.
pub fn used_by(pids: &[i32]) -> Vec<Duration> {
    pids.iter().map(|&pid| used(pid).unwrap_or_default()).collect()
}

/// CPU time since then, of those that are still there.
pub fn used_since(pids: &[i32], before: &[Duration]) -> Duration {
    used_by(pids).iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).sum()
}

/// A process and all that it has started, and they.
pub fn tree(root: i32) -> Result<Vec<i32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name, in parentheses, may hold anything: what counts stands after it.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&known) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == known).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(tree)
}

/// Files, sockets and pipes that a process has open.
pub fn open_files(pid: i32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// CPU time of the whole machine since it started: used by anyone, and stolen by its host.
pub fn machine() -> Result<(Duration, Duration)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().context("an empty /proc/stat")?;
    let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let tick = |index: usize| ticks.get(index).copied().unwrap_or(0);
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    let time = |ticks: u64| Duration::from_millis(ticks * 1_000 / ticks_per_second);
    Ok((time(tick(0) + tick(1) + tick(2) + tick(5) + tick(6)), time(tick(7))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let me = i32::try_from(std::process::id()).expect("a process id");
        let before = used(me).expect("counted");
        let mut sum = 0_u64;
        while used(me).expect("counted") < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        let (none, ended) = (Duration::ZERO, [i32::MAX]);
        assert_eq!((used_by(&ended), used_since(&ended, &[before])), (vec![none], none));
        assert!(used_since(&[me], &[before]) >= Duration::from_millis(20));
        assert!(tree(me).expect("listed").contains(&me) && open_files(me).expect("listed") > 2);
        assert!(resident_mib(me).expect("counted") > 0.5);
        assert!(machine().expect("counted").0 > Duration::from_millis(20));
    }
}
