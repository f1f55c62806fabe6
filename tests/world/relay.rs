//! A relay between Tollgate and a server, which can be cut: the fault that no server can be asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::ports;

/// Passes connections on, until it is cut.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
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
    /// Nobody is there any more.
    Over,
}

impl Relay {
    /// A relay to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let address = ports::free();
        let listener = TcpListener::bind(address).expect("the port is free");
        let state = Arc::new(Mutex::new(State { open: Vec::new(), fault: Fault::None }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match state.fault {
                    Fault::None => connect(&mut state, client, target),
                    Fault::Cut => {}
                    Fault::Over => return,
                }
            }
        });
        Self { address, state }
    }

    /// Closes every connection, and every new one, until [`Relay::heal`].
    pub fn cut(&self) {
        self.set(Fault::Cut);
    }

    /// Passes new connections on again.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    fn set(&self, fault: Fault) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fault = fault;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.set(Fault::Over);
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(state: &mut State, client: TcpStream, target: SocketAddr) {
    let Ok(server) = TcpStream::connect(target) else { return };
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else { return };
        state.open.push(kept);
        std::thread::spawn(move || pass(from, to));
    }
}

/// Copies until one end closes, then closes the other.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
