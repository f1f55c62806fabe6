//! A relay between two parts, which can refuse, fall silent, be slow or break again and again: the faults that no server
//! can be asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ports;

/// Passes connections on, until it is broken.
pub struct Relay {
    pub address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    state: Mutex<State>,
    changed: Condvar,
    /// Whom it leads to: one after the other, and the next when one refuses, as a load balancer does.
    targets: Mutex<Vec<SocketAddr>>,
    accepted: AtomicUsize,
    /// What is counted in what clients send.
    needle: &'static str,
    seen: AtomicUsize,
}

struct State {
    open: Vec<Arc<Passage>>,
    /// The most that were open at once.
    most: usize,
    fault: Fault,
}

/// One connection, by both of its ends.
struct Passage {
    ends: [TcpStream; 2],
    /// Whether it is a subscription to what Redis publishes.
    is_push: AtomicBool,
    /// Pieces that have passed, in both directions.
    pieces: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Nobody listens: connections are closed, and new ones refused.
    Refused,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections stay and new ones are made, but nothing passes; it does later, if they still stand then.
    Silent,
    /// Every piece takes so long.
    Slow(Duration),
    /// Every connection breaks after so many pieces.
    Flapping(usize),
    /// As `Cut`, for subscriptions alone.
    PushCut,
    /// As `Silent`, for subscriptions alone.
    PushSilent,
    /// Nobody is there any more.
    Over,
}

impl Relay {
    /// A relay to `target`.
    pub fn to(target: SocketAddr) -> Self {
        Self::among(vec![target])
    }

    /// A relay that spreads connections over several.
    pub fn among(targets: Vec<SocketAddr>) -> Self {
        Self::at(ports::free(), targets)
    }

    /// As [`Relay::among`], at an address that somebody was told already. It counts the lookups of entitlements.
    pub fn at(address: SocketAddr, targets: Vec<SocketAddr>) -> Self {
        let state = Mutex::new(State { open: Vec::new(), most: 0, fault: Fault::None });
        let (changed, accepted, seen) = (Condvar::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        let line = Arc::new(Line {
            state,
            changed,
            targets: Mutex::new(targets),
            accepted,
            needle: "/internal/entitlements/",
            seen,
        });
        let shared = Arc::clone(&line);
        let listener = TcpListener::bind(address).expect("the port is free");
        std::thread::spawn(move || listen(&shared, address, listener));
        Self { address, line }
    }

    /// Closes every connection, and refuses new ones, until [`Relay::heal`].
    pub fn refuse(&self) {
        self.set(Fault::Refused);
    }

    /// Closes every connection, and every new one, until [`Relay::heal`].
    pub fn cut(&self) {
        self.set(Fault::Cut);
    }

    /// Keeps every connection and passes nothing on, until [`Relay::heal`].
    pub fn silence(&self) {
        self.set(Fault::Silent);
    }

    /// Lets every piece take so long.
    pub fn slow(&self, delay: Duration) {
        self.set(Fault::Slow(delay));
    }

    /// Breaks every connection after so many pieces.
    pub fn flap(&self, pieces: usize) {
        self.set(Fault::Flapping(pieces));
    }

    /// Cuts subscriptions alone.
    pub fn cut_push(&self) {
        self.set(Fault::PushCut);
    }

    /// Silences subscriptions alone.
    pub fn silence_push(&self) {
        self.set(Fault::PushSilent);
    }

    /// Leads new connections elsewhere; those that are open stay where they are.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.line.targets.lock().unwrap_or_else(PoisonError::into_inner) = vec![target];
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.line.accepted.load(Ordering::SeqCst)
    }

    /// How many were open at once, at most.
    pub fn most(&self) -> usize {
        self.line.state().most
    }

    /// How often billing was asked through it what an account has.
    pub fn lookups(&self) -> usize {
        self.line.seen.load(Ordering::SeqCst)
    }

