//! A site with sessions of its own: it signs in and out, tells whose a session is, and fails to, as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::ports;

/// The site's answer about a session.
#[derive(Clone, Debug)]
pub enum Word {
    /// The truth: 200 with the account, or 401.
    True,
    /// This status, these header lines and this body.
    Raw(u16, Vec<(&'static str, String)>, String),
    /// Nothing, ever.
    Silence,
    /// The answer that is true now, but given only when it is told to.
    Late(Arc<Notify>),
}

/// The running site: its pages on one address, its word on sessions on another.
pub struct SessionSite {
    pub pages: SocketAddr,
    sessions: SocketAddr,
    state: Arc<Mutex<Site>>,
    servers: [Option<JoinHandle<()>>; 2],
}

struct Site {
    /// Accounts by session.
    signed_in: HashMap<String, String>,
    word: Word,
    /// Sign-outs so far, and the signal for which late ones wait.
    sign_outs: usize,
    lets_out: Arc<Notify>,
    /// Whether a connection on which it was asked stays open.
    keeps_alive: bool,
    /// The headers of every question about a session.
    questions: Vec<HeaderMap>,
}

type Shared = State<Arc<Mutex<Site>>>;

impl SessionSite {
    pub async fn start() -> Self {
        let site = Site {
            signed_in: HashMap::new(),
            word: Word::True,
            sign_outs: 0,
            lets_out: Arc::default(),
            keeps_alive: true,
            questions: Vec::new(),
        };
        let mut site = Self {
            pages: ports::free(),
            sessions: ports::free(),
            state: Arc::new(Mutex::new(site)),
            servers: [None, None],
        };
        site.servers[0] = Some(site.serve(site.pages).await);
        site.open().await;
        site
    }

    async fn serve(&self, address: SocketAddr) -> JoinHandle<()> {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let router = Router::new()
            .route("/login", post(sign_in))
            .route("/logout", post(sign_out))
            .route("/internal/session", get(session))
            .route("/signed-in/session", get(session))
            .fallback(page)
            .with_state(Arc::clone(&self.state));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") })
    }

    /// Answers questions about sessions, again after [`SessionSite::close`].
    pub async fn open(&mut self) {
        self.servers[1] = Some(self.serve(self.sessions).await);
    }

    /// From now on questions about sessions find no listener; pages are still served.
    pub async fn close(&mut self) {
        if let Some(server) = self.servers[1].take() {
            server.abort();
            // Aborted, as it should be; then the port is free.
            let _ = server.await;
        }
    }

    /// The address of questions about sessions.
    pub fn ask(&self) -> String {
        format!("http://{}/internal/session", self.sessions)
    }

    /// From now on answers questions about sessions so.
    pub fn says(&self, word: Word) {
        self.state.lock().expect("no panic").word = word;
    }

    /// From now on no connection outlives the answer on it, so that [`SessionSite::close`] leaves none.
    pub fn ends_connections(&self) {
        self.state.lock().expect("no panic").keeps_alive = false;
    }

    /// From now on says what is true when it is asked, but only when it is told to.
    pub fn says_late(&self) -> Arc<Notify> {
        let told = Arc::new(Notify::new());
        self.says(Word::Late(Arc::clone(&told)));
        told
    }

    /// Requests to sign out that have arrived.
    pub fn sign_outs(&self) -> usize {
        self.state.lock().expect("no panic").sign_outs
    }

    /// Lets one late sign-out go on.
    pub fn lets_out(&self) {
        self.state.lock().expect("no panic").lets_out.notify_one();
    }

    /// Signs in without any request.
    pub fn know(&self, session: &str, account: &str) {
        self.state.lock().expect("no panic").signed_in.insert(session.to_owned(), account.to_owned());
    }

    /// The headers of every question so far.
    pub fn questions(&self) -> Vec<HeaderMap> {
        self.state.lock().expect("no panic").questions.clone()
    }
}

impl Drop for SessionSite {
    fn drop(&mut self) {
        self.servers.iter().flatten().for_each(JoinHandle::abort);
    }
}

/// The session that a request has.
fn session_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix("sid=").map(str::to_owned))
}

async fn session(state: Shared, headers: HeaderMap) -> Response {
    let keeps_alive = state.0.lock().expect("no panic").keeps_alive;
    let mut answer = word(state, headers).await;
    if !keeps_alive {
        answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    answer
}

async fn word(State(state): Shared, headers: HeaderMap) -> Response {
    let word = {
        let mut site = state.lock().expect("no panic");
        site.questions.push(headers.clone());
        site.word.clone()
    };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let session = session_of(&headers).or_else(|| bearer.map(str::to_owned));
    let account = session.and_then(|id| state.lock().expect("no panic").signed_in.get(&id).cloned());
    let truth = match account {
        Some(account) => json!({ "account": account }).to_string().into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    };
    match word {
        Word::True => truth,
        Word::Late(told) => {
            told.notified().await;
            truth
        }
        Word::Raw(status, lines, body) => {
            let mut answer = Response::builder().status(status);
            for (name, value) in lines {
                answer = answer.header(name, value);
            }
            answer.body(Body::from(body)).expect("an answer")
        }
        Word::Silence => std::future::pending().await,
    }
}

/// Signs in under the session that the browser has; sets the cookie anew unless it is asked not to.
async fn sign_in(State(state): Shared, Query(query): Query<HashMap<String, String>>, headers: HeaderMap) -> Response {
    let Some(session) = session_of(&headers) else { return StatusCode::BAD_REQUEST.into_response() };
    let account = query.get("as").cloned().unwrap_or_default();
    state.lock().expect("no panic").signed_in.insert(session.clone(), account);
    if query.contains_key("quietly") {
        return StatusCode::NO_CONTENT.into_response();
    }
    ([(header::SET_COOKIE, format!("sid={session}; Path=/; HttpOnly"))], "signed in").into_response()
}

async fn sign_out(State(state): Shared, Query(query): Query<HashMap<String, String>>, headers: HeaderMap) -> Response {
    let lets_out = {
        let mut site = state.lock().expect("no panic");
        site.sign_outs += 1;
        Arc::clone(&site.lets_out)
    };
    if query.contains_key("late") {
        lets_out.notified().await;
    }
    if let Some(session) = session_of(&headers) {
        state.lock().expect("no panic").signed_in.remove(&session);
    }
    ([(header::SET_COOKIE, "sid=; Path=/; Max-Age=0")], "signed out").into_response()
}

/// Any page: it shows what the site is told of its visitor.
async fn page(headers: HeaderMap) -> Response {
    let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let shown: Value = json!({ "account": told("x-entitlement-account"), "degraded": told("x-entitlement-degraded") });
    shown.to_string().into_response()
}
