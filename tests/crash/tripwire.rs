//! A line to Postgres that kills a process before a statement of its gets there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::world::ports;
use crate::world::process::signal;

/// Passes connections on to Postgres and counts the statements in them.
pub struct Tripwire {
    pub address: SocketAddr,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Default)]
struct Wire {
    /// Statements until the process is killed, and which one; counted while there is one.
    armed: Option<(usize, u32)>,
    /// Whether it was killed since.
    is_tripped: bool,
    is_over: bool,
}

impl Tripwire {
    pub fn to(target: SocketAddr) -> Self {
        let address = ports::free();
        let listener = TcpListener::bind(address).expect("the port is free");
        let wire = Arc::new(Mutex::new(Wire::default()));
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if lock(&shared).is_over {
                    return;
                }
                connect(&shared, client, target);
            }
        });
        Self { address, wire }
    }

    /// Kills the process before the `point`-th statement from now on.
    pub fn arm(&self, point: usize, process: u32) {
        let mut wire = lock(&self.wire);
        (wire.armed, wire.is_tripped) = (Some((point, process)), false);
    }

    /// Kills nobody any more. Answers whether somebody was killed.
    pub fn disarm(&self) -> bool {
        let mut wire = lock(&self.wire);
        wire.armed = None;
        wire.is_tripped
    }

    pub fn is_tripped(&self) -> bool {
        lock(&self.wire).is_tripped
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        lock(&self.wire).is_over = true;
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Wire {
    /// Whether what contains so many statements may pass. From the kill on, nothing of the process may: it is dead.
    fn may_pass(&mut self, statements: usize) -> bool {
        let Some((left, process)) = &mut self.armed else { return true };
        if *left > statements {
            *left -= statements;
            return true;
        }
        *left = 0;
        if !self.is_tripped {
            signal(*process, "KILL");
            self.is_tripped = true;
        }
        false
    }
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(wire: &Arc<Mutex<Wire>>, client: TcpStream, target: SocketAddr) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let wire = Arc::clone(wire);
    let mut messages = Messages::default();
    std::thread::spawn(move || pass(from, to, |bytes| lock(&wire).may_pass(messages.statements(bytes))));
    std::thread::spawn(move || pass(server, client, |_| true));
}

/// Copies until one end closes or something may not pass, then closes both.
fn pass(mut from: TcpStream, mut to: TcpStream, mut may_pass: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !may_pass(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// What a client sends to Postgres, message by message
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
#[derive(Default)]
struct Messages {
    /// The head of the message that has begun.
    head: Vec<u8>,
    /// Bytes of its rest that are still to come.
    rest: usize,
}

impl Messages {
    /// How many statements begin in these bytes.
    fn statements(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for byte in bytes {
            if self.rest > 0 {
                self.rest -= 1;
                continue;
            }
            self.head.push(*byte);
            // What opens a connection has no type and begins with its length; no length begins with a letter.
            let typed = usize::from(self.head[0] != 0);
            let Some(length) = self.head.get(typed..typed + 4) else { continue };
            let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
            self.rest = usize::try_from(length).expect("a small number").saturating_sub(4);
            // `Query` and `Execute`; what prepares a statement changes nothing.
            count += usize::from(matches!(self.head[0], b'Q' | b'E'));
            self.head.clear();
        }
        count
    }
}
