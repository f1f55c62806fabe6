//! What stands behind the gate: servers under TLS, by Unix socket, and several sites by their hosts.

mod hosts;
mod secure;
mod server;
mod sockets;

use std::net::SocketAddr;

use crate::world::http::{RawAnswer, raw};

/// Two ways of the gate, by a line that a request has: the short one, and Pingora's own.
const WAYS: [&str; 2] = ["Connection: close", "Connection: close, x-hop"];

/// A GET for a host, on a connection that closes.
async fn ask(gate: SocketAddr, host: &str, target: &str, way: &str) -> RawAnswer {
    RawAnswer::parse(raw(gate, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{way}\r\n\r\n")).await)
}
