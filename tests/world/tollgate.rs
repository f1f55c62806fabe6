//! One running `tollgate` process, and one-off commands of the same binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::http::{Answer, client, try_send};
use super::process::Process;
use super::setup::Listen;
use super::wait::{eventually, within};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

/// How long a process may take from its start until it is ready.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The variables that a process of the tests may see of ours.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"];

/// A running process.
pub struct Tollgate {
    pub role: &'static str,
    pub listen: Listen,
    pub process: Process,
    pub config: PathBuf,
    environment: Vec<(String, String)>,
}

impl Tollgate {
    /// Starts a process; it is not ready yet.
    pub fn start(role: &'static str, listen: Listen, config: PathBuf, environment: Vec<(String, String)>) -> Self {
        let process = run(role, &config, &environment, Process::start);
        Self { role, listen, process, config, environment }
    }

    /// Starts it again after its end, as it was.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = run(self.role, &self.config, &self.environment, Process::start);
    }

    /// As [`Tollgate::restart`], with a log that nobody reads.
    pub fn restart_unread(&mut self) {
        self.process.kill();
        self.process = run(self.role, &self.config, &self.environment, Process::unread);
    }

    /// The value of a variable of its environment.
    pub fn get(&self, name: &str) -> Option<String> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Changes its environment, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable out of its environment, from its next start on.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Starts another process beside it, with the same configuration under another name.
    pub fn successor(&self, name: &str) -> Self {
        let config = self.config.with_file_name(format!("{name}.toml"));
        std::fs::copy(&self.config, &config).expect("it is copied");
        Self::start(self.role, self.listen, config, self.environment.clone())
    }

    /// Waits until its log has this text: lines are written behind the work that they tell of.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("the log of {} has {text:?}", self.process.name), async || {
            self.process.log().contains(text).then_some(())
        })
        .await;
    }

    /// Changes its configuration file.
    pub fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.config).expect("it was written");
        std::fs::write(&self.config, change(text)).expect("it is written");
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let (client, url) = (client(), format!("http://{}/readyz", self.listen.admin));
        within(START_LIMIT, "the process is ready", async || {
            if let Some(status) = self.process.ended() {
                panic!("{} ended with {status} instead of getting ready:\n{}", self.process.name, self.process.log());
            }
            try_send(client.get(&url)).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// Asks the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        super::http::send(client().get(format!("http://{}{path}", self.listen.admin))).await
    }

    /// As [`Tollgate::admin`], of a process that may not listen yet.
    pub async fn try_admin(&self, path: &str) -> Option<Answer> {
        try_send(client().get(format!("http://{}{path}", self.listen.admin))).await.ok()
    }

    /// The sum of a counter or gauge over all series whose labels contain each of `labels`, such as `verdict="pay"`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").await.body;
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let ours = series.filter(|(series, _)| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        });
        ours.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// Waits until a counter that counts connections has reached `expected`, and refuses more: a connection is counted
    /// when its task ends, which is after its client has seen the end.
    pub async fn has_let_go(&self, limit: &str, expected: f64) {
        let label = format!("limit=\"{limit}\"");
        let counted = async || self.metric("tollgate_connections_refused_total", &[&label]).await;
        eventually(&format!("{expected} are let go for {limit}"), async || (counted().await >= expected).then_some(()))
            .await;
        assert_eq!(counted().await, expected, "{limit}");
    }
}

fn run(
    role: &str,
    config: &Path,
    environment: &[(String, String)],
    start: impl Fn(&str, &mut Command, PathBuf) -> Process,
) -> Process {
    let log = config.with_extension("log");
    let name = format!("{role} ({})", config.file_stem().and_then(|name| name.to_str()).unwrap_or_default());
    let mut command = command(config.parent().expect("the configuration is in a directory"), environment);
    command.args(["run", "--role", role, "--config"]).arg(config);
    start(&name, &mut command, log)
}

/// The binary with no environment but this.
fn command(dir: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command.envs(INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    command.envs(environment.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value)));
    command
}

/// What a command that ended left behind.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Its standard output, when it succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "the command succeeds: {self:?}");
        self.stdout
    }

    /// The one line in which it says why it failed.
    pub fn failure(&self) -> &str {
        assert!(self.code != 0, "the command fails: {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        let mut lines = self.stderr.lines().filter_map(|line| line.strip_prefix("tollgate: "));
        let line = lines.next().unwrap_or_else(|| panic!("it says why: {self:?}"));
        assert_eq!(lines.next(), None, "a failure is told in one line: {self:?}");
        assert!(self.stderr.trim_end().ends_with(line), "and nothing follows: {self:?}");
        line
    }
}

/// Runs a command of the binary to its end.
///
/// # Panics
/// When it has not ended within `limit`.
pub async fn tollgate(dir: &Path, environment: &[(String, String)], limit: Duration, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(command(dir, environment));
    command.args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(limit, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("`tollgate {}` does not end", arguments.join(" ")));
    let output = output.expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
