//! A PgBouncer in front of a Postgres, as an operator or a host puts one there.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use super::process::Process;
use super::{eventually, ports};

/// A pooler that runs until this is dropped.
pub struct PgBouncer {
    pub url: String,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one in front of the database of this URL, with these settings besides.
    pub async fn start(url: &str, settings: &str) -> Self {
        let server = url::Url::parse(url).expect("a URL");
        let dir = tempfile::Builder::new().prefix("tollgate-pooler.").tempdir().expect("a directory");
        let address = ports::free();
        let text = format!(
            "[databases]\n* = host={} port={} user={} password={}\n\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\nlogfile = {log}\npidfile = {pid}\n{settings}\n",
            server.host_str().expect("a host"),
            server.port().expect("a port"),
            server.username(),
            server.password().unwrap_or_default(),
            address.ip(),
            address.port(),
            log = dir.path().join("pooler.log").display(),
            pid = dir.path().join("pooler.pid").display(),
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, text).expect("it is written");
        let process = Process::start("pgbouncer", &mut command(dir.path(), file), dir.path().join("output.log"));
        eventually("the pooler listens", async || std::net::TcpStream::connect(address).ok().map(drop)).await;
        let mut url = server;
        url.set_port(Some(address.port())).expect("it has a host");
        Self { url: url.to_string(), _process: process, _dir: dir }
    }

    /// Whether this version can keep prepared statements although it lends sessions (1.21 and newer).
    pub fn keeps_statements() -> bool {
        let output = Command::new("pgbouncer").arg("--version").output().expect("PgBouncer is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(1).expect("a version").to_owned();
        let mut numbers = version.split('.').filter_map(|number| number.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(1), Some(21))
    }
}

/// It refuses to run as root.
fn command(dir: &std::path::Path, file: PathBuf) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let mut command = Command::new("pgbouncer");
        command.arg(file);
        return command;
    }
    // The user `nobody`, as on every Debian.
    const NOBODY: u32 = 65534;
    for path in [dir, &file] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
    command.arg("pgbouncer").arg(file);
    command
}
