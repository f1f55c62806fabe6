//! A site that says what a case tells it, and notes whole requests.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::wire::chunks::{Chunks, Step};

/// What is said to one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) closes: bool,
}

#[derive(Default)]
struct State {
    scripts: Vec<Script>,
    /// Requests so far.
    requests: Vec<String>,
    connections: Vec<TcpStream>,
}

/// The site.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

fn locked<T>(state: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                if let Ok(other) = stream.try_clone() {
                    locked(&state).connections.push(other);
                }
                // The gate closes when it wants.
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Begins a case, on connections of its own.
    pub(super) fn play(&self, scripts: &[Script]) {
        let mut state = locked(&self.state);
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        state.requests.clear();
        state.scripts = scripts.to_vec();
    }

    /// The whole requests that came, with their lines in order of the alphabet.
    pub(super) fn requests(&self) -> Vec<String> {
        locked(&self.state).requests.clone()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => more(&mut stream, &mut bytes)?,
            }
        };
        let head = String::from_utf8_lossy(&bytes.drain(..end).collect::<Vec<_>>()).into_owned();
        let body = body(&head, &mut stream, &mut bytes)?;
        let script = {
            let mut state = locked(state);
            let at = state.requests.len();
            state.requests.push(noted(&head, &body));
            let last = state.scripts.last().cloned().unwrap_or_default();
            state.scripts.get(at).cloned().unwrap_or(last)
        };
        for piece in &script.pieces {
            stream.write_all(piece).ok()?;
            thread::yield_now();
        }
        if script.closes {
            return stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
    bytes.extend(&buffer[..count]);
    Some(())
}

/// The whole body behind a head.
fn body(head: &str, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let lower = head.to_lowercase();
    if lower.contains("\r\ntransfer-encoding:") {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        loop {
            if bytes.is_empty() {
                more(stream, bytes)?;
            }
            match chunks.step(bytes).expect("the gate writes chunks as they are to be") {
                Step::Framing(count) | Step::Trailer(count) => drop(bytes.drain(..count)),
                Step::Data(count) => body.extend(bytes.drain(..count)),
                Step::End(count) => {
                    bytes.drain(..count);
                    return Some(body);
                }
            }
        }
    }
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < length {
        more(stream, bytes)?;
    }
    Some(bytes.drain(..length).collect())
}

/// A request as it is compared: the order of headers means nothing, and an assertion says when it was made.
fn noted(head: &str, body: &[u8]) -> String {
    let mut lines: Vec<String> = head.lines().skip(1).map(str::to_lowercase).collect();
    lines.retain(|line| !line.starts_with("x-entitlement-assertion:"));
    lines.sort();
    format!("{}\n{}\n{}", head.lines().next().unwrap_or_default(), lines.join("\n"), String::from_utf8_lossy(body))
}
