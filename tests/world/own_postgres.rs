//! A Postgres that a test may stop and start again on the same data, or fill up: the shared one belongs to all tests.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use sqlx::PgConnection;
use sqlx::error::DatabaseError;

use super::eventually;
use super::process::{Process, signal};
use super::servers::{Postgres, connect, execute};

/// A server of one's own. The process ends before its data goes.
pub struct OwnPostgres {
    pub url: String,
    process: Option<Process>,
    pub(super) data: PathBuf,
    /// Its command, with all options.
    pub(super) command: String,
    log: PathBuf,
    _server: Postgres,
}

impl OwnPostgres {
    /// Makes the data, and starts a server on it.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// As [`OwnPostgres::start`], with more options of `postgres`, which win over those that every server has.
    pub async fn with(options: &str) -> Self {
        let server = Postgres::start();
        let mut connection = connect(&server.url).await.expect("Postgres answers");
        let data: String =
            sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await.expect("it has data");
        drop(connection);
        let (url, data) = (server.url.clone(), PathBuf::from(data));
        let log = data.with_file_name("own.log");
        let command = fs::read_to_string(data.join("postmaster.opts")).expect("it runs");
        let command = format!("{} {options}", command.trim());
        let mut own = Self { url, process: None, data, command, log, _server: server };
        // From now on it is a child of this process, which alone can tell when it has ended.
        let id = fs::read_to_string(own.data.join("postmaster.pid")).expect("it runs");
        signal(id.lines().next().and_then(|id| id.parse().ok()).expect("a process id"), "INT");
        eventually("the first server has stopped", async || (!own.data.join("postmaster.pid").exists()).then_some(()))
            .await;
        own.restart().await;
        own
    }

    /// Stops it as its service does: every connection ends at once, and what is committed is written down.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        signal(process.id(), "INT");
        eventually("Postgres has stopped", async || process.ended()).await;
    }

    /// `kill -9`: what is committed has to be found again at the next start.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Starts it again on the same data, and waits until it answers.
    pub async fn restart(&mut self) {
        eventually("Postgres answers again", async || {
            let process = self.process.get_or_insert_with(|| run(&self.data, &self.command, self.log.clone()));
            // Those that a killed one left behind may hold its memory for a moment.
            if process.ended().is_some() {
                self.process = None;
                return None;
            }
            connect(&self.url).await.ok().map(drop)
        })
        .await;
    }

    /// From now on it speaks TLS with this certificate, and takes no connection without.
    pub async fn secure(&self, certificate: &str, key: &str) {
        let mut connection = self.connect().await;
        for (setting, name, text) in [("ssl_cert_file", "own.crt", certificate), ("ssl_key_file", "own.key", key)] {
            let path = self.data.join(name);
            fs::write(&path, text).expect("it is written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its owner may");
            let owner = fs::metadata(&self.data).expect("a directory");
            chown(&path, Some(owner.uid()), Some(owner.gid())).expect("the owner of the data may");
            execute(&mut connection, format!("alter system set {setting} = '{}'", path.display())).await;
        }
        execute(&mut connection, "alter system set ssl = on".to_owned()).await;
        let rules = self.data.join("pg_hba.conf");
        let text = fs::read_to_string(&rules).expect("it has rules");
        let lines = text
            .lines()
            .map(|line| line.strip_prefix("host ").map_or(line.to_owned(), |rest| format!("hostssl {rest}")));
        fs::write(&rules, lines.collect::<Vec<_>>().join("\n") + "\n").expect("it is written");
        execute(&mut connection, "select pg_reload_conf()".to_owned()).await;
        let insecure = format!("{}?sslmode=disable", self.url);
        eventually("nobody gets in without TLS", async || connect(&insecure).await.err().map(drop)).await;
    }

    /// Whether nobody listens.
    pub fn is_away(&self) -> bool {
        let url = url::Url::parse(&self.url).expect("a URL");
        TcpStream::connect(url.socket_addrs(|| None).expect("it has a port")[0]).is_err()
    }

    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await.expect("Postgres answers")
    }
}

/// Takes locks until the server has no memory for one more, as a session beside does that locks too much. They are given
/// back when the connection ends, not with the statement that fails. Returns how that is told.
pub async fn exhaust(connection: &mut PgConnection) -> String {
    let all = "select pg_advisory_lock(pg_backend_pid(), n) from generate_series(1, 1000000) n";
    let full = sqlx::query(all).execute(connection).await.expect_err("its memory has an end");
    full.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned()
}

/// Runs the server, as the owner of its data: it refuses to run as root.
pub(super) fn run(data: &PathBuf, command: &str, log: PathBuf) -> Process {
    let mut command = owned(data, &format!("exec {command}"));
    Process::start("postgres", command.current_dir(data), log)
}

/// A script that runs as the owner of the data.
pub(super) fn owned(data: &PathBuf, script: &str) -> Command {
    let owner = fs::metadata(data).expect("a directory");
    let is_own = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == owner.uid());
    let mut command = if is_own {
        Command::new("sh")
    } else {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
        command.args(["--clear-groups", "sh"]);
        command
    };
    command.args(["-c", script]);
    command
}
