//! The Postgres and the Redis of the tests.
//!
//! One Postgres serves all tests, each with a database of its own. `scripts/with-servers.sh` starts it when the
//! environment names none; it stops when the pipe to it closes, however this process ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, OnceLock, mpsc};

use sqlx::{Connection, PgConnection};
use tokio::runtime::{Builder, Runtime};

use super::ports;
use super::process::Process;

/// A Postgres server, by the URL of a user that may create databases.
pub struct Postgres {
    pub url: String,
    /// Held for its pipe.
    _keeper: Option<Child>,
}

impl Postgres {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self { url, _keeper: None },
            _ => Self::start(),
        })
    }

    /// A server that somebody else keeps.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), _keeper: None }
    }

    /// A server of one's own, which asks every user for a password.
    pub fn start() -> Self {
        let mut keeper = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-servers.sh"))
            .args(["sh", "-c", "echo \"$DATABASE_URL\"; exec cat >/dev/null"])
            .env_remove("DATABASE_URL")
            // Only Postgres is wanted: a Redis that is "already there" is not started.
            .env("REDIS_URL", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/with-servers.sh runs");
        let mut url = String::new();
        let output = keeper.stdout.as_mut().expect("its output is piped");
        BufReader::new(output).read_line(&mut url).expect("its output can be read");
        assert!(url.starts_with("postgres://"), "scripts/with-servers.sh started no Postgres");
        Self { url: url.trim().to_owned(), _keeper: Some(keeper) }
    }

    /// A new, empty database.
    pub async fn database(&self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tollgate_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&self.url).await.expect("Postgres answers");
        execute(&mut connection, format!("create database {name}")).await;
        let mut url = url::Url::parse(&self.url).expect("a Postgres URL");
        url.set_path(&name);
        Database { url: url.to_string(), name, server: self.url.clone() }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self._keeper {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// A database that is dropped with this value.
pub struct Database {
    pub url: String,
    name: String,
    server: String,
}

impl Database {
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await.expect("Postgres answers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let (dropped, is_dropped) = mpsc::channel::<()>();
        CONNECTIONS.spawn(async move {
            // A server that the test has stopped took its databases with it.
            if let Ok(mut connection) = PgConnection::connect(&server).await {
                execute(&mut connection, format!("drop database if exists {name} with (force)")).await;
            }
            drop(dropped);
        });
        let _ = is_dropped.recv();
    }
}

/// Where connections are made and databases dropped, whatever the thread of a test does meanwhile: Postgres drops one
/// only after it has heard from each client that is just connecting, of whatever database, and a test that waits for
/// that on the thread on which it connects would wait for itself.
static CONNECTIONS: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("connections").enable_all().build();
    runtime.expect("a runtime")
});

/// A connection to a server or a database.
pub async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    let url = url.to_owned();
    CONNECTIONS.spawn(async move { PgConnection::connect(&url).await }).await.expect("connecting does not panic")
}

/// Runs one statement that takes no values.
pub async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.expect("the statement runs");
}

/// A Redis server of one's own.
pub struct Redis {
    pub url: String,
    process: Process,
    address: SocketAddr,
    dir: PathBuf,
}

impl Redis {
    /// Starts an empty server that keeps nothing on disk.
    pub fn start(dir: &Path) -> Self {
        let address = ports::free();
        Self { url: format!("redis://{address}"), process: redis(address, dir), address, dir: dir.to_owned() }
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Writes a copy of what it holds, which it has when it starts again.
    pub fn save(&self) {
        let mut connection = redis::Client::open(self.url.as_str()).and_then(|client| client.get_connection());
        redis::cmd("SAVE").exec(connection.as_mut().expect("a connection")).expect("it is saved");
    }

    /// Starts it again where it was; it has forgotten everything that was not saved.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = redis(self.address, &self.dir);
    }
}

fn redis(address: SocketAddr, dir: &Path) -> Process {
    let port = address.port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"]).arg(dir);
    Process::start("redis", &mut command, dir.join("redis.log"))
}
