//! Child processes: started on the CPUs that they are meant for, killed when the driver dies, stopped by process id.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{cpu, http};

const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How much of a process's log an error quotes, in bytes.
const LOG_TAIL_BYTES: usize = 2_000;

/// Which CPUs a process may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// The first alone: the process that is measured.
    Measured,
    /// The second alone: everything else.
    Others,
    /// Both.
    Any,
}

/// How to start a process.
pub struct Launch {
    name: &'static str,
    words: Vec<OsString>,
    environment: Vec<(&'static str, String)>,
    hidden: Vec<&'static str>,
    directory: PathBuf,
    stop: Signal,
}

/// A running process; it is killed when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    pid: Pid,
    log: PathBuf,
    stop: Signal,
}

impl Launch {
    /// `directory` is where the process runs and where its log is written.
    pub fn new(name: &'static str, directory: &Path, program: impl AsRef<OsStr>) -> Self {
        let words = vec![program.as_ref().to_owned()];
        let (environment, hidden) = (Vec::new(), Vec::new());
        Self { name, words, environment, hidden, directory: directory.to_owned(), stop: Signal::TERM }
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.words.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Hides a variable of the driver's own environment.
    pub fn without(mut self, name: &'static str) -> Self {
        self.hidden.push(name);
        self
    }

    /// Runs the command by another one: `valgrind …`, `setpriv …`.
    pub fn by(mut self, wrapper: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.words.splice(0..0, wrapper.into_iter().map(Into::into));
        self
    }

    /// The signal that asks the process to end; TERM when nothing is said.
    pub fn stop_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    pub fn start(self, cpus: Cpus) -> Result<Process> {
        let cpus = match cpus {
            Cpus::Measured => "0".to_owned(),
            Cpus::Others => last_cpu().to_string(),
            Cpus::Any => format!("0-{}", last_cpu()),
        };
        let log = self.directory.join(format!("{}.log", self.name));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("setpriv");
        self.hidden.iter().for_each(|name| {
            command.env_remove(name);
        });
        // The signal is tied to the thread that starts the process: the driver has one thread only.
        let child = command
            .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &cpus])
            .args(&self.words)
            .envs(self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} did not start", self.name))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = id.with_context(|| format!("{} has no process id", self.name))?;
        Ok(Process { name: self.name, child, pid, log, stop: self.stop })
    }
}

impl Process {
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until `path` is answered 200 at `address`.
    pub async fn ready(&mut self, address: SocketAddr, path: &str, limit: Duration) -> Result<()> {
        let request = http::get(path, None);
        self.until(limit, async || http::status(address, &request).await.is_ok_and(|status| status == 200)).await
    }

    /// Waits until somebody listens at `address`.
    pub async fn listening(&mut self, address: SocketAddr, limit: Duration) -> Result<()> {
        self.until(limit, async || TcpStream::connect(address).await.is_ok()).await
    }

    /// Waits until `check` holds, the process ends or the time is over.
    pub async fn until(&mut self, limit: Duration, check: impl AsyncFn() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !check().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended early, {status}:\n{}", self.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready within {limit:?}:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Sends a signal that does not end it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    /// Waits for the process to end by itself, well.
    pub async fn finished(&mut self, limit: Duration) -> Result<()> {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} did not end within {limit:?}", self.name))??;
        ensure!(status.success(), "{} failed, {status}:\n{}", self.name, self.log_tail());
        Ok(())
    }

    /// Asks the process to end, waits, and kills it if it does not.
    pub async fn stop(mut self) -> Result<()> {
        self.end().await
    }

    /// As [`Self::stop`], for one whose place another takes.
    pub async fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(self.pid, self.stop)?;
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    pub fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(log.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default()).into_owned()
    }
}

/// The number of the last CPU that is used: 1 where there are two or more.
pub fn last_cpu() -> usize {
    // What this process may use: a pinned driver must not change the answer.
    usize::from(Path::new("/sys/devices/system/cpu/cpu1").exists())
}

/// Moves the driver itself, which has one thread.
pub fn pin_driver(cpus: Cpus) -> Result<()> {
    sched_setaffinity(None, &set(cpus)).context("the driver cannot choose its CPU")
}

/// Moves a running process, with all its threads and all that it has started.
pub fn pin(root: i32, cpus: Cpus) -> Result<()> {
    for pid in cpu::tree(root)? {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let id = thread.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            // What ends meanwhile need not be moved.
            let _ = sched_setaffinity(id, &set(cpus));
        }
    }
    Ok(())
}

fn set(cpus: Cpus) -> CpuSet {
    let mut set = CpuSet::new();
    if cpus != Cpus::Others {
        set.set(0);
    }
    if cpus != Cpus::Measured {
        set.set(last_cpu());
    }
    set
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Runs a command to its end and gives what it printed.
pub async fn output(program: &str, args: &[&str]) -> Result<String> {
    let done = Command::new(program).args(args).stdin(Stdio::null()).output().await;
    let done = done.with_context(|| format!("{program} did not start"))?;
    if !done.status.success() {
        bail!("{program} failed, {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_ends_when_asked_and_its_end_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let launch = |args: &[&str]| {
            let launch = Launch::new("sh", directory.path(), "sh").args(args.iter().map(OsString::from));
            launch.start(Cpus::Any).expect("it starts")
        };
        launch(&["-c", "exec sleep 60"]).stop().await.expect("it ends");
        let mut failed = launch(&["-c", "echo no such thing; exit 3"]);
        let error = failed.until(Duration::from_secs(5), async || false).await.expect_err("it ended").to_string();
        assert!(error.contains("no such thing") && error.contains('3'), "{error}");
    }
}