    fn set(&self, fault: Fault) {
        self.line.set(fault);
        if matches!(fault, Fault::Refused | Fault::Over) {
            // Wakes the listening thread, which then sees it.
            let _ = TcpStream::connect(self.address);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.set(Fault::Over);
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = fault;
        for passage in &state.open {
            let is_push = passage.is_push.load(Ordering::SeqCst);
            if matches!(fault, Fault::Refused | Fault::Cut | Fault::Over) || (fault == Fault::PushCut && is_push) {
                passage.close();
            }
        }
        self.changed.notify_all();
    }

    /// Waits until the next piece of a passage may pass; false when it may not, ever.
    fn admits(&self, passage: &Passage) -> bool {
        let is_push = passage.is_push.load(Ordering::SeqCst);
        let waits = |state: &mut State| state.fault == Fault::Silent || (state.fault == Fault::PushSilent && is_push);
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        let fault = state.fault;
        drop(state);
        match fault {
            Fault::Slow(delay) => std::thread::sleep(delay),
            Fault::Flapping(pieces) => return passage.pieces.fetch_add(1, Ordering::SeqCst) < pieces,
            Fault::PushCut => return !is_push,
            _ => {}
        }
        true
    }
}

impl Passage {
    fn close(&self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// Takes in connections, for as long as somebody is there.
fn listen(line: &Arc<Line>, address: SocketAddr, listener: TcpListener) {
    let mut listener = Some(listener);
    loop {
        let Some(client) = listener.as_ref().and_then(|listener| listener.accept().ok()) else { return };
        let fault = line.state().fault;
        match fault {
            Fault::Over => return,
            Fault::Cut => {}
            Fault::Refused => {
                drop(listener.take());
                let refused = |state: &mut State| state.fault == Fault::Refused;
                let healed = line.changed.wait_while(line.state(), refused).unwrap_or_else(PoisonError::into_inner);
                drop(healed);
                listener = TcpListener::bind(address).ok();
            }
            _ => connect(line, client.0),
        }
    }
}

fn connect(line: &Arc<Line>, client: TcpStream) {
    let number = line.accepted.fetch_add(1, Ordering::SeqCst);
    let targets = line.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let order = (0..targets.len()).map(|next| targets[(number + next) % targets.len()]);
    let Some(server) = order.filter_map(|target| TcpStream::connect(target).ok()).next() else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let passage = Arc::new(Passage { ends: [from, to], is_push: AtomicBool::new(false), pieces: AtomicUsize::new(0) });
    let mut state = line.state();
    if matches!(state.fault, Fault::Cut | Fault::Refused | Fault::Over) {
        return passage.close();
    }
    state.open.push(Arc::clone(&passage));
    state.most = state.most.max(state.open.len());
    drop(state);
    let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let (shared, kept) = (Arc::clone(line), Arc::clone(&passage));
    std::thread::spawn(move || {
        pass(&shared, &kept, (from_client, to_server), &mut |piece| listen_in(&shared, &kept, piece));
    });
    let shared = Arc::clone(line);
    std::thread::spawn(move || pass(&shared, &passage, (server, client), &mut |_| {}));
}

/// Notes what a client asks for.
fn listen_in(line: &Line, passage: &Passage, piece: &[u8]) {
    let text = String::from_utf8_lossy(piece);
    line.seen.fetch_add(text.matches(line.needle).count(), Ordering::SeqCst);
    if text.contains("SUBSCRIBE") {
        passage.is_push.store(true, Ordering::SeqCst);
    }
}

/// Copies until one end closes, then closes the other.
fn pass(line: &Line, passage: &Arc<Passage>, (mut from, mut to): (TcpStream, TcpStream), hear: &mut dyn FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        hear(&buffer[..count]);
        if !line.admits(passage) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    passage.close();
    line.state().open.retain(|open| !Arc::ptr_eq(open, passage));
}
