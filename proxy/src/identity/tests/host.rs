//! An identity provider that publishes keys, or fails to, as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What it answers.
#[derive(Clone)]
pub(in crate::identity) enum Answer {
    /// This set of keys.
    Keys(Vec<Value>),
    /// Any status and body.
    Raw(u16, String),
    /// Look there.
    Redirect(String),
    /// Nothing, but the connection stays.
    Silence,
    /// A body that never ends.
    Endless,
    /// Nothing: the connection closes.
    Nobody,
}

pub(in crate::identity) struct Host {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

impl Host {
    pub(in crate::identity) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State { answer: Mutex::new(answer), asked: AtomicUsize::new(0) });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that gives up is no failure of the host.
                thread::spawn(move || drop(state.serve(stream)));
            }
        });
        Self { address, state }
    }

    pub(in crate::identity) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    pub(in crate::identity) fn answers(&self, answer: Answer) {
        *self.state.answer.lock().expect("no panic") = answer;
    }

    /// How often it was asked.
    pub(in crate::identity) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().expect("no panic").clone();
        let mut write = |status: u16, more: &str, body: &str| {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n{body}")
        };
        match answer {
            Answer::Keys(keys) => write(200, "", &json!({ "keys": keys }).to_string()),
            Answer::Raw(status, body) => write(status, "", &body),
            Answer::Redirect(to) => write(302, &format!("Location: {to}\r\n"), ""),
            Answer::Silence => stream.read_exact(&mut byte),
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[")?;
                loop {
                    stream.write_all(&[b' '; 4096])?;
                }
            }
            Answer::Nobody => Ok(()),
        }
    }
}
