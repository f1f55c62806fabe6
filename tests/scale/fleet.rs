//! Many Redis servers that end with the test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::world::eventually;
use crate::world::ports;
use crate::world::process::Process;

/// A Redis server, or a Sentinel.
pub struct Server {
    pub address: SocketAddr,
    pub process: Process,
}

impl Server {
    /// Starts a server that keeps nothing on disk, with more of its options.
    pub fn start(dir: &Path, options: &[&str]) -> Self {
        let address = ports::free();
        let port = address.port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"]).arg(dir);
        // Replicas are there at once.
        command.args(["--repl-diskless-sync-delay", "0"]).args(options);
        let process = Process::start(&format!("redis {port}"), &mut command, dir.join(format!("redis-{port}.log")));
        Self { address, process }
    }

    /// Starts a Sentinel with these lines of configuration, which it rewrites.
    pub fn sentinel(dir: &Path, lines: &str) -> Self {
        let address = ports::free();
        let port = address.port();
        let config = dir.join(format!("sentinel-{port}.conf"));
        std::fs::write(&config, format!("bind 127.0.0.1\nport {port}\n{lines}")).expect("it is written");
        let mut command = Command::new("redis-server");
        command.arg(&config).arg("--sentinel");
        let process =
            Process::start(&format!("sentinel {port}"), &mut command, dir.join(format!("sentinel-{port}.log")));
        Self { address, process }
    }

    /// What it answers to a command, or nothing when it does not.
    pub fn ask(&self, words: &[&str]) -> Option<String> {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(words).output();
        let output = output.expect("redis-cli is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until its answer to a command contains a text.
    pub async fn says(&self, words: &[&str], expected: &str) {
        eventually(&format!("{} says {expected} to {words:?}", self.process.name), async || {
            self.ask(words).filter(|answer| answer.contains(expected)).map(drop)
        })
        .await;
    }
}

/// The addresses, joined by commas.
pub fn addresses(servers: &[Server]) -> String {
    servers.iter().map(|server| server.address.to_string()).collect::<Vec<_>>().join(",")
}
