//! A child process that writes its output to a file and never outlives the test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running process, killed when this is dropped, and by its leash when the test process itself is killed.
pub struct Process {
    pub name: String,
    child: Child,
    leash: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in the file `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let err = File::options().create(true).append(true).open(&log).expect("a log file");
        Self::writing_to(name, command, log, err.into())
    }

    /// Starts `command` with its errors on a pipe that nobody reads, until somebody takes it: [`Process::pipe`].
    pub fn unread(name: &str, command: &mut Command, log: PathBuf) -> Self {
        Self::writing_to(name, command, log, Stdio::piped())
    }

    fn writing_to(name: &str, command: &mut Command, log: PathBuf, err: Stdio) -> Self {
        let out = File::options().create(true).append(true).open(&log).expect("a log file");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let leash = leash(&child);
        Self { name: name.to_owned(), child, leash, log }
    }

    /// The pipe of [`Process::unread`].
    pub fn pipe(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("its errors are on a pipe")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // The leash first: once the process is reaped, its id may become somebody else's.
        let _ = self.leash.kill();
        let _ = self.leash.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, and waits for its end.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        signal(self.id(), "TERM");
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < limit, "{} has not stopped within {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal by name.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(status.expect("kill runs").success(), "no process {process} to signal");
}

/// A shell that waits on a pipe which only this test process holds, and kills the child when the pipe closes.
fn leash(child: &Child) -> Child {
    Command::new("sh")
        .args(["-c", "read _; kill -9 \"$1\"", "leash", &child.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}
