//! Free loopback ports for processes that cannot be told "any".
//!
//! They lie below the ephemeral range, so that no outgoing connection takes one between this check and its use.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// An address that nobody listens on, and that this process has not handed out before.
///
/// # Panics
/// When no port is free.
pub fn free() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Another test process begins elsewhere.
    let next = NEXT.get_or_init(|| AtomicU16::new(RandomState::new().hash_one(std::process::id()) as u16));
    (0..COUNT)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("no port is free")
}
