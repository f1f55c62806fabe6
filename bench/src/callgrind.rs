//! Instructions that a process executes for each request, in user space, as callgrind counts them. The figure does not
//! depend on how busy the machine is; two runs agree within a half percent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::load::{Load, Until, lap};
use crate::process::{Process, output};

/// How long callgrind may take to write a profile.
const DUMP_LIMIT: Duration = Duration::from_secs(30);

/// Where one process's profiles go.
pub struct Profile {
    file: PathBuf,
    dumps: u32,
}

/// A count over one lap.
pub struct Count {
    pub per_request: f64,
    /// The profile itself, for `callgrind_annotate`.
    pub file: PathBuf,
}

impl Profile {
    /// Removes what an earlier run has left under this name.
    pub fn new(directory: &Path, name: &str) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let prefix = format!("callgrind.{name}");
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { file: directory.join(prefix), dumps: 0 })
    }

    /// The command that runs a process under callgrind.
    pub fn command(&self) -> Vec<String> {
        let file = format!("--callgrind-out-file={}", self.file.display());
        // Without fair scheduling one thread of several may starve the others.
        ["valgrind", "--tool=callgrind", "--fair-sched=yes", &file].map(str::to_owned).to_vec()
    }

    /// The same, but nothing is counted until [`Self::switch_on`]: until then the process is several times faster.
    pub fn command_off(&self) -> Vec<String> {
        let mut command = self.command();
        command.push("--instr-atstart=no".to_owned());
        command
    }

    /// Begins to count.
    pub async fn switch_on(&self, process: &Process) -> Result<()> {
        output("callgrind_control", &["--instr=on", &process.id().to_string()]).await.map(drop)
    }

    /// Warms the process up, then counts exactly `requests` requests.
    pub async fn count(&mut self, process: &Process, load: &Load, warm: u64, requests: u64) -> Result<Count> {
        lap(load, Until::Count(warm)).await?;
        let pid = process.id().to_string();
        output("callgrind_control", &["-z", &pid]).await?;
        lap(load, Until::Count(requests)).await?;
        output("callgrind_control", &["-d", &pid]).await?;
        self.dumps += 1;
        let file = self.file.with_added_extension(self.dumps.to_string());
        let total = total(&file).await?;
        ensure!(total > 0.0, "callgrind has counted nothing");
        Ok(Count { per_request: total / requests as f64, file })
    }
}

/// The instructions of a profile, once it is whole.
async fn total(file: &Path) -> Result<f64> {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(total) = text.lines().rev().take(5).find_map(|line| line.strip_prefix("totals: ")) {
            return total.trim().parse().context("not a number of instructions");
        }
        if start.elapsed() > DUMP_LIMIT {
            bail!("callgrind wrote no {} within {DUMP_LIMIT:?}", file.display());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
