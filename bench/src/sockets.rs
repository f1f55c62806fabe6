//! WebSockets that are open and quiet: what each of them costs a proxy in memory.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cpu;
use crate::report::{Bar, Report};
use crate::webhooks::{PAID_ACCOUNTS, paid_account};
use crate::world::{Run, World};

const SOCKETS: usize = 10_000;
/// Files that the driver and a proxy need beside two for each socket.
const OTHER_FILES: u64 = 1_000;
const HEAD_BYTES_MAX: usize = 4096;

/// Opens them on a proxy of their own.
pub async fn measure(world: &World, report: &mut Report) -> Result<()> {
    let sockets = allowed();
    let run = Run::of("proxy-sockets", "proxy");
    let proxy = world.tollgate(run).await?;
    world.check_gate(proxy.public, &paid_account(0)).await?;
    let before = cpu::resident_mib(proxy.process.id())?;
    let mut open = Vec::with_capacity(sockets);
    for n in 0..sockets {
        let token = world.secrets.token(&paid_account(n % PAID_ACCOUNTS))?;
        open.push(upgrade(proxy.public, &token).await?);
    }
    let grown = cpu::resident_mib(proxy.process.id())? - before;
    // Fewer where the machine does not allow so many files: the rest is told in proportion.
    let all = grown * SOCKETS as f64 / sockets as f64;
    let what = format!("memory of a proxy for 10 000 idle WebSockets ({sockets} were open)");
    report.row(what, format!("{all:.0} MiB"), Bar::at_most(all, 200.0, "MiB"));
    drop(open);
    proxy.process.stop().await
}

/// How many may be open: both ends of the site's side are files of this process and of the proxy.
fn allowed() -> usize {
    let files = allow_files(2 * SOCKETS as u64 + OTHER_FILES);
    usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(SOCKETS).min(SOCKETS)
}

/// Raises how many files this process and what it starts from now on may have open; how many that are now.
pub fn allow_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return wanted;
    }
    // Only root may raise the hard limit; without it there are fewer.
    let hard = limit.maximum.map(|maximum| maximum.max(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: hard });
    if raised.is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(wanted)
}

/// Opens one WebSocket, and keeps it.
pub async fn upgrade(proxy: SocketAddr, token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    let request = format!(
        "GET /premium/socket HTTP/1.1\r\nHost: read.example\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = vec![0; HEAD_BYTES_MAX];
    let mut filled = 0;
    while !head[..filled].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut head[filled..]).await?;
        ensure!(read > 0, "the upgrade was cut: {}", String::from_utf8_lossy(&head[..filled]));
        filled += read;
    }
    ensure!(head.starts_with(b"HTTP/1.1 101 "), "no upgrade: {}", String::from_utf8_lossy(&head[..filled]));
    Ok(stream)
}
