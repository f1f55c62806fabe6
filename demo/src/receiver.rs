//! A webhook endpoint that answers as it is told, and keeps what it received.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::Value;

use crate::serve::{Server, bind};

/// One received request.
#[derive(Clone)]
pub struct Received {
    pub headers: HeaderMap,
    /// By whichever header it came.
    pub signature: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event")
    }

    pub fn id(&self) -> String {
        self.event()["id"].as_str().expect("an id").to_owned()
    }
}

#[derive(Clone, Default)]
struct Book {
    received: Arc<Mutex<Vec<Received>>>,
    /// The next answers; 200 once they are used up.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

pub struct Receiver {
    book: Book,
    pub url: String,
    _server: Server,
}

impl Receiver {
    pub async fn start(answers: &[u16]) -> Self {
        let book = Book::default();
        book.answers.lock().expect("a lock").extend(answers);
        let (listener, address) = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("an address");
        let router = Router::new().route("/hook", any(receive)).with_state(book.clone());
        let server = Server::run(listener, router);
        Self { book, url: format!("http://{address}/hook"), _server: server }
    }

    pub fn received(&self) -> Vec<Received> {
        self.book.received.lock().expect("a lock").clone()
    }

    pub fn ids(&self) -> Vec<String> {
        self.received().iter().map(Received::id).collect()
    }
}

async fn receive(State(book): State<Book>, headers: HeaderMap, body: Bytes) -> Response {
    let signature = headers.get("stripe-signature").or(headers.get("webhook-signature")).expect("a signature");
    let signature = signature.to_str().expect("text").to_owned();
    book.received.lock().expect("a lock").push(Received { headers, signature, body: body.to_vec() });
    let status = book.answers.lock().expect("a lock").pop_front().unwrap_or(200);
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::LOCATION, "/hook")], format!("answer {}", status.as_u16())).into_response()
}
