//! A relay between Tollgate and a server, which can be cut or fall silent: the faults that no server can be asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::ports;

/// Passes connections on, until it is cut or falls silent.
pub struct Relay {
    pub address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Both ends of every connection, to be closed.
    open: Vec<TcpStream>,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections stay and new ones are made, but nothing passes; it does later, if they still stand then.
    Silent,
    /// Nobody is there any more.
    Over,
}

impl Relay {
    /// A relay to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let address = ports::free();
        let listener = TcpListener::bind(address).expect("the port is free");
        let state = Mutex::new(State { open: Vec::new(), fault: Fault::None });
        let line = Arc::new(Line { state, changed: Condvar::new() });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let fault = shared.state().fault;
                match fault {
                    Fault::None | Fault::Silent => connect(&shared, client, target),
                    Fault::Cut => {}
                    Fault::Over => return,
                }
            }
        });
        Self { address, line }
    }

    /// Closes every connection, and every new one, until [`Relay::heal`].
    pub fn cut(&self) {
        self.line.set(Fault::Cut);
    }

    /// Keeps every connection and passes nothing on, until [`Relay::heal`].
    pub fn silence(&self) {
        self.line.set(Fault::Silent);
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.line.set(Fault::None);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.set(Fault::Over);
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = fault;
        if matches!(fault, Fault::Cut | Fault::Over) {
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }

    /// Waits until something may pass.
    fn wait(&self) {
        let silent = |state: &mut State| state.fault == Fault::Silent;
        drop(self.changed.wait_while(self.state(), silent).unwrap_or_else(PoisonError::into_inner));
    }
}

fn connect(line: &Arc<Line>, client: TcpStream, target: SocketAddr) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let mut state = line.state();
    if matches!(state.fault, Fault::Cut | Fault::Over) {
        return;
    }
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else { return };
        state.open.push(kept);
        let line = Arc::clone(line);
        std::thread::spawn(move || pass(&line, from, to));
    }
}

/// Copies until one end closes, then closes the other.
fn pass(line: &Line, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        line.wait();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
