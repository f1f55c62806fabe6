//! The site's identity provider: it signs tokens with keys of its own and publishes them, or fails to, as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::ports;

// Made for these tests alone.
pub const RSA: Key = Key { id: "rsa", algorithm: Algorithm::RS256, pem: include_str!("../keys/rsa.pem") };
pub const P256: Key = Key { id: "p256", algorithm: Algorithm::ES256, pem: include_str!("../keys/p256.pem") };
pub const P384: Key = Key { id: "p384", algorithm: Algorithm::ES384, pem: include_str!("../keys/p384.pem") };
pub const ED25519: Key = Key { id: "ed25519", algorithm: Algorithm::EdDSA, pem: include_str!("../keys/ed25519.pem") };
/// Never published at first.
pub const NEXT: Key = Key { id: "next", algorithm: Algorithm::EdDSA, pem: include_str!("../keys/ed25519-other.pem") };

/// A key pair of the identity provider.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub id: &'static str,
    pub algorithm: Algorithm,
    pub pem: &'static str,
}

impl Key {
    /// Signs claims, and names itself.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) }, claims)
    }

    /// Signs claims under any header.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private(header.alg)).expect("it signs")
    }

    /// The public half as it is published.
    pub fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.private(self.algorithm), self.algorithm).expect("a key");
        jwk.common.key_id = Some(self.id.to_owned());
        jwk
    }

    fn private(&self, algorithm: Algorithm) -> EncodingKey {
        let pem = self.pem.as_bytes();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
            _ => EncodingKey::from_rsa_pem(pem),
        };
        key.expect("a key")
    }
}

/// What the identity provider answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Keys(Vec<Key>),
    Raw(u16, String),
    Redirect(String),
    /// Never.
    Silence,
}

/// The running identity provider.
pub struct KeyHost {
    address: SocketAddr,
    state: Arc<Mutex<Told>>,
    server: Option<JoinHandle<()>>,
}

struct Told {
    answer: Answer,
    asked: usize,
}

impl KeyHost {
    pub async fn start(keys: &[Key]) -> Self {
        let state = Arc::new(Mutex::new(Told { answer: Answer::Keys(keys.to_vec()), asked: 0 }));
        let mut host = Self { address: ports::free(), state, server: None };
        host.open().await;
        host
    }

    /// Listens, again after [`KeyHost::close`].
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.state));
        self.server = Some(tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") }));
    }

    /// Is gone: nobody listens there.
    pub async fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Aborted, as it should be; then the port is free.
            let _ = server.await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    pub fn answers(&self, answer: Answer) {
        self.state.lock().expect("no panic").answer = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.state.lock().expect("no panic").asked
    }
}

impl Drop for KeyHost {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn answer(State(state): State<Arc<Mutex<Told>>>) -> Response {
    let answer = {
        let mut told = state.lock().expect("no panic");
        told.asked += 1;
        told.answer.clone()
    };
    let status = |code: u16| StatusCode::from_u16(code).expect("a status");
    match answer {
        Answer::Keys(keys) => {
            let keys: Vec<Jwk> = keys.iter().map(Key::jwk).collect();
            json!({ "keys": keys }).to_string().into_response()
        }
        Answer::Raw(code, body) => (status(code), Body::from(body)).into_response(),
        Answer::Redirect(to) => (status(302), [(header::LOCATION, to)]).into_response(),
        Answer::Silence => std::future::pending().await,
    }
}
